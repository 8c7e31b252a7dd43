"""Which of the known Clusters commands mean when none is named."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from octelium.client.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Collection

    from octelium.client.storage import Storage

FILE = "context.json"


class Contexts:
    """The domain that was chosen; its login and its connection are kept by domain elsewhere."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def current(self) -> str | None:
        """The chosen domain, or None. Raises StateError when the file is damaged."""
        content = self._storage.read(FILE)
        if not content:
            return None
        try:
            domain = json.loads(content)["domain"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise self._damaged() from error
        if not isinstance(domain, str):
            raise self._damaged()
        return domain or None

    def use(self, domain: str) -> None:
        """Choose a domain in place of the former one."""
        with self._storage.lock(FILE):
            self._write(domain)

    def adopt(self, domain: str, logged_in: Collection[str]) -> str:
        """Choose, after a login to `domain`, unless a Cluster that one is logged in to is chosen.

        Where there was one other login only, commands have meant that one, and go on to do so.
        Returns what is chosen now.
        """
        with self._storage.lock(FILE):
            current = self.current()
            if current is not None and current in logged_in:
                return current
            others = [other for other in logged_in if other != domain]
            chosen = others[0] if current is None and len(others) == 1 else domain
            self._write(chosen)
            return chosen

    def forget(self, domain: str) -> None:
        """Choose none, if this one is chosen."""
        with self._storage.lock(FILE):
            if self.current() == domain:
                self._write("")

    def _write(self, domain: str) -> None:
        self._storage.write(FILE, f"{json.dumps({'domain': domain})}\n".encode())

    def _damaged(self) -> StateError:
        return StateError(
            f"{self._storage.where(FILE)} is damaged",
            "choose a Cluster anew: octelium context use DOMAIN",
        )
