"""Files that seem to be root's, or somebody else's, to whoever runs the tests."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

_SOMEBODY = 64999


class Home:
    """A directory that can be closed to whoever runs the tests; root is somebody else then."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def read_only(self) -> Iterator[None]:
        """Nothing can be written there within the block, and everything be read."""
        is_root = os.geteuid() == 0
        if is_root:
            for each in (self.path, *self.path.iterdir()):
                os.chown(each, _SOMEBODY, _SOMEBODY)
        self.path.chmod(0o500)
        if is_root:
            os.seteuid(_SOMEBODY)
        try:
            yield
        finally:
            if is_root:
                os.seteuid(0)
            self.path.chmod(0o700)
            if is_root:
                for each in (self.path, *self.path.iterdir()):
                    os.chown(each, 0, 0)


@contextmanager
def home() -> Iterator[Home]:
    """A directory that everybody can reach: pytest's own are closed to others."""
    with tempfile.TemporaryDirectory() as outside:
        Path(outside).chmod(0o755)
        path = Path(outside) / "home"
        path.mkdir(mode=0o700)
        yield Home(path)


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
