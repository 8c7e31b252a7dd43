from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from octelium.replica.errors import FeedError
from octelium.replica.feed import FeedServer
from octelium.replica.follower import Follower, LocalFeed
from octelium.replica.frames import FrameType, frame
from octelium.replica.replica import Replica
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import feed_v1_pb2 as feed
from tests.replica.samples import listening, named, put, secret, service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from octelium.replica.committed import CommittedRevision
    from octelium.store.resources import Resources


@pytest.fixture
async def follower(path: Path, committed: CommittedRevision) -> AsyncIterator[Follower]:
    follower = Follower(path, Replica(), committed, worker="w1")
    yield follower
    follower.close()


def replica_of(follower: Follower) -> Replica:
    replica = follower._replica
    assert isinstance(replica, Replica)
    return replica


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.001)


async def test_it_waits_for_a_writer_that_is_not_there_yet(
    follower: Follower, resources: Resources, committed: CommittedRevision, path: Path
) -> None:
    await put(resources, core.Group(metadata=named("staff")))
    follower.start()
    assert [follower.connected] == [False]
    server = FeedServer(resources, listening(path), committed)
    server.start()
    await until(lambda: replica_of(follower).loaded)
    assert follower.connected
    assert [worker for worker, _ in server.followers] == ["w1"]
    server.close()


async def test_it_keeps_what_it_knows_while_the_writer_is_away_and_comes_back(
    follower: Follower, resources: Resources, committed: CommittedRevision, path: Path
) -> None:
    await put(resources, core.Group(metadata=named("staff")))
    server = FeedServer(resources, listening(path), committed)
    server.start()
    follower.start()
    await until(lambda: replica_of(follower).loaded)
    replica = replica_of(follower)
    entry = replica.groups_by_name["staff"]
    server.close()
    await until(lambda: not follower.connected)
    assert follower.up_to_date()
    assert replica.groups_by_name["staff"] is entry
    path.unlink()
    await put(resources, core.Group(metadata=named("ops")))
    again = FeedServer(resources, listening(path), committed)
    again.start()
    await until(lambda: "ops" in replica.groups_by_name)
    assert replica.groups_by_name["staff"] is entry
    again.close()


async def test_without_a_writer_it_knows_that_it_is_behind(
    follower: Follower, committed: CommittedRevision
) -> None:
    follower.start()
    committed.value = 3
    assert not follower.up_to_date()
    assert not await follower.catch_up(0.01)
    assert not follower._waiters


async def test_catching_up_ends_with_the_commit_that_was_missing(
    follower: Follower, committed: CommittedRevision, resources: Resources, server: FeedServer
) -> None:
    follower.start()
    await until(lambda: replica_of(follower).loaded)
    committed.value = 1
    waiting = asyncio.gather(follower.catch_up(60), follower.catch_up(60))
    await asyncio.sleep(0)
    assert not waiting.done()
    await put(resources, core.Group(metadata=named("staff")))
    assert list(await waiting) == [True, True]
    assert not follower._waiters
    assert len(server.followers) == 1


async def test_a_cancelled_wait_is_forgotten(
    follower: Follower, committed: CommittedRevision
) -> None:
    committed.value = 1
    waiting = asyncio.gather(follower.catch_up(60))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not follower._waiters


async def test_batches_wait_for_the_writer_and_are_handed_over_in_order(
    follower: Follower, resources: Resources, committed: CommittedRevision, path: Path
) -> None:
    assert follower.send("log", b"early")
    follower.start()
    assert follower.send("log", b"while away")
    taken: list[bytes] = []
    server = FeedServer(resources, listening(path), committed)
    server.on("log", lambda worker, payload: taken.append(payload))
    server.start()
    await until(lambda: len(taken) == 2)
    assert follower.send("log", b"at once")
    await until(lambda: follower.batch_bytes == 0)
    assert taken == [b"early", b"while away", b"at once"]
    server.close()


