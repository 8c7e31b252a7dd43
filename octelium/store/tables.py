"""The store's operations as SQL on one connection. Everything here blocks."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from octelium.store.errors import (
    AlreadyExists,
    Compacted,
    InvalidArgument,
    NotFound,
    ResourceChanged,
)
from octelium.store.interface import LARGEST_RECORD, Commit, Record, Version, Write

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_RECORD = "kind, uid, name, schema, data, revision, created_revision, created_position"
_WRITE = "kind, uid, name, schema, data, deleted, erased"
_ALL = ""
"""In `floor`, where a kind stands: what holds for every kind."""


class Tables:
    """Reads and writes of the tables. The connection is in autocommit mode and belongs to it."""

    __slots__ = ("_sql",)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._sql = connection

    def close(self) -> None:
        """Close the connection."""
        self._sql.close()

    def head(self) -> int:
        """The last revision."""
        (revision,) = self._sql.execute("SELECT revision FROM head").fetchone()
        return int(revision)

    def origin(self) -> int:
        """The revision with which the present sequence began."""
        (revision,) = self._sql.execute(
            "SELECT coalesce(max(revision), 0) FROM floor WHERE kind = ?", (_ALL,)
        ).fetchone()
        return int(revision)

    def begin_anew(self, revision: int) -> None:
        """Go on with all records after another revision, with nothing to be asked before it.

        Raises:
            InvalidArgument: It does not lie after the head.
        """
        self._sql.execute("BEGIN IMMEDIATE")
        try:
            self._check_after_head(revision)
            self._sql.execute("UPDATE head SET revision = ?", (revision,))
            self._sql.execute("INSERT OR REPLACE INTO floor VALUES (?, ?)", (_ALL, revision))
            self._sql.execute("COMMIT")
        except BaseException:
            if self._sql.in_transaction:
                self._sql.execute("ROLLBACK")
            raise

    def get(self, kind: str, uid: str) -> Record | None:
        """The current record."""
        row = self._sql.execute(
            f"SELECT {_RECORD} FROM version WHERE kind = ? AND uid = ? AND replaced IS NULL",  # noqa: S608  (columns only)
            (kind, uid),
        ).fetchone()
        return None if row is None else _record(row)

    def records(self, kind: str | None, at: int | None) -> list[Record]:
        """Current or former records in order of creation."""
        where, values = ["NOT deleted"], list[object]()
        if kind is not None:
            where.append("kind = ?")
            values.append(kind)
        if at is None:
            where.append("replaced IS NULL")
        else:
            self._check_past(at, kind)
            where.append("revision <= ? AND (replaced IS NULL OR replaced > ?)")
            values += [at, at]
        rows = self._sql.execute(
            f"SELECT {_RECORD} FROM version WHERE {' AND '.join(where)} "  # noqa: S608  (fixed text)
            "ORDER BY created_revision, created_position",
            values,
        )
        return [_record(row) for row in rows]

    def commit(self, writes: Sequence[Write], base: int, at: float) -> Commit:
        """Append one revision."""
        ordered = _ordered(writes)
        self._sql.execute("BEGIN IMMEDIATE")
        try:
            self._check_head(base)
            revision = base + 1
            for position, write in enumerate(ordered):
                self._write(write, revision, position, at)
            self._sql.execute("UPDATE head SET revision = ?", (revision,))
            self._sql.execute("COMMIT")
        except BaseException:
            if self._sql.in_transaction:
                self._sql.execute("ROLLBACK")
            raise
        if any(write.erase for write in ordered):
            # What the log still holds of the erased bytes goes too.
            self._sql.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return Commit(revision, at, ordered)

    def _write(self, write: Write, revision: int, position: int, at: float) -> None:
        key = (write.kind, write.uid)
        row = self._sql.execute(
            "SELECT id, name, created_revision, created_position FROM version "
            "WHERE kind = ? AND uid = ? AND replaced IS NULL",
            key,
        ).fetchone()
        created_revision, created_position = revision, position
        if row is not None:
            current, name, created_revision, created_position = row
            if name != write.name:
                raise InvalidArgument(f"the name of {write.kind} {name} cannot change")
            self._sql.execute("UPDATE version SET replaced = ? WHERE id = ?", (revision, current))
        elif write.deleted:
            raise NotFound(f"{write.kind} {write.uid} does not exist")
        if write.erase:
            self._sql.execute(
                "UPDATE version SET data = x'', erased = 1 WHERE kind = ? AND uid = ?", key
            )
        try:
            self._sql.execute(
                "INSERT INTO version (revision, position, at, kind, uid, name, schema, data, "
                "created_revision, created_position, replaced, deleted, erased) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
                (
                    *(revision, position, at),
                    *(write.kind, write.uid, write.name, write.schema, write.data),
                    *(created_revision, created_position),
                    *(revision if write.deleted else None, int(write.deleted)),
                ),
            )
        except sqlite3.IntegrityError as error:
            if "version.name" not in str(error):
                raise
            raise AlreadyExists(f"{write.kind} {write.name} already exists") from error

    def commits(self, after: int, limit: int) -> list[Commit]:
        """Whole commits after a revision, at most `limit`."""
        (floor,) = self._sql.execute("SELECT coalesce(max(revision), 0) FROM floor").fetchone()
        if after < floor:
            raise Compacted(f"changes are kept from revision {floor} on, not from {after}")
        rows = self._sql.execute(
            f"SELECT revision, at, {_WRITE} FROM version "  # noqa: S608  (columns only)
            "WHERE revision > ? AND revision <= ? ORDER BY revision, position",
            (after, after + limit),
        )
        found: dict[int, tuple[float, list[Write]]] = {}
        for revision, at, *write in rows:
            found.setdefault(revision, (at, []))[1].append(_written(write))
        return [Commit(revision, at, tuple(writes)) for revision, (at, writes) in found.items()]

    def history(self, kind: str, uid: str, before: int | None, limit: int) -> list[Version]:
        """Versions of one record, newest first."""
        rows = self._sql.execute(
            f"SELECT revision, at, {_WRITE} FROM version WHERE kind = ? AND uid = ? "  # noqa: S608  (columns only)
            "AND revision < ? ORDER BY revision DESC LIMIT ?",
            (kind, uid, self.head() + 1 if before is None else before, limit),
        )
        return [Version(revision, at, _written(write)) for revision, at, *write in rows]

    def revision_at(self, at: float) -> int:
        """The last revision at or before an instant."""
        row = self._sql.execute(
            "SELECT revision - 1 FROM version WHERE at > ? ORDER BY revision LIMIT 1", (at,)
        ).fetchone()
        return self.head() if row is None else int(row[0])

    def prune(self, floors: Mapping[str, int]) -> None:
        """Delete replaced versions."""
        head = self.head()
        self._sql.execute("BEGIN IMMEDIATE")
        try:
            for kind, floor in floors.items():
                self._sql.execute(
                    "DELETE FROM version WHERE kind = ? AND replaced <= ?", (kind, min(floor, head))
                )
                self._sql.execute(
                    "INSERT INTO floor VALUES (?, ?) ON CONFLICT (kind) DO UPDATE "
                    "SET revision = max(revision, excluded.revision)",
                    (kind, min(floor, head)),
                )
            self._sql.execute("COMMIT")
        except BaseException:
            if self._sql.in_transaction:
                self._sql.execute("ROLLBACK")
            raise

    def _check_head(self, base: int) -> None:
        head = self.head()
        if head != base:
            raise ResourceChanged(f"the store is at revision {head}, not at {base}")

    def _check_after_head(self, revision: int) -> None:
        head = self.head()
        if revision <= head:
            raise InvalidArgument(f"the store is at revision {head}, not before {revision}")

    def _check_past(self, at: int, kind: str | None) -> None:
        head = self.head()
        if not 0 <= at <= head:
            raise InvalidArgument(f"revision {at} does not exist: the last one is {head}")
        (floor,) = self._sql.execute(
            "SELECT coalesce(max(revision), 0) FROM floor WHERE ?1 IS NULL OR kind IN (?1, ?2)",
            (kind, _ALL),
        ).fetchone()
        if at < floor:
            raise Compacted(f"history is kept from revision {floor} on, not from {at}")


def _ordered(writes: Sequence[Write]) -> tuple[Write, ...]:
    """Deletions first. Raises InvalidArgument for a commit that no store could keep."""
    if not writes:
        raise InvalidArgument("a commit needs at least one write")
    if len({(write.kind, write.uid) for write in writes}) != len(writes):
        raise InvalidArgument("a commit writes each record at most once")
    for write in writes:
        if len(write.data) > LARGEST_RECORD:
            raise InvalidArgument(
                f"{write.kind} {write.name} takes {len(write.data)} bytes, "
                f"more than the {LARGEST_RECORD} that a record may have"
            )
    return tuple(sorted(writes, key=lambda write: not write.deleted))


def _record(row: tuple[str, str, str, int, bytes, int, int, int]) -> Record:
    kind, uid, name, schema, data, revision, created_revision, created_position = row
    return Record(kind, uid, name, schema, data, revision, (created_revision, created_position))


def _written(row: Sequence[object]) -> Write:
    kind, uid, name, schema, data, deleted, erased = row
    assert isinstance(kind, str)
    assert isinstance(uid, str)
    assert isinstance(name, str)
    assert isinstance(schema, int)
    assert isinstance(data, bytes)
    return Write(kind, uid, name, schema, data, deleted=bool(deleted), erase=bool(erased))
