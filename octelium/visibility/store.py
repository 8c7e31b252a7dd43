"""The embedded log store: batches of records in an SQLite file of their own.

Requests of nobody have a share of the room to themselves: however many of them anybody makes, they
push out nothing but their own kind.

Blocks are kept as they came and read newest first; their time spans, and the subjects inside, let
most of them be passed over. Losing the last moments of the log at a power cut is accepted
(`synchronous=NORMAL`); resources live elsewhere.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from typing import TYPE_CHECKING

from octelium.visibility.batch import Batch, decode, decode_header
from octelium.visibility.log_table import LogTable, TableReader, free_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SHARE = 4
"""One in so many bytes of the capacity is for batches of nobody's requests."""
_KINDS = (0, 1)
"""Batches of somebody's requests, and of nobody's: the numbers in the table."""
_BEHIND = "{"
"""Sorts behind every character of a prefix."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS block (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    prefix TEXT NOT NULL,
    first_number INTEGER NOT NULL,
    last_number INTEGER NOT NULL,
    started_min REAL NOT NULL,
    started_max REAL NOT NULL,
    size INTEGER NOT NULL,
    data BLOB NOT NULL,
    anonymous INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS block_by_number ON block (prefix, first_number);
CREATE INDEX IF NOT EXISTS block_by_time ON block (started_max);
CREATE INDEX IF NOT EXISTS block_by_kind ON block (anonymous, id);
"""


class LogFile(TableReader):
    """Reads the blocks of a log, in any thread or process, while another one writes them."""

    def blocks(self, newest: float, oldest: float) -> Iterator[tuple[float, Batch]]:
        """Blocks with records started within [oldest, newest], by their last start, newest first.

        Yields the last start within the block, and the block.
        """
        with contextlib.closing(self._reader()) as reader:
            cursor = reader.execute(
                "SELECT started_max, data FROM block WHERE started_max >= ? AND started_min <= ?"
                " ORDER BY started_max DESC",
                (oldest, newest),
            )
            for started_max, data in cursor:
                yield started_max, decode(data)

    def prefixes(self, name: str) -> list[str]:
        """The prefixes of the worker processes of a name: there is one, unless chance has it."""
        found: list[str] = []
        with contextlib.closing(self._reader()) as reader:
            last = ""
            while True:
                row = reader.execute(
                    "SELECT min(prefix) FROM block WHERE prefix >= ? AND prefix < ? AND prefix > ?",
                    (name, name + _BEHIND, last),
                ).fetchone()
                if row[0] is None:
                    return found
                last = row[0]
                found.append(last)

    def find(self, prefix: str, number: int) -> Batch | None:
        """The block that holds one record, if it is still kept."""
        with contextlib.closing(self._reader()) as reader:
            for kind in _KINDS:
                row = reader.execute(
                    "SELECT data, last_number FROM block WHERE prefix = ? AND first_number <= ?"
                    " AND anonymous = ? ORDER BY first_number DESC LIMIT 1",
                    (prefix, number, kind),
                ).fetchone()
                if row is None or row[1] < number:
                    continue
                batch = decode(row[0])
                if any(found.number == number for found in batch.rows):
                    return batch
        return None


class LogStore(LogFile, LogTable[[Batch]]):
    """Appends and forgets blocks in one thread; `blocks` and `find` may be called in any.

    `retention` is in seconds, `capacity` in bytes; the oldest blocks of a kind go first.

    Raises:
        LogStoreError: the file cannot be opened as a database.
    """

    def __init__(
        self,
        path: Path,
        *,
        retention: float = 30 * 86400,
        capacity: int = 1 << 30,
        clock: Callable[[], float] = time.time,
        free: Callable[[Path], int] = free_bytes,
    ) -> None:
        self._retention = retention
        anonymous = capacity // SHARE
        self._capacity = (capacity - anonymous, anonymous)
        self._clock = clock
        super().__init__(path, "access log", "block", free)
        self._held = self._count()

    def append(self, data: bytes) -> bool:
        """Keep one batch; false if the disk is full or unwritable, which `trouble` then tells.

        Raises:
            ValueError: `data` is not a batch.
        """
        header = decode_header(data)
        span = header.span
        if span is None:
            return True
        kind = int(span.anonymous)
        values = (span.first, span.last, span.earliest, span.latest, len(data), data, kind)
        try:
            self._make_room_for(len(data), kind)
            self._db.execute(
                "INSERT INTO block (prefix, first_number, last_number, started_min, started_max,"
                " size, data, anonymous) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (header.prefix, *values),
            )
        except (OSError, sqlite3.Error) as error:
            self._failed(error)
            return False
        self._held[kind] += len(data)
        self._trouble = ""
        if self._listeners:
            self._tell(decode(data))
        return True

    def prune(self) -> int:
        """Forget what is older than the retention, or too much; returns the blocks forgotten."""
        limit = self._clock() - self._retention
        done = self._db.execute("DELETE FROM block WHERE started_max < ?", (limit,)).rowcount
        self._held = self._count()
        done += sum(self._shrink(kind, self._capacity[kind]) for kind in _KINDS)
        if done:
            self._db.execute("PRAGMA incremental_vacuum").fetchall()
        return done

    def _prepare(self) -> None:
        """Make the table, or give that of an earlier version the column that it lacks."""
        columns = {row[1] for row in self._db.execute("PRAGMA table_info(block)")}
        if columns and "anonymous" not in columns:
            self._db.execute("ALTER TABLE block ADD COLUMN anonymous INTEGER NOT NULL DEFAULT 0")
        self._db.executescript(_SCHEMA)

    def _count(self) -> list[int]:
        held = [0 for _ in _KINDS]
        for kind, size in self._db.execute("SELECT anonymous, sum(size) FROM block GROUP BY 1"):
            held[kind] = size
        return held

    def _make_room(self) -> None:
        self._make_room_for(0, 0)

    def _make_room_for(self, size: int, kind: int) -> None:
        """Keep within the capacity, and leave the disk enough for the store of resources.

        Raises:
            OSError: the disk is too full for a log.
        """
        if self._held[kind] + size > self._capacity[kind]:
            self._shrink(kind, self._capacity[kind] * 9 // 10 - size)
            self._db.execute("PRAGMA incremental_vacuum").fetchall()
        self._check_room(size)

    def _shrink(self, kind: int, wanted: int) -> int:
        """Forget a kind's oldest blocks until it holds at most `wanted` bytes; how many went."""
        done = 0
        while self._held[kind] > max(wanted, 0):
            oldest = self._db.execute(
                "SELECT id, size FROM block WHERE anonymous = ? ORDER BY id LIMIT 100", (kind,)
            ).fetchall()
            if not oldest:
                self._held[kind] = 0
            for block, size in oldest:
                if self._held[kind] <= max(wanted, 0):
                    break
                self._db.execute("DELETE FROM block WHERE id = ?", (block,))
                self._held[kind] -= size
                done += 1
        return done
