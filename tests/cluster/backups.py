"""Clusters to make backups of."""

from __future__ import annotations

import sqlite3
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING

from octelium.cluster.bootstrap import bootstrap
from octelium.cluster.layout import Layout
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta
from octelium.store.resources import Resources
from octelium.store.sqlite import SqliteStore
from octelium.store.vault import Vault

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

DOMAIN = "octelium.example"


@asynccontextmanager
async def opened(layout: Layout) -> AsyncIterator[Resources]:
    """The store in a data directory, as the control process opens it."""
    layout.root.mkdir(exist_ok=True)
    for folder in (layout.store, layout.run):
        folder.mkdir(mode=0o700, exist_ok=True)
    store = await SqliteStore.open(layout.store)
    vault = Vault.load(layout.store, {}, create=await store.head() == 0)
    made = Resources(store, vault)
    await made.load()
    try:
        yield made
    finally:
        await made.close()


async def cluster_at(root: Path) -> Layout:
    """A Cluster that does not run, with a Secret `key` at revision 2."""
    made = Layout(root)
    async with opened(made) as resources:
        await bootstrap(resources, DOMAIN, made.ca)
        async with resources.transaction() as tx:
            data = core.SecretData(value="hunter2")
            tx.create(core.Secret(metadata=meta.Metadata(name="key"), data=data))
    return made


def files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, save those that SQLite and the lock have for themselves."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(("-wal", "-shm", "lock"))
    }


def spoil(layout: Layout, statement: str) -> None:
    """Change a store behind the Cluster's back."""
    with closing(sqlite3.connect(layout.store / "store.db")) as database:
        database.execute(statement)
        database.commit()
