from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

import octelium
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.schema_id import SCHEMA_ID
from octelium.store import upgrades
from octelium.store.errors import StoreUnusable
from octelium.store.resources import Resources
from octelium.store.sqlite import SqliteStore
from octelium.store.upgrades import UPGRADES, upgraded
from octelium.store.vault import Vault
from tests.store.release import FOLDER, KEY

if TYPE_CHECKING:
    from pathlib import Path


def test_every_earlier_schema_can_be_upgraded() -> None:
    assert set(UPGRADES) == set(range(1, SCHEMA_ID))


def test_current_bytes_stay_as_they_are() -> None:
    assert upgraded("Group", SCHEMA_ID, b"\0\1") == b"\0\1"


def test_newer_bytes_are_refused() -> None:
    with pytest.raises(StoreUnusable, match="Group of a newer release"):
        upgraded("Group", SCHEMA_ID + 1, b"")


def test_steps_follow_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upgrades, "SCHEMA_ID", 3)
    monkeypatch.setattr(
        upgrades,
        "UPGRADES",
        {1: lambda kind, data: data + kind.encode(), 2: lambda kind, data: data * 2},
    )
    assert upgraded("Group", 1, b"-") == b"-Group-Group"
    assert upgraded("Group", 2, b"-") == b"--"


@pytest.mark.parametrize("release", sorted(FOLDER.glob("*.db")), ids=lambda path: path.stem)
async def test_the_store_of_every_release_opens_whole(tmp_path: Path, release: Path) -> None:
    shutil.copy(release, tmp_path / "store.db")
    resources = Resources(await SqliteStore.open(tmp_path), Vault([KEY]))
    await resources.load()
    assert resources.revision == 2
    service = resources.get(core.Service, name="wiki.default")
    assert service.spec.mode == core.ServiceSpecMode__.HTTP
    assert service.spec.is_public
    assert service.spec.config.upstream.url == "https://wiki.example.com"
    assert service.metadata.last_resource_version
    namespace = resources.get(core.Namespace, name="default")
    assert service.status.namespace_ref.uid == namespace.metadata.uid
    assert namespace.metadata.actor_ref.name == "root-abcdef"
    assert resources.get(core.Secret, name="wiki-key").data.value == "hunter2"
    assert resources.get(core.Config, name="files").data.value_bytes == b"\0\1\2"
    session = resources.get(core.Session, name="root-abcdef")
    assert [one.token_id for one in session.status.last_authentications] == ["former"]
    assert resources.find(core.Group, name="gone") is None
    versions = await resources.history("Service", service.metadata.uid)
    assert [version.revision for version in versions] == [2, 1]
    async with resources.transaction() as tx:
        service.spec.is_public = False
        tx.update(service)
    assert tx.revision == 3
    await resources.close()


def test_the_current_release_has_its_file() -> None:
    assert (FOLDER / f"{octelium.__version__}.db").exists(), "python -m tests.store.release"
