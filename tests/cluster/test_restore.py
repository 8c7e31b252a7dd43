from __future__ import annotations

import asyncio
import io
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from octelium.apiserver.watch.watcher import WatchService
from octelium.cluster.archive import BackupError
from octelium.cluster.backup import back_up
from octelium.cluster.layout import Layout
from octelium.cluster.restore import restore
from octelium.schema.pb import container_v1_pb2 as container
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta
from octelium.store.errors import Compacted
from octelium.store.vault import VARIABLE
from tests.apiserver.harness import resource
from tests.apiserver.watch.agreement import Model
from tests.cluster.backups import cluster_at, files, opened, spoil

if TYPE_CHECKING:
    from octelium.apiserver.rpc import Call
    from octelium.store.resources import Resources


@pytest.fixture
async def layout(tmp_path: Path) -> Layout:
    return await cluster_at(tmp_path / "data")


def saved(layout: Layout, *, with_key: bool = True) -> io.BytesIO:
    target = io.BytesIO()
    back_up(layout, target, {}, with_key=with_key)
    return io.BytesIO(target.getvalue())


async def secret(layout: Layout) -> str:
    async with opened(layout) as resources:
        return resources.get(core.Secret, name="key").data.value


async def test_into_an_empty_place(layout: Layout, tmp_path: Path) -> None:
    other = Layout(tmp_path / "other")
    done = restore(other, saved(layout), {})
    assert done.former is None
    assert await secret(other) == "hunter2"
    assert other.ca.read_bytes() == layout.ca.read_bytes()
    modes = {path.name: path.stat().st_mode & 0o777 for path in other.store.iterdir()}
    assert {modes["store.db"], modes["vault.key"]} == {0o600}
    assert other.store.stat().st_mode & 0o777 == 0o700
    assert not [*other.root.glob(".octelium-*")]


async def test_in_place_of_another_which_is_kept(layout: Layout) -> None:
    source = saved(layout)
    async with opened(layout) as resources, resources.transaction() as tx:
        tx.create(core.User(metadata=meta.Metadata(name="later")))
    before = files(layout.store)
    with pytest.raises(BackupError, match="there is a Cluster in") as error:
        restore(layout, source, {})
    assert "--replace" in error.value.remedy
    assert files(layout.store) == before
    source.seek(0)
    done = restore(layout, source, {}, replace=True)
    assert done.former is not None
    assert files(done.former / "store") == before
    async with opened(layout) as resources:
        assert resources.find(core.User, name="later") is None


async def test_where_containers_were_reached_is_not_restored(
    layout: Layout, tmp_path: Path
) -> None:
    """At those addresses may be something else by now, or in another place."""
    async with opened(layout) as resources, resources.transaction() as tx:
        state = container.ContainerState(metadata=meta.Metadata(name="uid-of-a-service"))
        state.status.containers.add(address="10.43.0.7", port=80, ready=True)
        tx.create(state)
    other = Layout(tmp_path / "other")
    restore(other, saved(layout), {}, clock=lambda: 0.0)
    async with opened(other) as resources:
        assert [*resources.items("ContainerState")] == []
        assert resources.find(core.Secret, name="key") is not None
        with pytest.raises(Compacted):
            await resources.commits(resources.revision - 1)
    async with opened(layout) as resources:
        assert len([*resources.items("ContainerState")]) == 1


async def add(resources: Resources, *names: str) -> None:
    for name in names:
        async with resources.transaction() as tx:
            tx.create(core.Group(metadata=meta.Metadata(name=name)))


def watches(resources: Resources) -> WatchService:
    """For everybody who may list."""

    async def authorize(call: Call, method: str) -> bool:
        return call.path.endswith("/Watch") and "List" in method

    async def sleep(_seconds: float) -> None:
        await asyncio.sleep(0)

    return WatchService(resources, authorize, sleep=sleep)


@pytest.mark.parametrize("is_elsewhere", [False, True])
async def test_who_watched_before_takes_everything_anew(
    layout: Layout, tmp_path: Path, is_elsewhere: bool
) -> None:
    """Though more was changed since than before, and on whichever host it is restored."""
    async with opened(layout) as resources:
        async with resources.transaction() as tx:
            session = tx.create(resource("Session", "root-1")).metadata.uid
        source = saved(layout)
        model = Model(resources, watches(resources), session, ["Group"])
        await add(resources, "gone", "other")
        await model.read(until=(former := resources.revision))
        await model.close()
    target = Layout(tmp_path / "elsewhere") if is_elsewhere else layout
    restore(target, source, {}, replace=True)
    async with opened(target) as resources:
        assert resources.revision > former
        before = resources.revision
        await add(resources, "third", "fourth", "fifth")
        assert resources.revision == before + 3
        model.go_to(resources, watches(resources))
        await model.read(until=resources.revision)
        assert model.lists == 2
        assert model.state == model.listed()
        await add(resources, "sixth")
        await model.read(until=resources.revision)
        await model.close()
        assert model.lists == 2
        names = {item.metadata.name for item in model.state.values() if item.kind == "Group"}
        assert {"third", "fourth", "fifth", "sixth"} <= names
        assert not names & {"gone", "other"}


