from __future__ import annotations

import io
import itertools
import os
import sqlite3
import subprocess
import tempfile
import threading
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from octelium.client.client import Client
from octelium.client.settings import Flags
from octelium.client.storage import MemoryStorage
from octelium.client.watching import ChangeType, Watching
from octelium.cluster import archive, backup
from octelium.cluster.archive import BackupError
from octelium.cluster.backup import back_up, examine
from octelium.cluster.layout import Layout
from octelium.cluster.restore import restore
from octelium.schema.kinds import KINDS
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta
from octelium.store import migrations
from octelium.store.database import STEPS
from tests.cluster.backups import DOMAIN, cluster_at, files, opened, spoil
from tests.cluster.conftest import SourceCluster
from tests.e2e.cluster import DOMAIN as SERVED
from tests.e2e.cluster import wait_for

if TYPE_CHECKING:
    from sqlite_utils import Database

    from tests.e2e.cluster import Api


NOBODY = 65534
SETPRIV = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]


@pytest.fixture
async def layout(tmp_path: Path) -> Layout:
    return await cluster_at(tmp_path / "data")


def test_a_backup_has_all_that_a_restore_needs(layout: Layout, tmp_path: Path) -> None:
    target = tmp_path / "there" / "octelium.backup"
    target.parent.mkdir()
    before = files(layout.root)
    made = back_up(layout, target, {})
    assert (made.domain, made.revision) == (DOMAIN, 2)
    assert [*made.members] == ["store.db", "vault.key", "ca.pem"]
    assert target.stat().st_mode & 0o777 == 0o600
    assert [*target.parent.iterdir()] == [target]
    assert files(layout.root) == before
    folder = tmp_path / "out"
    folder.mkdir()
    with target.open("rb") as file:
        archive.extract(file, folder)
    assert (folder / "vault.key").read_bytes() == (layout.store / "vault.key").read_bytes()
    assert examine(folder, {}).revision == 2


def test_the_key_can_be_left_out(layout: Layout, tmp_path: Path) -> None:
    target = io.BytesIO()
    made = back_up(layout, target, {}, with_key=False)
    assert not made.has_key
    key = (layout.store / "vault.key").read_bytes().strip()
    assert key not in target.getvalue()
    environ = {"OCTELIUM_VAULT_KEY": key.decode()}
    (layout.store / "vault.key").unlink()
    made = back_up(layout, io.BytesIO(), environ)
    assert not made.has_key
    with pytest.raises(BackupError, match=r"vault\.key is missing") as error:
        back_up(layout, tmp_path / "x", {})
    assert "OCTELIUM_VAULT_KEY" in error.value.remedy
    assert not (tmp_path / "x").exists()


async def test_logs_if_they_are_wanted(layout: Layout, tmp_path: Path) -> None:
    with closing(sqlite3.connect(layout.logs)) as logs:
        logs.execute("PRAGMA journal_mode = WAL")
        logs.execute("CREATE TABLE entries (x)")
        logs.execute("INSERT INTO entries VALUES (7)")
        logs.commit()
        assert not back_up(layout, io.BytesIO(), {}).has_logs
        target = io.BytesIO()
        assert back_up(layout, target, {}, with_logs=True).has_logs
    archive.extract(io.BytesIO(target.getvalue()), tmp_path)
    with closing(sqlite3.connect(tmp_path / "logs.db")) as copy:
        assert copy.execute("SELECT x FROM entries").fetchall() == [(7,)]


async def test_a_transaction_under_way_is_in_it_whole_or_not_at_all(layout: Layout) -> None:
    async with opened(layout) as resources:
        async with resources.transaction() as tx:
            tx.create(core.User(metadata=meta.Metadata(name="alice")))
            assert back_up(layout, io.BytesIO(), {}).revision == 2
        assert back_up(layout, io.BytesIO(), {}).revision == 3


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (f"PRAGMA user_version = {STEPS + 1}", "newer release"),
        ("PRAGMA application_id = 5", "none of Octelium"),
        ("UPDATE version SET schema = 99", "newer release"),
        ("UPDATE version SET data = x'00' WHERE kind = 'Secret.data'", "sealed with another key"),
        ("DELETE FROM version WHERE kind = 'ClusterConfig'", "no Cluster yet"),
        ("DROP TABLE head", "damaged: no such table"),
    ],
)
def test_a_store_that_cannot_be_restored_makes_no_backup(
    layout: Layout, tmp_path: Path, statement: str, said: str
) -> None:
    spoil(layout, statement)
    with pytest.raises(BackupError, match=said) as error:
        back_up(layout, tmp_path / "x", {})
    assert error.value.remedy
    assert {path.name for path in tmp_path.iterdir()} == {"data"}


