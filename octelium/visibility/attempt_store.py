"""The authentication log: a table of its own in the file of the log store.

Attempts that succeeded, those that did not and are about somebody, and those about nobody are
bounded each kind by itself: a flood of refused attempts pushes out nothing but its own kind.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from octelium.visibility.attempt import AttemptRecord, decode, encode
from octelium.visibility.log_table import LogTable, free_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MOST: Final = 200_000
"""Attempts of each kind that are kept."""
_FEWER: Final = 4
"""One in so many as of the other kinds is kept of those about nobody, which anybody can make."""
SUCCEEDED: Final = "succeeded"
_SLACK: Final = 50
"""One in so many attempts above `MOST` may be kept until there is time to forget them."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS attempt (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    succeeded INTEGER NOT NULL,
    data BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS attempt_by_time ON attempt (at);
CREATE INDEX IF NOT EXISTS attempt_by_outcome ON attempt (succeeded, id);
"""


class Kind(IntEnum):
    """What attempts are bounded by; the numbers are those of the table."""

    REFUSED = 0
    SUCCEEDED = 1
    ANONYMOUS = 2
    """Refused, and about nobody."""

    @classmethod
    def of(cls, record: AttemptRecord) -> Kind:
        """The kind of an attempt."""
        if record.outcome == SUCCEEDED:
            return cls.SUCCEEDED
        known = (record.user, record.session, record.credential, record.authenticator)
        return cls.REFUSED if any(known) else cls.ANONYMOUS


class AttemptStore(LogTable[[int, AttemptRecord]]):
    """Appends and forgets attempts in one thread; `newest_first` and `find` may be called in any.

    `retention` is in seconds. Numbers count up with the attempts and are never used again.

    Raises:
        LogStoreError: the file cannot be opened as a database.
    """

    def __init__(
        self,
        path: Path,
        *,
        retention: float = 30 * 86400,
        most: int = MOST,
        clock: Callable[[], float] = time.time,
        free: Callable[[Path], int] = free_bytes,
    ) -> None:
        self._retention = retention
        self._most = dict.fromkeys(Kind, most)
        self._most[Kind.ANONYMOUS] = max(1, most // _FEWER)
        self._clock = clock
        super().__init__(path, "authentication log", "attempt", free)
        self._held = {kind: self._count(kind) for kind in Kind}

    def append(self, record: AttemptRecord) -> bool:
        """Keep one attempt; false if the disk is full or unwritable, which `trouble` then tells."""
        data = encode(record)
        kind = Kind.of(record)
        try:
            self._make_room()
            cursor = self._db.execute(
                "INSERT INTO attempt (at, succeeded, data) VALUES (?, ?, ?)",
                (record.at, int(kind), data),
            )
            self._held[kind] += 1
            most = self._most[kind]
            if self._held[kind] > most + most // _SLACK:
                self._shrink(kind)
        except (OSError, sqlite3.Error) as error:
            self._failed(error)
            return False
        self._trouble = ""
        number = cursor.lastrowid
        assert number is not None
        self._tell(number, record)
        return True

    def newest_first(
        self, newest: float, oldest: float, before: int | None = None
    ) -> Iterator[tuple[int, AttemptRecord]]:
        """Attempts within [oldest, newest], with their numbers; only those before a number."""
        with contextlib.closing(self._reader()) as reader:
            cursor = reader.execute(
                "SELECT id, data FROM attempt WHERE at BETWEEN ? AND ? AND id < ? ORDER BY id DESC",
                (oldest, newest, before if before is not None else 1 << 62),
            )
            for number, data in cursor:
                yield number, decode(data)

    def find(self, number: int) -> AttemptRecord | None:
        """One attempt, if it is still kept."""
        with contextlib.closing(self._reader()) as reader:
            row = reader.execute("SELECT data FROM attempt WHERE id = ?", (number,)).fetchone()
        return None if row is None else decode(row[0])

    def prune(self) -> int:
        """Forget what is older than the retention, or too much; how many attempts that were."""
        limit = self._clock() - self._retention
        done = self._db.execute("DELETE FROM attempt WHERE at < ?", (limit,)).rowcount
        for kind in Kind:
            self._held[kind] = self._count(kind)
            done += self._shrink(kind)
        return done

    def _prepare(self) -> None:
        self._db.executescript(_SCHEMA)

    def _make_room(self) -> None:
        self._check_room()

    def _count(self, kind: Kind) -> int:
        (held,) = self._db.execute(
            "SELECT count(*) FROM attempt WHERE succeeded = ?", (int(kind),)
        ).fetchone()
        return int(held)

    def _shrink(self, kind: Kind) -> int:
        surplus = self._held[kind] - self._most[kind]
        if surplus <= 0:
            return 0
        cursor = self._db.execute(
            "DELETE FROM attempt WHERE id IN"
            " (SELECT id FROM attempt WHERE succeeded = ? ORDER BY id LIMIT ?)",
            (int(kind), surplus),
        )
        self._held[kind] -= cursor.rowcount
        return cursor.rowcount
