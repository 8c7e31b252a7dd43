"""A backup of a Cluster, running or not, as one file.

The store is copied by SQLite's online backup (https://www.sqlite.org/backup.html) as it is at one
revision; whoever writes meanwhile does not wait. The copy is examined before it counts: whether it
is whole, and whether the key that goes with it opens every Secret.

Not in a backup: the settings, what only lives in memory (connections, half-finished logins), and
the access log unless it is wanted.
"""

from __future__ import annotations

import importlib
import os
import shutil
import sqlite3
import tempfile
import time
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import octelium
from octelium.cluster import archive, private_file
from octelium.cluster.archive import AUTHORITY, KEY, LOGS, STORE, BackupError, Manifest
from octelium.cluster.owner import acting_as
from octelium.cluster.private_file import PrivateFileError
from octelium.schema.pb import core_v1_pb2 as core
from octelium.store.database import APPLICATION_ID, STEPS, open_database
from octelium.store.errors import StoreUnusable
from octelium.store.state import State
from octelium.store.tables import Tables
from octelium.store.vault import KEY_FILE, VARIABLE, Vault

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from octelium.cluster.layout import Layout

_DISK = "see whether there is room, and whether the disk is well"
_KEYS = f"the key of its Secrets is {KEY_FILE} in store/, or {VARIABLE} in the environment"


def back_up(
    layout: Layout,
    target: Path | IO[bytes],
    environ: Mapping[str, str],
    *,
    with_key: bool = True,
    with_logs: bool = False,
) -> Manifest:
    """Write a backup of the Cluster in a data directory; what it holds.

    A file gets mode 0600, and its name only when it is complete. With the key in the environment
    (`OCTELIUM_VAULT_KEY`) the backup has none.

    Raises:
        BackupError: there is no Cluster, the file exists, or the store or its key is damaged.
    """
    if not (layout.store / STORE).is_file():
        raise BackupError(f"there is no Cluster in {layout.root}", "correct --data-dir")
    try:
        with _opened_target(target) as file, as_owner(layout.root):
            layout.run.mkdir(mode=0o700, exist_ok=True)
            with scratch(layout.run) as folder:
                _gather(layout, folder, with_logs=with_logs)
                has_file = not environ.get(VARIABLE, "").strip()
                if has_file:
                    _copy_key(layout.store / KEY_FILE, folder / KEY)
                manifest = examine(folder, {} if has_file else environ)
                if not with_key:
                    (folder / KEY).unlink(missing_ok=True)
                return archive.write(file, manifest, folder)
    except PermissionError as error:
        remedy = "run this as root, or as the user that runs the Cluster"
        raise BackupError(f"{error.filename}: {error.strerror}", remedy) from error
    except (OSError, sqlite3.Error) as error:
        raise BackupError(f"the backup cannot be made: {error}", _DISK) from error


def examine(folder: Path, environ: Mapping[str, str]) -> Manifest:
    """Whether the copy of a store is whole, of this release or an earlier one, and opens with the
    key beside it or else in the environment.

    Raises:
        BackupError: it is not; the text says what is wrong.
    """
    store = folder / STORE
    try:
        with _opened(store) as database:
            tables, state = Tables(database), State()
            head = tables.head()
            state.load(tables.records(None, None), head)
        vault = Vault.load(folder, environ, create=False)
        for item in state.items():
            if item.kind == "Secret":
                item.whole(vault)
    except sqlite3.Error as error:
        raise BackupError(f"the store is damaged: {error}", _DISK) from error
    except StoreUnusable as error:
        raise BackupError(str(error), _KEYS) from error
    config = next((item for item in state.items() if item.kind == "ClusterConfig"), None)
    if config is None or not isinstance(config.message, core.ClusterConfig):
        raise BackupError("the store holds no Cluster yet", "start the Cluster first")
    made = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return Manifest(config.message.status.domain, head, made, octelium.__version__)


@contextmanager
def _opened(store: Path) -> Iterator[sqlite3.Connection]:
    """A store's file, or if it is of an earlier release a copy that is brought to this one."""
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as database:
        (application,) = database.execute("PRAGMA application_id").fetchone()
        (steps,) = database.execute("PRAGMA user_version").fetchone()
        if application != APPLICATION_ID:
            raise BackupError("the store is none of Octelium", "correct the name of the file")
        if steps > STEPS:
            newer = "the store was written by a newer release"
            raise BackupError(newer, "use octops of that release")
        rows = [str(row[0]) for row in database.execute("PRAGMA integrity_check(3)")]
        if rows != ["ok"]:
            raise BackupError(f"the store is damaged: {'; '.join(rows)}", _DISK)
        if steps == STEPS:
            yield database
            return
    with scratch(store.parent) as aside:
        shutil.copyfile(store, aside / STORE)
        with closing(open_database(aside / STORE)) as database:
            yield database


@contextmanager
def scratch(beside: Path) -> Iterator[Path]:
    """A folder for a while, that nobody else can read."""
    folder = Path(tempfile.mkdtemp(prefix=".octelium-backup-", dir=beside))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _gather(layout: Layout, folder: Path, *, with_logs: bool) -> None:
    _copy(layout.store / STORE, folder / STORE)
    if with_logs and layout.logs.exists():
        _copy(layout.logs, folder / LOGS)
    if layout.ca.exists():
        shutil.copyfile(layout.ca, folder / AUTHORITY)


def _copy(source: Path, target: Path) -> None:
    """A copy of a database at one instant, which needs no log beside it."""
    target.touch(mode=0o600)
    with (
        closing(sqlite3.connect(f"file:{source}?mode=rw", uri=True)) as database,
        closing(sqlite3.connect(target)) as copy,
    ):
        database.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")


def _copy_key(source: Path, target: Path) -> None:
    if not source.exists():
        raise BackupError(f"{source} is missing", _KEYS)
    target.touch(mode=0o600)
    target.write_bytes(source.read_bytes())


@contextmanager
def _opened_target(target: Path | IO[bytes]) -> Iterator[IO[bytes]]:
    """What to write to. A file gets its name when the block has ended well, and is gone else."""
    if not isinstance(target, Path):
        yield target
        target.flush()
        return
    try:
        with private_file.complete(target) as file:
            yield file
    except PrivateFileError as error:
        remedy = f"{error.remedy}, or - to write to stdout"
        raise BackupError(error.problem, remedy) from error


@contextmanager
def as_owner(root: Path) -> Iterator[None]:
    """Be the owner of a folder, if this is root: no link in it leads where only root may go."""
    owner = root.stat() if root.exists() else None
    if os.geteuid() != 0 or owner is None or owner.st_uid == 0:
        yield
        return
    # Loaded now: the owner may not be able to read where root's code is.
    importlib.import_module("octelium.store.migrations")
    with acting_as(owner.st_uid, owner.st_gid):
        yield


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
