"""The tables of the embedded store, and every step that led to them.

A step is never edited once released: a new one is added below it. Each runs in a transaction of
its own together with the note that it ran, so a failing step leaves the file as it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

if TYPE_CHECKING:
    import sqlite3

MIGRATIONS = Migrations("octelium-store")


@MIGRATIONS()
def m001_versions(db: Database) -> None:
    """One row per version of a record; `replaced` is the revision that ended it.

    The current version of a record is the one that nothing replaced. A deletion is a row that
    ends with its own revision, so it never counts as a version to be read.
    """
    db.table("version").create(
        {
            "id": int,
            "revision": int,
            "position": int,
            "at": float,
            "kind": str,
            "uid": str,
            "name": str,
            "schema": int,
            "created_revision": int,
            "created_position": int,
            "replaced": int,
            "deleted": int,
            "erased": int,
            "data": bytes,
        },
        pk="id",
        not_null={
            "revision",
            "position",
            "at",
            "kind",
            "uid",
            "name",
            "schema",
            "created_revision",
            "created_position",
            "deleted",
            "erased",
            "data",
        },
        strict=True,
    )
    db.execute("CREATE UNIQUE INDEX version_order ON version (revision, position)")
    db.execute("CREATE UNIQUE INDEX version_history ON version (kind, uid, revision)")
    db.execute("CREATE INDEX version_replaced ON version (kind, replaced)")
    db.execute("CREATE UNIQUE INDEX version_current ON version (kind, uid) WHERE replaced IS NULL")
    db.execute("CREATE UNIQUE INDEX version_name ON version (kind, name) WHERE replaced IS NULL")
    db.table("floor").create({"kind": str, "revision": int}, pk="kind", strict=True)
    db.table("head").create({"id": int, "revision": int}, pk="id", strict=True)
    db.table("head").insert({"id": 0, "revision": 0})


def pending(connection: sqlite3.Connection) -> list[str]:
    """Names of the steps that a file still needs. Reads only."""
    return [step.name for step in MIGRATIONS.pending(Database(connection))]


def unknown(connection: sqlite3.Connection) -> list[str]:
    """Names of steps that ran on a file but that this release does not know. Reads only."""
    known = {step.name for step in MIGRATIONS.pending(Database(memory=True))}
    return [
        step.name for step in MIGRATIONS.applied(Database(connection)) if step.name not in known
    ]


def apply(connection: sqlite3.Connection) -> None:
    """Run the pending steps, each in a transaction. Raises what SQLite raises."""
    MIGRATIONS.apply(Database(connection))
