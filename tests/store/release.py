"""A store as a release writes it, kept so that every later release is seen to open it.

`python -m tests.store.release` writes that of the release at hand into `tests/store/releases/`;
a file that was released is never written again.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

import octelium
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta
from octelium.store.resources import Actor, Resources
from octelium.store.sqlite import SqliteStore
from octelium.store.vault import Vault

FOLDER = Path(__file__).parent / "releases"
KEY = bytes(range(32))
ACTOR = Actor(meta.ObjectReference(kind="Session", name="root-abcdef"), "some/Operation")


async def write(directory: Path) -> None:
    """Fill a store with one resource of every shape that is stored."""
    resources = Resources(await SqliteStore.open(directory), Vault([KEY]))
    await resources.load()
    async with resources.transaction(ACTOR) as tx:
        namespace = tx.create(core.Namespace(metadata=meta.Metadata(name="default")))
        service = core.Service(metadata=meta.Metadata(name="wiki.default"))
        service.spec.mode = core.ServiceSpecMode__.HTTP
        service.spec.config.upstream.url = "https://wiki.example.com"
        service.spec.config.http.auth.bearer.from_secret = "wiki-key"
        service.status.namespace_ref.uid = namespace.metadata.uid
        tx.create(service)
        key = core.SecretData(value="hunter2")
        tx.create(core.Secret(metadata=meta.Metadata(name="wiki-key"), data=key))
        data = core.ConfigData(value_bytes=b"\0\1\2")
        tx.create(core.Config(metadata=meta.Metadata(name="files"), data=data))
        session = core.Session(metadata=meta.Metadata(name="root-abcdef"))
        session.status.last_authentications.add(token_id="former")
        tx.create(session)
        tx.create(core.Group(metadata=meta.Metadata(name="gone")))
    async with resources.transaction() as tx:
        service = tx.get(core.Service, name="wiki.default")
        service.spec.is_public = True
        tx.update(service)
        tx.delete("Group", tx.get(core.Group, name="gone").metadata.uid)
    await resources.close()


def main() -> None:
    """Write the file of this release, unless it exists."""
    target = FOLDER / f"{octelium.__version__}.db"
    if target.exists():
        sys.exit(f"{target} exists: raise the version first")
    with tempfile.TemporaryDirectory() as scratch:
        asyncio.run(write(Path(scratch)))
        shutil.copy(Path(scratch) / "store.db", target)


if __name__ == "__main__":
    main()