async def test_what_was_not_acknowledged_is_sent_again_to_the_next_writer(
    follower: Follower, resources: Resources, committed: CommittedRevision, path: Path
) -> None:
    listener = listening(path)
    follower.start()
    assert follower.send("log", b"lost with the writer")
    dead, _ = listener.accept()
    dead.close()
    taken: list[bytes] = []
    server = FeedServer(resources, listener, committed)
    server.on("log", lambda worker, payload: taken.append(payload))
    server.start()
    await until(lambda: follower.batch_bytes == 0)
    assert taken == [b"lost with the writer"]
    server.close()


async def test_too_much_waiting_is_refused_and_nothing_is_kept(
    path: Path, committed: CommittedRevision
) -> None:
    follower = Follower(path, Replica(), committed, batch_limit=1000)
    assert follower.send("log", b"x" * 900)
    held = follower.batch_bytes
    assert not follower.send("log", b"x" * 900)
    assert follower.batch_bytes == held
    assert follower.send("log", b"small")


async def test_a_writer_that_talks_nonsense_is_left_and_asked_for_a_snapshot(
    resources: Resources, committed: CommittedRevision, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_RETRY_FIRST", "_RETRY_LAST"):  # else it could be back before that is seen
        monkeypatch.setattr(f"octelium.replica.follower.{name}", 3600.0)
    follower = Follower(path, Replica(), committed)
    listener = listening(path)
    for nonsense in (
        frame(FrameType.COMMIT, feed.Commit(revision=7).SerializeToString()),
        frame(FrameType.COMMIT, b"\xff"),
        frame(FrameType.HELLO, b""),
        b"\0\0\0\0\x63",
    ):
        follower.start()
        peer, _ = listener.accept()
        peer.send(nonsense)
        await until(lambda: not follower.connected)
        follower.close()
        peer.close()
    await put(resources, core.Group(metadata=named("staff")))
    server = FeedServer(resources, listener, committed)
    server.start()
    follower.start()
    await until(lambda: replica_of(follower).revision == 1)
    follower.close()
    server.close()


async def test_a_half_snapshot_is_never_resumed(
    follower: Follower, resources: Resources, committed: CommittedRevision, path: Path
) -> None:
    listener = listening(path)
    follower.start()
    peer, _ = listener.accept()
    begin = feed.Commit(revision=5, snapshot_begin=True, instance=b"writer")
    peer.send(frame(FrameType.COMMIT, begin.SerializeToString()))
    await until(lambda: replica_of(follower).loading)
    assert follower._instance == b""
    peer.close()
    await until(lambda: not replica_of(follower).loading)
    server = FeedServer(resources, listener, committed)
    server.start()
    await until(lambda: replica_of(follower).loaded)
    server.close()


async def test_stopping_stops_for_good(follower: Follower) -> None:
    follower.start()
    assert follower._timer is not None
    follower.close()
    follower.close()
    assert follower._timer is None


async def test_a_local_feed_follows_without_a_socket(resources: Resources) -> None:
    await put(resources, secret("key"), service("wiki.default", "key"))
    replica = Replica()
    local = LocalFeed(resources, replica)
    local.start()
    assert replica.secrets_by_name["key"].value == b"hunter2"
    await put(resources, core.Group(metadata=named("staff")))
    assert replica.revision == 2
    assert "staff" in replica.groups_by_name
    local.close()
    local.close()
    await put(resources, core.Group(metadata=named("ops")))
    assert replica.revision == 2


async def test_a_local_feed_that_lost_the_thread_starts_afresh(
    resources: Resources, caplog: pytest.LogCaptureFixture
) -> None:
    replica = Replica()
    local = LocalFeed(resources, replica)
    local.start()
    replica.revision = 40
    await put(resources, core.Group(metadata=named("staff")))
    assert replica.revision == 1
    assert "staff" in replica.groups_by_name
    assert "does not fit the replica" in caplog.text
    local.close()


def test_a_batch_that_fits_no_frame_is_an_error(
    path: Path, committed: CommittedRevision, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("octelium.replica.frames.LARGEST", 10)
    with pytest.raises(FeedError):
        Follower(path, Replica(), committed).send("log", b"x" * 100)
