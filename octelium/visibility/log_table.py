"""What the logs have in common: tables of one SQLite file, which one thread of one process writes.

Losing the last moments of a log at a power cut is accepted (`synchronous=NORMAL`).
"""

from __future__ import annotations

import logging
import os
import sqlite3
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Generic, ParamSpec
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_LOG = logging.getLogger(__name__)
RESERVE = 64 << 20
"""Bytes of the disk that the log leaves free: without them no revocation could be stored."""

P = ParamSpec("P")
"""What listeners are told of an entry."""


def free_bytes(path: Path) -> int:
    """Bytes that this user may still write on the disk of `path`."""
    disk = os.statvfs(path)
    return disk.f_bavail * disk.f_frsize


class LogStoreError(Exception):
    """The log store cannot be used; the text names the file and what to do."""


class TableReader:
    """Reads the file, in any thread or process, while another one writes it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def _reader(self) -> sqlite3.Connection:
        """A connection of its own: reading may take long, in another thread."""
        return sqlite3.connect(f"file:{quote(str(self._path))}?mode=ro", uri=True)


class LogTable(TableReader, ABC, Generic[P]):
    """A table that entries are appended to, called `name` where that fails.

    Raises:
        LogStoreError: the file cannot be opened as a database.
    """

    def __init__(self, path: Path, name: str, table: str, free: Callable[[Path], int]) -> None:
        super().__init__(path)
        self.failures = 0
        """Entries that could not be written."""
        self._name = name
        self._table = table
        self._free = free
        self._trouble = ""
        self._listeners: list[Callable[P, None]] = []
        try:
            path.touch(mode=0o600)
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA auto_vacuum=INCREMENTAL")
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._prepare()
        except (OSError, sqlite3.Error) as error:
            raise LogStoreError(f"{path}: {error}; move it away to begin a new log") from error

    @abstractmethod
    def _prepare(self) -> None:
        """Make the table, or bring it up to date. Raises sqlite3.Error."""

    @abstractmethod
    def _make_room(self) -> None:
        """Make sure that there is room for an entry. Raises OSError, sqlite3.Error."""

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @property
    def trouble(self) -> str:
        """Why the last entry was not written; empty when it was."""
        return self._trouble

    def recheck(self) -> None:
        """After trouble, see whether an entry could be written again."""
        if not self._trouble:
            return
        try:
            self._make_room()
            # A write that changes nothing.
            self._db.execute(f"DELETE FROM {self._table} WHERE id < 0")  # noqa: S608 - our name
        except (OSError, sqlite3.Error) as error:
            self._trouble = str(error)
        else:
            self._trouble = ""

    def subscribe(self, listener: Callable[P, None]) -> Callable[[], None]:
        """Call `listener` with each entry that is written; the result ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def _check_room(self, size: int = 0) -> None:
        """Leave the disk enough for the store of resources. Raises OSError."""
        if self._free(self._path) < RESERVE + size:
            raise OSError(f"less than {RESERVE >> 20} MiB are free on the disk of {self._path}")

    def _failed(self, error: Exception) -> None:
        """An entry was not written."""
        self.failures += 1
        if not self._trouble:
            _LOG.error("the %s cannot be written: %s", self._name, error)
        self._trouble = str(error)

    def _tell(self, *entry: P.args, **also: P.kwargs) -> None:
        """An entry was written."""
        for listener in tuple(self._listeners):
            listener(*entry, **also)
