from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octelium.schema.pb import core_v1_pb2 as core
from octelium.store.errors import (
    AlreadyExists,
    Compacted,
    NotFound,
    PermissionDenied,
    StoreUnusable,
    Unavailable,
)
from octelium.store.interface import Commit, Write
from octelium.store.resources import Committed, Resources
from octelium.store.retention import Retention
from octelium.store.sqlite import SqliteStore
from tests.peers.timing import calls_awaited
from tests.store.samples import Clock, group, named, put, secret, session, vault

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

WRITER = """
import asyncio, sys
from pathlib import Path
from octelium.schema.pb import core_v1_pb2 as core, meta_v1_pb2 as meta
from octelium.store.resources import Resources
from octelium.store.sqlite import SqliteStore
from octelium.store.vault import Vault

async def main():
    store = await SqliteStore.open(Path(sys.argv[1]))
    resources = Resources(store, Vault([b"k" * 32]))
    await resources.load()
    number = resources.revision
    while True:
        number += 1
        async with resources.transaction() as tx:
            for kind in (core.Group, core.Secret):
                name = f"{kind.__name__.lower()}-{number}"
                message = kind(metadata=meta.Metadata(name=name))
                if kind is core.Secret:
                    message.data.value = f"value {number}"
                tx.create(message)
            if number > 3:
                gone = tx.get(core.Secret, name=f"secret-{number - 3}")
                tx.delete("Secret", gone.metadata.uid)
        sys.stdout.write(f"{tx.revision}\\n")
        sys.stdout.flush()

asyncio.run(main())
"""


async def reopened(resources: Resources, directory: Path) -> Resources:
    await resources.close()
    again = Resources(await SqliteStore.open(directory), vault())
    await again.load()
    return again


async def test_everything_is_there_after_a_restart(resources: Resources, tmp_path: Path) -> None:
    for message in (group("staff"), secret("key", "hunter2"), session("root-x", authentications=3)):
        await put(resources, message)
    gone = await put(resources, secret("gone", "x"))
    async with resources.transaction() as tx:
        tx.delete("Secret", gone)
    before = {kind: resources.list(kind, whole=True) for kind in ("Group", "Secret", "Session")}
    again = await reopened(resources, tmp_path / "data")
    assert {kind: again.list(kind, whole=True) for kind in before} == before
    assert again.revision == 5
    await again.close()


async def test_an_error_in_the_block_drops_everything(resources: Resources) -> None:
    async def refused() -> None:
        async with resources.transaction() as tx:
            tx.create(group("staff"))
            raise PermissionDenied("no")

    with pytest.raises(PermissionDenied):
        await refused()
    assert resources.revision == 0
    assert resources.count("Group") == 0
    await put(resources, group("staff"))


async def test_a_thousand_services_are_one_transaction_that_costs_as_ten_of_a_hundred(
    resources: Resources,
) -> None:
    async def create(count: int) -> None:
        async with resources.transaction() as tx:
            for number in range(count):
                message = core.Service(metadata=named(f"svc-{resources.revision}-{number}.default"))
                message.spec.config.upstream.url = "https://backend.example.com"
                tx.create(message)

    await create(1)  # what is done once
    hundred = await calls_awaited(lambda: create(100))
    thousand = await calls_awaited(lambda: create(1000))
    assert thousand < 11 * hundred
    assert (resources.count("Service"), resources.revision) == (1101, 3)


async def test_transactions_run_one_at_a_time(resources: Resources) -> None:
    await put(resources, group("counter"))

    async def increment() -> None:
        async with resources.transaction() as tx:
            message = tx.get(core.Group, name="counter")
            await asyncio.sleep(0)
            number = int(message.metadata.description or 0)
            message.metadata.description = str(number + 1)
            tx.update(message)

    await asyncio.gather(*(increment() for _ in range(50)))
    assert resources.get(core.Group, name="counter").metadata.description == "50"
    assert resources.revision == 51