def test_a_damaged_file_makes_no_backup(layout: Layout, tmp_path: Path) -> None:
    store = layout.store / "store.db"
    data = bytearray(store.read_bytes())
    data[len(data) // 2 :] = os.urandom(len(data) - len(data) // 2)
    store.write_bytes(bytes(data))
    with pytest.raises(BackupError):
        back_up(layout, tmp_path / "x", {})
    assert {path.name for path in tmp_path.iterdir()} == {"data"}


def test_places_where_none_can_be(layout: Layout, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="there is no Cluster in"):
        back_up(Layout(tmp_path / "nowhere"), tmp_path / "x", {})
    (tmp_path / "x").write_text("mine")
    with pytest.raises(BackupError, match="exists already"):
        back_up(layout, tmp_path / "x", {})
    assert (tmp_path / "x").read_text() == "mine"
    with pytest.raises(BackupError, match="cannot be made"):
        back_up(layout, tmp_path / "no folder" / "x", {})


async def test_where_others_may_write_nobody_else_gets_it(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("not verified: run the tests as root")
    layout = await cluster_at(tmp_path / "data")
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        folder.chmod(0o777)
        target = folder / "octelium.backup"
        # What a stranger lays where a draft could be foreseen, and may read.
        draft = folder / f".{target.name}.partial"
        draft.touch()
        os.chown(draft, NOBODY, NOBODY)
        draft.chmod(0o666)
        read = [*SETPRIV, "cat", "--", str(target)]
        assert back_up(layout, target, {}).has_key
        assert (target.stat().st_uid, target.stat().st_mode & 0o777) == (0, 0o600)
        assert draft.read_bytes() == b""
        assert {path.name for path in folder.iterdir()} == {target.name, draft.name}
        ended = subprocess.run(read, capture_output=True, text=True, check=False)
        assert ended.stdout == ""
        assert "denied" in ended.stderr
        target.unlink()
        target.symlink_to(draft)
        with pytest.raises(BackupError, match="exists already") as error:
            back_up(layout, target, {})
        assert "stdout" in error.value.remedy
        assert draft.read_bytes() == b""


def test_a_store_of_an_earlier_release_is_examined_as_it_will_be(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = [*migrations.MIGRATIONS._migrations]
    monkeypatch.setattr(migrations.MIGRATIONS, "_migrations", steps)

    @migrations.MIGRATIONS(name="m999_extra")
    def extra(db: Database) -> None:
        db.table("extra").create({"id": int}, pk="id")

    monkeypatch.setattr("octelium.store.database.STEPS", STEPS + 1)
    monkeypatch.setattr(backup, "STEPS", STEPS + 1)
    made = back_up(layout, tmp_path / "x", {})
    assert made.revision == 2
    with (tmp_path / "x").open("rb") as file:
        archive.extract(file, tmp_path)
    with closing(sqlite3.connect(tmp_path / "store.db")) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (STEPS,)


def user(name: str) -> core.User:
    made = core.User(metadata=meta.Metadata(name=name))
    made.spec.type = core.UserSpecType__.WORKLOAD
    return made


class Writer(threading.Thread):
    """Makes Users, one after the other, some hundred a second; `acknowledged` says how many."""

    def __init__(self, cluster: SourceCluster) -> None:
        super().__init__()
        self._cluster = cluster
        self.acknowledged = 0
        self.error: BaseException | None = None
        self.ended = threading.Event()

    def run(self) -> None:
        try:
            api = self._cluster.api()
            while not self.ended.wait(0.005):
                api.core("CreateUser", user(f"u{self.acknowledged:06}"))
                self.acknowledged += 1
        except BaseException as error:
            self.error = error


class Follower(threading.Thread):
    """Has the names of all Users, as a client follows them through outages."""

    def __init__(self, cluster: SourceCluster, access_token: str) -> None:
        super().__init__(daemon=True)
        environ = {
            "OCTELIUM_DOMAIN": SERVED,
            "OCTELIUM_API_ENDPOINT": f"127.0.0.1:{cluster.port}",
            "OCTELIUM_ACCESS_TOKEN": access_token,
        }
        flags = Flags(ca_file=str(cluster.data / "ca.pem"))
        storage = MemoryStorage()
        self._client = Client(flags, environ, storage=storage, warn=lambda _text: None)
        self._watching = Watching(self._client.api, [KINDS["User"]])
        items = self._watching.load()
        self._names = {item.metadata.uid: item.metadata.name for item in items}
        self.error: BaseException | None = None

    @property
    def names(self) -> set[str]:
        return set(self._names.copy().values())

    def run(self) -> None:
        try:
            for change in self._watching.changes():
                if change.type is ChangeType.DELETED:
                    del self._names[change.uid]
                else:
                    assert change.type is not ChangeType.RESET
                    self._names[change.uid] = change.resource.metadata.name
        except BaseException as error:
            self.error = error

    def end(self) -> None:
        self._watching.stop()
        self.join()
        self._client.close()


def names_of_users(api: Api) -> set[str]:
    """All of them, however many there are."""
    found: set[str] = set()
    for number in itertools.count():
        page = meta.CommonListOptions(page=number, items_per_page=1000)
        told = api.core("ListUser", core.ListUserOptions(common=page))
        found |= {one.metadata.name for one in told.items}
        if not told.list_response_meta.has_more:
            break
    return found


def test_while_others_write_and_back_again(tmp_path: Path) -> None:
    """A backup of a busy Cluster is one moment of it, with all that was acknowledged before; and
    who was signed in then is signed in to the restored one. Who followed the Cluster has then what
    is there, though more was written since than what is lost.
    """
    cluster = SourceCluster(tmp_path / "busy", workers=1)
    other = SourceCluster(tmp_path / "restored", workers=1, port=cluster.port, admin=cluster.admin)
    try:
        cluster.start()
        api = cluster.api()
        writer = Writer(cluster)
        writer.start()
        wait_for(lambda: writer.acknowledged > 20 or writer.error is not None, 120)
        layout = Layout(cluster.data)
        found: list[tuple[int, int]] = []
        for number in range(3):
            before = writer.acknowledged
            made = back_up(layout, tmp_path / f"{number}.backup", {})
            found.append((before, made.revision))
            more = writer.acknowledged + 5
            wait_for(lambda: writer.acknowledged > more or writer.error is not None, 120)  # noqa: B023  (called within the turn)
        writer.ended.set()
        writer.join()
        assert writer.error is None
        follower = Follower(cluster, api.access_token)
        follower.start()
        api.core("CreateUser", user("seen"))
        wait_for(lambda: "seen" in follower.names or follower.error is not None)
        former = follower.names
        cluster.stop()

        assert [revision for _, revision in found] == sorted({revision for _, revision in found})
        with (tmp_path / "1.backup").open("rb") as file:
            restore(Layout(other.data), file, {})
        other.start()
        again = type(api)(other.channel())
        again.access_token, again.refresh_token = api.access_token, api.refresh_token
        names = names_of_users(again)
        written = {name for name in names if name.startswith("u0")}
        assert len(written) >= found[1][0]
        assert written == {f"u{number:06}" for number in range(len(written))}
        lost = former - names
        assert "seen" in lost
        for number in range(len(lost) + 20):
            again.core("CreateUser", user(f"v{number:06}"))
            names.add(f"v{number:06}")
        wait_for(lambda: follower.names == names or follower.error is not None)
        follower.end()
        assert follower.error is None
        assert follower.names == names
    finally:
        cluster.remove()
        other.remove()
