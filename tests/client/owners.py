"""Files that seem to be root's, or somebody else's, to whoever runs the tests."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest


class Owned:
    """While the test runs, this process is root and so is the owner of all but what is named."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[Path] = []
        self._owners: dict[Path, int] = {}
        self._groups: dict[Path, int] = {}
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        for name, follows in (("lstat", False), ("stat", True)):
            monkeypatch.setattr(Path, name, self._teller(follows=follows))

    def by(self, path: Path, owner: int) -> None:
        """Something belongs to a user."""
        self._owners[path] = owner

    def group(self, path: Path, group: int) -> None:
        """Something belongs to a group; by itself to root's."""
        self._groups[path] = group

    def _teller(self, *, follows: bool) -> Any:
        def tell(path: Path, *, follow_symlinks: bool = follows) -> os.stat_result:
            self.asked.append(path)
            found = [*os.stat(path, follow_symlinks=follow_symlinks)]  # noqa: PTH116  (replaced)
            found[4:6] = self._owners.get(path, 0), self._groups.get(path, 0)
            return os.stat_result(found)

        return tell