async def test_a_one_off_is_consumed_once(resources: Resources) -> None:
    """Consuming and checking are one transaction, so of many takers one gets it."""
    uid = await put(resources, secret("invitation", "once"))

    async def take(number: int) -> int:
        async with resources.transaction() as tx:
            tx.delete("Secret", uid)
            await asyncio.sleep(0)
            tx.create(group(f"member-{number}"))
        return number

    outcomes = await asyncio.gather(*(take(n) for n in range(20)), return_exceptions=True)
    winners = [outcome for outcome in outcomes if isinstance(outcome, int)]
    assert len(winners) == 1
    assert all(isinstance(o, int | NotFound) for o in outcomes)
    assert [g.metadata.name for g in resources.list(core.Group)] == [f"member-{winners[0]}"]


async def test_a_transaction_within_a_transaction_is_refused(resources: Resources) -> None:
    async with resources.transaction():
        with pytest.raises(RuntimeError, match="within a transaction"):
            async with resources.transaction():
                pass
    await put(resources, group("staff"))


async def test_waiting_for_too_long_is_unavailable(
    resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("octelium.store.resources._PATIENCE", 0.01)
    release = asyncio.Event()

    async def hold() -> None:
        async with resources.transaction():
            await release.wait()

    async def wait() -> None:
        with pytest.raises(Unavailable, match="holds the store"):
            async with resources.transaction():
                pass
        release.set()

    await asyncio.gather(hold(), wait())
    await put(resources, group("staff"))


async def test_nobody_is_refused_while_those_before_are_done_one_after_the_other(
    resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    now = loop.time()
    monkeypatch.setattr(loop, "time", lambda: now)
    entered: list[int] = []
    turns = [asyncio.Event() for _ in range(20)]

    async def one(number: int) -> None:
        async with resources.transaction():
            entered.append(number)
            await turns[number].wait()

    waiting = asyncio.gather(*(one(number) for number in range(20)))
    for number, turn in enumerate(turns):
        while len(entered) <= number:
            await asyncio.sleep(0)
        now += 20.0  # of the 30 s that one may take
        turn.set()
    await waiting
    assert entered == [*range(20)]


class Stubborn:
    """A store whose next commit fails before or after it took effect."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self.fail = ""

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def commit(self, writes: Sequence[Write], *, base: int, at: float) -> Commit:
        fail, self.fail = self.fail, ""
        if fail == "before":
            raise Unavailable("the disk is full")
        commit = await self._store.commit(writes, base=base, at=at)
        if fail == "after":
            raise Unavailable("the disk failed")
        return commit


@pytest.fixture
async def stubborn(store: SqliteStore) -> tuple[Stubborn, Resources]:
    stubborn = Stubborn(store)
    resources = Resources(stubborn, vault())  # type: ignore[arg-type]  # stands in for a Store
    await resources.load()
    return stubborn, resources


async def test_a_commit_that_failed_is_not_visible(
    stubborn: tuple[Stubborn, Resources],
) -> None:
    store, resources = stubborn
    store.fail = "before"
    with pytest.raises(Unavailable):
        await put(resources, group("staff"))
    assert resources.count("Group") == 0
    await put(resources, group("staff"))
    assert resources.revision == 1


async def test_a_commit_of_unknown_outcome_is_looked_up_before_the_next(
    stubborn: tuple[Stubborn, Resources],
) -> None:
    store, resources = stubborn
    seen: list[int] = []
    resources.subscribe(lambda committed: seen.append(committed.revision))
    store.fail = "after"
    with pytest.raises(Unavailable):
        await put(resources, group("staff"))
    async with resources.transaction() as tx:
        with pytest.raises(AlreadyExists):
            tx.create(group("staff"))
        tx.create(group("ops"))
    assert seen == [1, 2]
    assert resources.count("Group") == 2


async def test_a_foreign_writer_is_noticed(resources: Resources, store: SqliteStore) -> None:
    await put(resources, group("staff"))
    mine = resources.get(core.Group, name="staff")
    foreign = Write("Group", "foreign", "ops", 1, group("ops").SerializeToString())
    await store.commit([foreign], base=1, at=0.0)
    mine.metadata.description = "changed"
    with pytest.raises(Exception, match="revision 2, not at 1"):
        async with resources.transaction() as tx:
            tx.update(mine)
    async with resources.transaction() as tx:
        assert tx.find(core.Group, name="ops") is not None
        tx.update(mine)
    assert resources.revision == 3


async def test_a_cancelled_author_leaves_store_and_memory_equal(
    resources: Resources, tmp_path: Path
) -> None:
    for number in range(30):

        async def author(name: str) -> None:
            async with resources.transaction() as tx:
                tx.create(group(name))

        task = asyncio.gather(author(f"group-{number}"))
        for _ in range(number % 6):
            await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    await put(resources, group("last"))
    names = [one.metadata.name for one in resources.list(core.Group)]
    revision = resources.revision
    again = await reopened(resources, tmp_path / "data")
    assert [one.metadata.name for one in again.list(core.Group)] == names
    assert again.revision == revision == len(names)
    await again.close()


async def test_subscribers_see_every_commit_before_its_author_goes_on(
    resources: Resources,
) -> None:
    seen: list[Committed] = []
    unsubscribe = resources.subscribe(seen.append)
    uid = await put(resources, group("staff"))
    assert [committed.revision for committed in seen] == [1]
    async with resources.transaction() as tx:
        tx.delete("Group", uid)
    [change] = seen[1].changes
    assert (change.kind, change.uid, change.name, change.after) == ("Group", uid, "staff", None)
    assert change.before is not None
    assert change.before.message.metadata.name == "staff"
    unsubscribe()
    await put(resources, group("staff"))
    assert len(seen) == 2


async def test_of_sessions_no_message_is_kept_once_all_have_seen_the_commit(
    resources: Resources,
) -> None:
    seen: list[tuple[Any, Any]] = []

    def see(committed: Committed) -> None:
        for change in committed.changes:
            assert change.after is not None
            seen.append((change.after, change.after.message))

    resources.subscribe(see)
    await put(resources, session("alice-1", user="u"))
    await put(resources, group("staff"))
    (kept, message), (staff, _) = seen
    assert (kept.kind, kept._message) == ("Session", None)
    assert kept.message == message
    assert staff._message is not None


async def test_a_failing_subscriber_harms_nobody_and_is_logged(
    resources: Resources, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: Committed) -> None:
        raise ValueError("broken listener")

    seen: list[Committed] = []
    resources.subscribe(fail)
    resources.subscribe(seen.append)
    await put(resources, group("staff"))
    assert len(seen) == 1
    assert "a subscriber failed at revision 1" in caplog.text
    assert "broken listener" in caplog.text


async def test_secret_data_is_never_on_disk_and_goes_with_its_secret(
    resources: Resources, store: SqliteStore, tmp_path: Path
) -> None:
    uid = await put(resources, secret("key", "hunter2-in-the-clear"))
    sealed = await store.get("Secret.data", uid)
    assert sealed is not None
    on_disk = [file.read_bytes() for file in (tmp_path / "data").iterdir()]
    assert any(sealed.data in content for content in on_disk)
    assert not any(b"hunter2" in content for content in on_disk)
    message = resources.get(core.Secret, uid=uid)
    message.data.value = "second"
    async with resources.transaction() as tx:
        tx.update(message)
    async with resources.transaction() as tx:
        tx.delete("Secret", uid)
    assert not any(sealed.data in file.read_bytes() for file in (tmp_path / "data").iterdir())
    assert [v.write.data for v in await store.history("Secret.data", uid)] == [b"", b"", b""]
    versions = await resources.history("Secret", uid)
    assert [version.message.metadata.name for version in versions] == ["key"] * 3
    assert not any(version.message.HasField("data") for version in versions)


async def test_without_its_key_a_store_with_secrets_does_not_load(
    resources: Resources, tmp_path: Path
) -> None:
    await put(resources, secret("key", "hunter2"))
    await resources.close()
    store = await SqliteStore.open(tmp_path / "data")
    with pytest.raises(StoreUnusable, match="sealed with another key"):
        await Resources(store, vault(b"z" * 32)).load()
    await store.close()


async def test_history_and_former_states_can_be_read(resources: Resources, clock: Clock) -> None:
    uid = await put(resources, group("staff"))
    clock.now += 10
    async with resources.transaction() as tx:
        message = tx.get(core.Group, uid=uid)
        message.metadata.description = "new"
        tx.update(message)
        tx.create(group("ops"))
    versions = await resources.history("Group", uid)
    assert [(v.revision, v.message.metadata.description) for v in versions] == [(2, "new"), (1, "")]
    assert versions[0].at == clock.now
    assert [m.metadata.name for m in await resources.list_at("Group", 1)] == ["staff"]
    assert [m.metadata.name for m in await resources.list_at("Group", 2)] == ["staff", "ops"]


async def test_what_was_deleted_lately_has_last_words(resources: Resources, clock: Clock) -> None:
    began = clock.now
    uids = [await put(resources, group(name)) for name in ("early", "staff", "ops", "kept")]
    for uid in uids[:3]:
        clock.now += 10
        async with resources.transaction() as tx:
            tx.delete(core.Group, uid)
    await put(resources, secret("key", "x"))
    found = await resources.deleted_since("Group", began + 10)
    assert [(at, one.metadata.name) for at, one in found] == [
        (began + 20, "staff"),
        (began + 30, "ops"),
    ]
    assert await resources.deleted_since("Group", clock.now) == []
    assert len(await resources.deleted_since("Group", 0)) == 3
    assert await resources.deleted_since("Secret", 0) == []


async def test_last_words_reach_back_no_further_than_the_window(store: SqliteStore) -> None:
    resources = Resources(store, vault(), retention=Retention(window=4, interval=2))
    await resources.load()
    for number in range(8):
        uid = await put(resources, session(f"root-{number}"))
        async with resources.transaction() as tx:
            tx.delete(core.Session, uid)
    names = [one.metadata.name for _, one in await resources.deleted_since("Session", 0)]
    assert names == ["root-6", "root-7"]


async def test_sessions_are_remembered_no_longer_than_the_window(store: SqliteStore) -> None:
    resources = Resources(store, vault(), retention=Retention(window=4, interval=2))
    await resources.load()
    session_uid = await put(resources, session("root-x", authentications=1))
    group_uid = await put(resources, group("staff"))
    for number in range(10):
        async with resources.transaction() as tx:
            light = tx.get(core.Session, uid=session_uid)
            light.status.total_authentications = number + 1
            light.status.last_authentications[0].token_id = f"token-{number}"
            tx.update(light)
            staff = tx.get(core.Group, uid=group_uid)
            staff.metadata.description = str(number)
            tx.update(staff)
    assert len(await resources.history("Group", group_uid)) == 11
    assert len(await resources.history("Session", session_uid)) == 5
    assert len(await store.history("Session.past", session_uid)) == 5
    assert [commit.revision for commit in await store.commits(8)] == [9, 10, 11, 12]
    with pytest.raises(Compacted):
        await store.commits(7)


async def test_closing_waits_for_the_transaction_under_way(resources: Resources) -> None:
    begun, release = asyncio.Event(), asyncio.Event()

    async def author() -> None:
        async with resources.transaction() as tx:
            tx.create(group("staff"))
            begun.set()
            await release.wait()

    async def close() -> None:
        await begun.wait()
        closing = asyncio.gather(resources.close())
        await asyncio.sleep(0)
        release.set()
        await closing

    await asyncio.gather(author(), close())
    assert resources.revision == 1
    with pytest.raises(Unavailable, match="closed"):
        await put(resources, group("ops"))


@pytest.mark.parametrize("count", [1, 5, 25])
async def test_a_killed_writer_leaves_whole_transactions_only(tmp_path: Path, count: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        acknowledged = int([writer.stdout.readline() for _ in range(count)][-1])
        writer.kill()
    resources = Resources(await SqliteStore.open(tmp_path), vault())
    await resources.load()
    head = resources.revision
    assert head >= acknowledged
    assert [one.metadata.name for one in resources.list(core.Group)] == [
        f"group-{number}" for number in range(1, head + 1)
    ]
    assert {
        one.metadata.name: one.data.value for one in resources.list(core.Secret, whole=True)
    } == {f"secret-{number}": f"value {number}" for number in range(max(head - 2, 1), head + 1)}
    await resources.close()


NAMES = st.sampled_from(["aa", "bb", "cc"])
OPERATIONS = st.lists(
    st.lists(
        st.tuples(
            st.sampled_from(["create", "update", "delete", "abort"]), NAMES, st.integers(0, 3)
        ),
        max_size=4,
    ),
    max_size=10,
)


@settings(max_examples=40)
@given(blocks=OPERATIONS)
async def test_any_sequence_of_transactions_agrees_with_a_dictionary(
    tmp_path_factory: pytest.TempPathFactory, blocks: list[list[tuple[str, str, int]]]
) -> None:
    directory = tmp_path_factory.mktemp("model")
    resources = Resources(await SqliteStore.open(directory), vault())
    await resources.load()
    replayed: dict[str, str] = {}

    def replay(committed: Committed) -> None:
        for change in committed.changes:
            if change.after is None:
                del replayed[change.name]
            else:
                replayed[change.name] = change.after.whole(vault()).data.value

    resources.subscribe(replay)
    model: dict[str, str] = {}
    for block in blocks:
        draft = dict(model)
        revision = resources.revision
        async with resources.transaction() as tx:
            for operation, name, value in block:
                held = tx.find(core.Secret, name=name)
                assert (held.data.value if held else None) == draft.get(name)
                if operation == "abort":
                    tx.discard()
                    draft = dict(model)
                elif operation == "create" and held is None:
                    tx.create(secret(name, str(value)))
                    draft[name] = str(value)
                elif operation == "create":
                    with pytest.raises(AlreadyExists):
                        tx.create(secret(name, "other"))
                elif held is not None and operation == "update":
                    held.data.value = str(value)
                    tx.update(held)
                    draft[name] = str(value)
                elif held is not None:
                    tx.delete("Secret", held.metadata.uid)
                    del draft[name]
        assert resources.revision - revision == int(tx.changed)
        if draft != model:
            assert tx.changed
        model = draft
        assert replayed == model
    await resources.close()
    again = Resources(await SqliteStore.open(directory), vault())
    await again.load()
    stored = {one.metadata.name: one.data.value for one in again.list(core.Secret, whole=True)}
    assert stored == model
    await again.close()


async def test_former_commits_tell_what_they_did(store: SqliteStore) -> None:
    resources = Resources(store, vault(), retention=Retention(window=4, interval=4))
    await resources.load()
    uid = await put(resources, group("staff"))
    await put(resources, secret("key", "sesame"))
    async with resources.transaction() as tx:
        staff = tx.get(core.Group, uid=uid)
        staff.metadata.description = "all"
        tx.update(staff)
        tx.delete("Secret", tx.get(core.Secret, name="key").metadata.uid)
    first, second, third = await resources.commits(0)
    assert [commit.revision for commit in (first, second, third)] == [1, 2, 3]
    assert [(change.name, change.before) for change in first.changes] == [("staff", None)]
    [change] = second.changes
    assert change.after is not None
    assert not change.after.message.HasField("data")
    assert b"sesame" not in change.after.data
    deleted, changed = third.changes
    assert (deleted.after, deleted.name) == (None, "key")
    assert deleted.deletion is not None
    assert changed.after is not None
    assert changed.after.message.metadata.description == "all"
    assert [commit.revision for commit in await resources.commits(1, limit=1)] == [2]
    assert await resources.commits(3) == []
    for number in range(9):
        await put(resources, group(f"group-{number}"))
    with pytest.raises(Compacted):
        await resources.commits(3)
