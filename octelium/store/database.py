"""Opening the file of the embedded store: identification, backup, migration."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from typing import TYPE_CHECKING

from octelium.store.errors import StoreUnusable

if TYPE_CHECKING:
    from pathlib import Path

APPLICATION_ID = 0x6F637465
"""Marks the file as a store of Octelium (https://www.sqlite.org/pragma.html)."""

STEPS = 1
"""How many migration steps there are; the file repeats it in `user_version`."""

_KEPT_BACKUPS = 5


def open_database(path: Path) -> sqlite3.Connection:
    """Open or create the file, with every migration step applied.

    Before the first pending step a copy is put into `backups/` beside the file. Raises
    StoreUnusable, with nothing changed, when the file is foreign, damaged or from a newer
    release, or when a backup or a step fails.
    """
    path.touch(mode=0o600)
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        _prepare(connection, path)
    except sqlite3.DatabaseError as error:
        connection.close()
        raise StoreUnusable(f"{path} cannot be used: {error}; restore it from a backup") from error
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != APPLICATION_ID and tables:
        raise StoreUnusable(f"{path} is not a store of Octelium: choose another data directory")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA secure_delete = ON")
    if application != APPLICATION_ID:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    (steps,) = connection.execute("PRAGMA user_version").fetchone()
    if steps > STEPS:
        raise _newer(path)
    if steps < STEPS:
        _migrate(connection, path, fresh=not tables)


def _migrate(connection: sqlite3.Connection, path: Path, *, fresh: bool) -> None:
    # Imported only when there is work: the library costs a start a tenth of a second.
    from octelium.store import migrations

    if migrations.unknown(connection):
        raise _newer(path)
    pending = migrations.pending(connection)
    backup = None if fresh or not pending else _backup(connection, path)
    try:
        migrations.apply(connection)
    except Exception as error:
        kept = f"; a copy from before is {backup}" if backup else ""
        raise StoreUnusable(
            f"{path} could not be brought to this release ({error}); "
            f"it is as the last complete step left it{kept}"
        ) from error
    connection.execute(f"PRAGMA user_version = {STEPS}")


def _newer(path: Path) -> StoreUnusable:
    return StoreUnusable(
        f"{path} was written by a newer release: run that release, or restore a backup "
        f"from {path.parent / 'backups'}"
    )


def _backup(connection: sqlite3.Connection, path: Path) -> Path:
    """Copy the whole file, durably, before it is migrated."""
    folder = path.parent / "backups"
    copy = folder / f"{path.stem}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.db"
    draft = copy.with_suffix(".partial")
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        draft.unlink(missing_ok=True)
        draft.touch(mode=0o600)
        connection.execute("VACUUM INTO ?", (str(draft),))
        _sync(draft)
        draft.rename(copy)
        _sync(folder)
    except (OSError, sqlite3.DatabaseError) as error:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise StoreUnusable(
            f"{path} needs a migration, but no backup can be made in {folder} ({error}): "
            "free some space; nothing was changed"
        ) from error
    for old in sorted(folder.glob(f"{path.stem}-*.db"))[:-_KEPT_BACKUPS]:
        old.unlink()
    return copy


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