async def test_revisions_of_before_have_no_history(layout: Layout) -> None:
    restore(layout, saved(layout), {}, replace=True)
    async with opened(layout) as resources:
        head = resources.revision
        for revision in (1, 2, 3, head - 1):
            with pytest.raises(Compacted):
                await resources.commits(revision)
            with pytest.raises(Compacted):
                await resources.list_at("Secret", revision)
        assert await resources.commits(head) == []
        assert len(await resources.list_at("Secret", head)) == len(resources.list("Secret"))
        assert await resources.deleted_since("Secret", 0) == []
        secret = resources.get(core.Secret, name="key")
        async with resources.transaction() as tx:
            tx.delete(core.Secret, secret.metadata.uid)
        assert len(await resources.deleted_since("Secret", 0)) == 1
        assert [one.revision for one in await resources.commits(head)] == [head + 1]


async def test_each_restore_is_beyond_all_before_it(layout: Layout) -> None:
    """Even where the clock has been set back, if the store that gives way can tell."""
    source = saved(layout)
    last = 2
    for now in (1000.0, 1000.5, 10.0, 0.0):
        source.seek(0)
        restore(layout, source, {}, replace=True, clock=iter([now]).__next__)
        async with opened(layout) as resources:
            assert resources.revision > last
            await add(resources, "new")
            last = resources.revision
    spoil(layout, "DROP TABLE head")
    source.seek(0)
    restore(layout, source, {}, replace=True)
    async with opened(layout) as resources:
        assert resources.revision > last
        assert back_up(layout, io.BytesIO(), {}).revision == resources.revision


async def test_a_store_that_is_damaged_gives_way(layout: Layout) -> None:
    source = saved(layout)
    (layout.store / "store.db").write_bytes(b"no database at all" * 1000)
    restore(layout, source, {}, replace=True)
    assert await secret(layout) == "hunter2"


async def test_where_a_cluster_runs(layout: Layout) -> None:
    lock = layout.prepare()
    before = files(layout.root)
    with pytest.raises(BackupError, match="in use by another") as error:
        restore(layout, saved(layout), {}, replace=True)
    assert "stop" in error.value.remedy
    os.close(lock)
    assert files(layout.root) == before


async def test_without_the_key(layout: Layout, tmp_path: Path) -> None:
    other = Layout(tmp_path / "other")
    key = (layout.store / "vault.key").read_bytes()
    with pytest.raises(BackupError, match="without the key") as error:
        restore(other, saved(layout, with_key=False), {})
    assert "--key" in error.value.remedy
    wrong = b"A" * 43 + b"=\n"
    with pytest.raises(BackupError, match="sealed with another key"):
        restore(other, saved(layout, with_key=False), {}, key=wrong)
    with pytest.raises(BackupError, match="base64"):
        restore(other, saved(layout, with_key=False), {}, key=b"no key at all")
    assert [*other.root.iterdir()] == []
    environ = {VARIABLE: key.decode().strip()}
    restore(other, saved(layout, with_key=False), environ)
    assert not (other.store / "vault.key").exists()
    restore(other, saved(layout, with_key=False), {}, key=key, replace=True)
    assert await secret(other) == "hunter2"


@pytest.mark.parametrize("length", [0, 100, 5000, -20000])
def test_a_backup_that_was_cut_off_changes_nothing(
    layout: Layout, tmp_path: Path, length: int
) -> None:
    other = Layout(tmp_path / "other")
    restore(other, saved(layout), {})
    before = files(other.root)
    with pytest.raises(BackupError):
        restore(other, io.BytesIO(saved(layout).getvalue()[:length]), {}, replace=True)
    assert files(other.root) == before


def test_a_store_of_a_newer_release_changes_nothing(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Layout(tmp_path / "other")
    source = saved(layout)
    for module in ("octelium.store.database", "octelium.cluster.backup"):
        monkeypatch.setattr(f"{module}.STEPS", 0)
    with pytest.raises(BackupError, match="written by a newer release"):
        restore(other, source, {})
    assert not other.store.exists()


def test_what_does_not_fit_its_manifest(layout: Layout, tmp_path: Path) -> None:
    source = saved(layout).getvalue()
    changed = source.replace(b'"revision": 2', b'"revision": 3')
    assert changed != source
    with pytest.raises(BackupError, match="manifest of this backup differ"):
        restore(Layout(tmp_path / "other"), io.BytesIO(changed), {})


@pytest.mark.skipif(os.geteuid() != 0, reason="only root stands in for other users")
async def test_by_root_for_the_user_of_the_cluster(layout: Layout) -> None:
    owner = 64999
    with tempfile.TemporaryDirectory() as outside:  # pytest's own folders are closed to others
        Path(outside).chmod(0o755)
        other = Layout(Path(outside) / "other")
        other.root.mkdir(mode=0o700)
        os.chown(other.root, owner, owner)
        restore(other, saved(layout), {})
        assert {path.stat().st_uid for path in other.root.rglob("*")} == {owner}
        assert back_up(other, Path(outside) / "x", {}).revision > 2
        assert {path.stat().st_uid for path in other.root.rglob("*")} == {owner}
        assert (Path(outside) / "x").stat().st_uid == 0
        with pytest.raises(BackupError):
            restore(other, io.BytesIO(b""), {}, replace=True)
        # What the Cluster's user cannot read comes into no backup.
        own = Path(outside) / "root's own"
        own.touch(mode=0o600)
        other.ca.unlink()
        other.ca.symlink_to(own)
        with pytest.raises(BackupError, match="Permission denied"):
            back_up(other, Path(outside) / "y", {})
        assert not (Path(outside) / "y").exists()
        assert os.geteuid() == 0
