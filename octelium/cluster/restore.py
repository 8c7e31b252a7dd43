"""A Cluster as it was when its backup was made.

Everything is taken out of the archive and examined beside the data directory's own files first;
then it takes their place, and what was there before is kept under another name.

The store goes on at a revision that the Cluster cannot have had. So whoever watched it before is
told to list anew, and takes no later change for one that it has seen. What was so only where the
backup was made, as where containers are reached, is left out: it is told anew.
"""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import chain, count
from typing import IO, TYPE_CHECKING, Final

from octelium.cluster import archive
from octelium.cluster.archive import AUTHORITY, KEY, LOGS, STORE, BackupError, Manifest
from octelium.cluster.backup import as_owner, examine, scratch, sync_folder
from octelium.cluster.layout import DataDirectoryError
from octelium.store.database import open_database
from octelium.store.errors import StoreUnusable
from octelium.store.interface import Write
from octelium.store.tables import Tables
from octelium.store.vault import KEY_FILE, VARIABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from octelium.cluster.layout import Layout

_ELSEWHERE: Final = "ContainerState"
"""The kind of what is told of another system than the Cluster."""
_EACH_SECOND: Final = 1_000_000
"""Revisions, more than any store can make. Numbers of this size are exact in a JSON reader that
has doubles only (RFC 8259, section 6)."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored, and where the former data is; None if there was none."""

    manifest: Manifest
    former: Path | None


def restore(
    layout: Layout,
    source: IO[bytes],
    environ: Mapping[str, str],
    *,
    key: bytes | None = None,
    replace: bool = False,
    clock: Callable[[], float] = time.time,
) -> Restored:
    """Put the Cluster of a backup into a data directory that no Cluster uses.

    `key` is the content of a key file, for a backup without; `replace` lets a Cluster
    that is there give way. Run by root, the files belong to the owner of the data directory.

    Raises:
        BackupError: that cannot be. Nothing has changed then.
    """
    try:
        with as_owner(layout.root):
            lock = layout.prepare()
            try:
                return _restore(layout, source, environ, key, clock, replace=replace)
            finally:
                layout.withdraw()
                os.close(lock)
    except DataDirectoryError as error:
        raise BackupError(str(error), "stop the Cluster: systemctl stop octelium") from error
    except (OSError, sqlite3.Error, StoreUnusable) as error:
        raise BackupError(f"the backup cannot be restored: {error}", "see the disk") from error


def _restore(
    layout: Layout,
    source: IO[bytes],
    environ: Mapping[str, str],
    key: bytes | None,
    clock: Callable[[], float],
    *,
    replace: bool,
) -> Restored:
    is_there = (layout.store / STORE).exists()
    if is_there and not replace:
        raise BackupError(
            f"there is a Cluster in {layout.root}",
            "--replace puts the backup in its place, and keeps it beside",
        )
    with scratch(layout.root) as folder:
        manifest = archive.extract(source, folder)
        if not manifest.has_key:
            _take_key(key, folder, environ)
        has_file = (folder / KEY).exists()
        found = examine(folder, {} if has_file else environ)
        if (found.domain, found.revision) != (manifest.domain, manifest.revision):
            raise BackupError("store and manifest of this backup differ", "take another backup")
        heads = [found.revision, _head(layout.store / STORE)]
        now = clock()
        revision = max(int(now * _EACH_SECOND), *(head + 1 for head in heads))
        _begin_anew(folder / STORE, revision, now)
        store = folder / "store"
        store.mkdir(mode=0o700)
        (folder / STORE).rename(store / STORE)
        if has_file:
            (folder / KEY).rename(store / KEY_FILE)
        sync_folder(store)
        former = _put_aside(layout, manifest) if is_there else None
        store.rename(layout.store)
        for name, place in ((AUTHORITY, layout.ca), (LOGS, layout.logs)):
            if (folder / name).exists():
                (folder / name).rename(place)
        sync_folder(layout.root)
    return Restored(manifest, former)


def _head(store: Path) -> int:
    """The last revision of a store that gives way; 0 where it does not tell.

    It may be what has to be replaced. By the clock its revisions lie before the new ones anyway.
    """
    with (
        suppress(sqlite3.Error),
        closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as database,
    ):
        (head,) = database.execute("SELECT max(revision) FROM head").fetchone()
        return int(head or 0)
    return 0


def _begin_anew(store: Path, revision: int, at: float) -> None:
    tables = Tables(open_database(store))
    try:
        head = tables.head()
        if gone := [
            Write(each.kind, each.uid, each.name, each.schema, each.data, deleted=True)
            for each in tables.records(_ELSEWHERE, None)
        ]:
            head = tables.commit(gone, base=head, at=at).revision
        tables.begin_anew(max(revision, head + 1))
    finally:
        tables.close()


def _take_key(key: bytes | None, folder: Path, environ: Mapping[str, str]) -> None:
    if key is None:
        if not environ.get(VARIABLE, "").strip():
            remedy = f"give --key FILE, or set {VARIABLE}"
            raise BackupError("this backup is without the key of its Secrets", remedy)
        return
    path = folder / KEY
    path.touch(mode=0o600)
    path.write_bytes(key)


def _put_aside(layout: Layout, manifest: Manifest) -> Path:
    """Keep what gives way, in a folder of its own; where that is."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    names = (f"replaced-{stamp}{suffix}" for suffix in chain([""], map("-{}".format, count(2))))
    former = next(path for name in names if not (path := layout.root / name).exists())
    former.mkdir(mode=0o700)
    if manifest.has_logs:
        for path in layout.root.glob(f"{LOGS}*"):
            path.rename(former / path.name)
    if layout.ca.exists():
        layout.ca.rename(former / AUTHORITY)
    layout.store.rename(former / "store")
    return former
