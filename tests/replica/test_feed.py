from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from octelium.replica import feed as feed_module
from octelium.replica.committed import CommittedRevision
from octelium.replica.feed import CONTROLLER, FeedServer
from octelium.replica.follower import BATCH_LIMIT, Follower
from octelium.replica.frames import FrameReader, FrameType, frame
from octelium.replica.replica import Replica
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import feed_v1_pb2 as feed
from tests.replica.samples import listening, named, put, secret, service, socket_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from octelium.store.resources import Resources

READER = """
import asyncio, sys
from octelium.replica.committed import CommittedRevision
from octelium.replica.follower import BATCH_LIMIT, Follower
from octelium.replica.replica import Replica

async def main():
    replica = Replica()
    follower = Follower(sys.argv[1], replica, CommittedRevision(int(sys.argv[2])))
    follower.start()
    loop = asyncio.get_running_loop()
    questions = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(questions), sys.stdin)
    while await questions.readline():
        fresh = follower.up_to_date()
        if not fresh:
            assert await follower.catch_up(60)
        entry = replica.groups_by_name.get("counter")
        print(entry.message.metadata.description if entry else "", fresh, flush=True)
    follower.close()

asyncio.run(main())
"""


class Raw:
    """A follower in the rough: a plain socket and what came out of it."""

    def __init__(self, path: Path) -> None:
        self.stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.stream.setblocking(False)
        self.stream.connect(str(path))
        self._frames = FrameReader()
        self.received: list[tuple[FrameType, bytes]] = []
        self.ended = False

    def send(self, frame_type: FrameType, message: feed.Hello | feed.Batch) -> None:
        self.stream.send(frame(frame_type, message.SerializeToString()))

    def hello(self, role: str = "data-plane", revision: int = 0, instance: bytes = b"") -> None:
        self.send(
            FrameType.HELLO,
            feed.Hello(role=role, revision=revision, worker="raw", instance=instance, reader=b"r"),
        )

    def commits(self) -> list[feed.Commit]:
        return [
            feed.Commit.FromString(payload)
            for frame_type, payload in self.received
            if frame_type is FrameType.COMMIT
        ]

    def acknowledged(self) -> int:
        """How many acknowledgements came."""
        return sum(frame_type is FrameType.ACK for frame_type, _ in self.received)

    async def read(self, condition: Callable[[], bool]) -> None:
        """Read until something is so, or the server ends the connection."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(60):
            while not condition() and not self.ended:
                data = await loop.sock_recv(self.stream, 65536)
                self.ended = not data
                self.received += self._frames.feed(data)


@pytest.fixture
def connect(path: Path) -> Iterator[Callable[[], Raw]]:
    """Connects as often as it is called."""
    with ExitStack() as stack:

        def connect() -> Raw:
            raw = Raw(path)
            stack.callback(raw.stream.close)
            return raw

        yield connect


@pytest.fixture
async def raw(server: FeedServer, connect: Callable[[], Raw]) -> Raw:
    assert server.followers == []
    return connect()


async def rename(resources: Resources, description: str) -> None:
    async with resources.transaction() as tx:
        counter = tx.find(core.Group, name="counter")
        if counter is None:
            counter = core.Group(metadata=named("counter"))
            counter.metadata.description = description
            tx.create(counter)
        else:
            counter.metadata.description = description
            tx.update(counter)


async def test_a_new_follower_gets_a_snapshot_then_every_commit(
    resources: Resources, raw: Raw
) -> None:
    await put(resources, core.Group(metadata=named("staff")))
    raw.hello()
    await raw.read(lambda: len(raw.commits()) == 1)
    await put(resources, core.Credential(metadata=named("cred")))
    await put(resources, core.Group(metadata=named("ops")))
    await raw.read(lambda: len(raw.commits()) == 3)
    first, second, third = raw.commits()
    assert (first.snapshot_begin, first.snapshot_end, first.revision) == (True, True, 1)
    assert [one.name for one in first.changes] == ["staff"]
    assert (second.revision, list(second.changes)) == (2, [])
    assert [one.name for one in third.changes] == ["ops"]


async def test_a_follower_resumes_where_it_was(
    resources: Resources, raw: Raw, connect: Callable[[], Raw]
) -> None:
    raw.hello()
    await raw.read(lambda: bool(raw.commits()))
    instance = raw.commits()[0].instance
    assert len(instance) == 16
    for name in ("aa", "bb", "cc"):
        await put(resources, core.Group(metadata=named(name)))
    back = connect()
    back.hello(revision=1, instance=instance)
    await back.read(lambda: len(back.commits()) == 2)
    assert [(one.revision, one.snapshot_begin) for one in back.commits()] == [
        (2, False),
        (3, False),
    ]
    current = connect()
    current.hello(revision=3, instance=instance)
    stranger = connect()
    stranger.hello(revision=3, instance=b"another instance")
    await stranger.read(lambda: bool(stranger.commits()))
    assert stranger.commits()[0].snapshot_begin
    await put(resources, core.Group(metadata=named("dd")))
    await current.read(lambda: bool(current.commits()))
    assert [one.revision for one in current.commits()] == [4]


@pytest.mark.parametrize("limit", ["_KEPT_COMMITS", "_KEPT_BYTES"])
async def test_a_follower_that_was_away_for_too_long_gets_a_snapshot(
    resources: Resources,
    raw: Raw,
    connect: Callable[[], Raw],
    monkeypatch: pytest.MonkeyPatch,
    limit: str,
) -> None:
    monkeypatch.setattr(feed_module, limit, 2 if limit == "_KEPT_COMMITS" else 300)
    raw.hello()
    await raw.read(lambda: bool(raw.commits()))
    instance = raw.commits()[0].instance
    for number in range(8):
        await put(resources, core.Group(metadata=named(f"group-{number}")))
    late, in_time = connect(), connect()
    late.hello(revision=3, instance=instance)
    in_time.hello(revision=7, instance=instance)
    await late.read(lambda: bool(late.commits()))
    await in_time.read(lambda: bool(in_time.commits()))
    assert late.commits()[0].snapshot_begin
    assert [(one.revision, one.snapshot_begin) for one in in_time.commits()] == [(8, False)]


async def test_what_does_not_speak_the_protocol_is_dropped(
    resources: Resources, server: FeedServer, connect: Callable[[], Raw]
) -> None:
    for nonsense in (
        b"GET / HTTP/1.1\r\n\r\n",
        frame(FrameType.HELLO, b"\xff\xff"),
        frame(FrameType.HELLO, feed.Hello(role="root").SerializeToString()),
        frame(FrameType.BATCH, feed.Batch(number=1, topic="log").SerializeToString()),
        frame(FrameType.COMMIT, b""),
        frame(FrameType.HELLO, feed.Hello(role="data-plane").SerializeToString()) * 2,
    ):
        raw = connect()
        raw.stream.send(nonsense)
        await raw.read(lambda: False)
        assert raw.ended
    assert server.followers == []
    await put(resources, core.Group(metadata=named("staff")))


async def test_the_revision_is_published_before_the_author_goes_on(
    resources: Resources, server: FeedServer, committed: CommittedRevision
) -> None:
    seen: list[int] = []
    resources.subscribe(lambda _: seen.append(committed.value))
    await put(resources, core.Group(metadata=named("staff")))
    assert committed.value == 1
    assert seen == [1]
    assert server.followers == []


async def test_a_revision_from_before_a_restored_backup_is_taken_back(
    resources: Resources, committed: CommittedRevision, path: Path
) -> None:
    await put(resources, core.Group(metadata=named("staff")))
    committed.value = 50
    server = FeedServer(resources, listening(path), committed)
    server.start()
    assert committed.value == 1
    server.close()
    server.close()


async def test_a_follower_that_reads_nothing_holds_up_nobody(
    resources: Resources, committed: CommittedRevision, path: Path, connect: Callable[[], Raw]
) -> None:
    server = FeedServer(resources, listening(path), committed, queue_limit=1024 * 1024)
    server.start()
    stuck, replica = connect(), Replica()
    stuck.hello()
    follower = Follower(path, replica, committed)
    follower.start()
    assert await follower.catch_up(60)
    while not server.followers or not any(queued for _, queued in server.followers):
        await rename(resources, "x" * 1000 + str(resources.revision))
        async with resources.transaction() as tx:
            config = tx.find(core.Namespace, name="padding")
            padding = config or tx.create(core.Namespace(metadata=named("padding")))
            padding.spec.attrs["x"] = "y" * 100_000 + str(resources.revision)
            tx.update(padding)
        assert follower.up_to_date()
    while len(server.followers) == 2:
        async with resources.transaction() as tx:
            padding = tx.get(core.Namespace, name="padding")
            padding.spec.attrs["x"] = "z" * 100_000 + str(resources.revision)
            tx.update(padding)
        assert follower.up_to_date()
    assert replica.revision == resources.revision
    await stuck.read(lambda: False)
    assert stuck.ended
    follower.close()
    server.close()


class Exhausted:
    """A listener of a process that has no descriptor left, for a while."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self.refusals = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._listener, name)

    def accept(self) -> tuple[socket.socket, object]:
        if self.refusals < 3:
            self.refusals += 1
            raise OSError(errno.EMFILE, "too many open files")
        return self._listener.accept()


async def test_without_descriptors_it_waits_and_then_goes_on(
    resources: Resources,
    committed: CommittedRevision,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(feed_module, "_ACCEPT_AGAIN", 0.01)
    listener = Exhausted(listening(path))
    server = FeedServer(resources, listener, committed)  # type: ignore[arg-type]  # stands in for it
    server.start()
    await put(resources, core.Group(metadata=named("staff")))
    follower = Follower(path, Replica(), committed)
    follower.start()
    assert await follower.catch_up(60)
    assert listener.refusals == 3
    assert "too many open files" in caplog.text
    follower.close()
    server.close()


async def test_batches_are_taken_over_once_and_acknowledged(
    server: FeedServer, raw: Raw, connect: Callable[[], Raw]
) -> None:
    taken: list[tuple[str, bytes]] = []
    server.on("log", lambda worker, payload: taken.append((worker, payload)))
    raw.hello()
    for number in (1, 2, 2, 1):
        raw.send(FrameType.BATCH, feed.Batch(number=number, topic="log", payload=b"%d" % number))
    await raw.read(lambda: raw.acknowledged() == 4)
    again = connect()
    again.hello()
    again.send(FrameType.BATCH, feed.Batch(number=2, topic="log", payload=b"again"))
    again.send(FrameType.BATCH, feed.Batch(number=3, topic="log", payload=b"3"))
    await again.read(lambda: again.acknowledged() == 2)
    assert taken == [("raw", b"1"), ("raw", b"2"), ("raw", b"3")]


async def test_a_follower_is_asked_by_its_name(
    server: FeedServer, committed: CommittedRevision, path: Path
) -> None:
    followers = [Follower(path, Replica(), committed, worker=f"worker-{n}") for n in range(2)]
    asked: list[tuple[int, bytes]] = []
    answers: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
    server.on("answer", lambda worker, payload: answers.put_nowait((worker, payload)))
    for number, follower in enumerate(followers):

        def answer(payload: bytes, number: int = number) -> None:
            asked.append((number, payload))
            followers[number].send("answer", payload.upper())

        follower.on("question", answer)
        follower.start()
    async with asyncio.timeout(60):
        while len(server.followers) < 2 or not all(worker for worker, _ in server.followers):
            await asyncio.sleep(0.001)
        assert server.ask("worker-1", "question", b"well?")
        assert await answers.get() == ("worker-1", b"WELL?")
    assert asked == [(1, b"well?")]
    assert not server.ask("worker-2", "question", b"well?")
    for follower in followers:
        follower.close()


async def test_a_question_that_fails_or_is_unknown(
    server: FeedServer,
    committed: CommittedRevision,
    path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    follower = Follower(path, Replica(), committed, worker="worker-0")

    def fail(payload: bytes) -> None:
        raise ValueError("no idea")

    follower.on("question", fail)
    follower.start()
    caplog.set_level(logging.INFO)
    async with asyncio.timeout(60):
        while not server.ask("worker-0", "question", b""):
            await asyncio.sleep(0.001)
        while "a question about question was not answered" not in caplog.text:
            await asyncio.sleep(0.001)
        assert server.ask("worker-0", "unknown", b"")
        # It comes back at once, so that a look at `connected` may miss it.
        while "unknown topic 'unknown'" not in caplog.text:
            await asyncio.sleep(0.001)
    follower.close()


async def test_a_batch_for_nobody_ends_the_connection(server: FeedServer, raw: Raw) -> None:
    server.on("log", lambda worker, payload: None)
    raw.hello()
    raw.send(FrameType.BATCH, feed.Batch(number=1, topic="unknown"))
    await raw.read(lambda: False)
    assert raw.ended


async def test_a_handler_that_fails_is_logged_and_the_batch_not_repeated(
    server: FeedServer, raw: Raw, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(worker: str, payload: bytes) -> None:
        raise ValueError("disk full")

    server.on("log", fail)
    raw.hello()
    raw.send(FrameType.BATCH, feed.Batch(number=1, topic="log"))
    await raw.read(lambda: raw.acknowledged() == 1)
    assert "a batch of log from raw was lost" in caplog.text
    assert "disk full" in caplog.text


async def test_a_commit_that_cannot_be_sent_is_published_and_followers_start_afresh(
    resources: Resources,
    server: FeedServer,
    committed: CommittedRevision,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    replica = Replica()
    follower = Follower(path, replica, committed)
    follower.start()
    await put(resources, secret("key"), service("wiki.default", "key"))
    assert await follower.catch_up(60)
    with monkeypatch.context() as patch:
        patch.setattr("octelium.replica.frames.LARGEST", 10)
        await put(resources, core.Group(metadata=named("too-large-for-a-frame")))
    assert "a subscriber failed" in caplog.text
    assert committed.value == resources.revision == 2
    assert not follower.up_to_date()
    assert await follower.catch_up(60)
    assert "too-large-for-a-frame" in replica.groups_by_name
    assert replica.secrets_by_name["key"].value == b"hunter2"
    follower.close()
    assert server.followers == [] or server.followers[0][1] == 0


async def test_no_reader_in_any_process_sees_a_stale_write(
    resources: Resources, server: FeedServer, committed: CommittedRevision, path: Path
) -> None:
    """Thousands of cycles of write, publish, decide: here, and in another process."""
    replica = Replica()
    follower = Follower(path, replica, committed, worker="here")
    follower.start()
    with ExitStack() as stack:
        reader = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", READER, str(path), str(committed.fileno())),
            pass_fds=[committed.fileno()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert reader.stdin is not None
        assert reader.stdout is not None
        stack.callback(reader.stdin.close)
        for number in range(3000):
            await rename(resources, str(number))
            # The first cycle waits for the connection itself.
            assert follower.up_to_date() or (number == 0 and await follower.catch_up(60))
            assert replica.groups_by_name["counter"].message.metadata.description == str(number)
            if number % 10 == 0:
                reader.stdin.write(b"?\n")
                answer = (await reader.stdout.readline()).split()
                assert answer[0] == b"%d" % number
                assert number == 0 or answer[1] == b"True"
    assert await reader.wait() == 0
    assert len(server.followers) >= 1
    follower.close()


async def test_commits_arrive_while_a_snapshot_is_under_way(
    resources: Resources, server: FeedServer, committed: CommittedRevision, path: Path
) -> None:
    async with resources.transaction() as tx:
        for number in range(300):
            namespace = core.Namespace(metadata=named(f"ns-{number}"))
            namespace.spec.attrs["x"] = "y" * 10_000
            tx.create(namespace)
    replica = Replica()
    follower = Follower(path, replica, committed)
    follower.start()
    while not server.followers:
        await asyncio.sleep(0)
    for number in range(20):
        await rename(resources, str(number))
    assert await follower.catch_up(60)
    assert len(replica.namespaces) == 300
    assert replica.groups_by_name["counter"].message.metadata.description == "19"
    follower.close()


async def test_the_controller_s_role_has_a_socket_of_its_own(
    resources: Resources, server: FeedServer, connect: Callable[[], Raw]
) -> None:
    raw = connect()
    raw.hello("controller")
    await raw.read(lambda: False)
    assert raw.ended
    assert raw.commits() == []
    with socket_path() as path, ExitStack() as stack:
        committed = CommittedRevision.create()
        stack.callback(committed.close)
        apart = FeedServer(resources, listening(path), committed, roles=(CONTROLLER,), most=1)
        taken: list[bytes] = []
        apart.on("controller", lambda _, payload: taken.append(payload))
        apart.start()
        stack.callback(apart.close)
        for role in ("data-plane", "gateway", "", "Controller"):
            other = Raw(path)
            stack.callback(other.stream.close)
            other.hello(role)
            await other.read(lambda: False)
            assert other.ended
            assert other.commits() == []
        controller = Raw(path)
        stack.callback(controller.stream.close)
        controller.hello("controller")
        await controller.read(lambda: len(controller.commits()) == 1)
        beyond = Raw(path)
        stack.callback(beyond.stream.close)
        await beyond.read(lambda: False)
        assert beyond.ended
        controller.send(FrameType.BATCH, feed.Batch(number=1, topic="controller", payload=b"x"))
        await controller.read(lambda: controller.acknowledged() == 1)
        assert taken == [b"x"]
        controller.send(FrameType.BATCH, feed.Batch(number=2, topic="log", payload=b"x"))
        await controller.read(lambda: False)
        assert controller.ended


@pytest.mark.parametrize(
    ("hello", "told"),
    [
        (feed.Hello(role="data-plane", reader=b"r" * 33), "33 bytes of reader"),
        (feed.Hello(role="data-plane", worker="w" * 65), "a hello with the name 'www"),
        (feed.Hello(role="data-plane", worker='w"}'), "a hello with the name 'w\"}'"),
        (feed.Hello(role="r" * 3000), "is not served here"),
        (feed.Hello(role="data-plane", reader=b"r" * 5000), "a frame of type 1, 50"),
        (feed.Hello(role="data-plane", instance=b"i" * 5000), "a frame of type 1, 50"),
    ],
)
async def test_a_follower_that_says_too_much_of_itself_is_dropped(
    server: FeedServer,
    raw: Raw,
    caplog: pytest.LogCaptureFixture,
    hello: feed.Hello,
    told: str,
) -> None:
    caplog.set_level(logging.INFO)
    server.on("log", lambda *_: None)
    raw.send(FrameType.HELLO, hello)
    await raw.read(lambda: False)
    assert raw.ended
    assert told in caplog.text
    assert max(map(len, caplog.text.splitlines())) < 300


async def test_a_follower_may_send_batches_and_nothing_larger(
    server: FeedServer, raw: Raw, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    server.on("log", lambda *_: None)
    raw.hello()
    raw.send(FrameType.BATCH, feed.Batch(number=1, topic="log", payload=b"x" * 50_000))
    await raw.read(lambda: raw.acknowledged() == 1)
    raw.stream.send((BATCH_LIMIT + 1).to_bytes(4) + bytes((FrameType.BATCH,)))
    await raw.read(lambda: False)
    assert f"a frame of type 3, {BATCH_LIMIT + 1} bytes" in caplog.text


async def test_who_sends_is_told_by_what_others_do_not_know(
    server: FeedServer, connect: Callable[[], Raw]
) -> None:
    heard: list[tuple[bytes, bytes]] = []
    server.on_reader("log", lambda reader, payload: heard.append((reader, payload)))
    for reader in (b"one", b"two"):
        raw = connect()
        raw.send(FrameType.HELLO, feed.Hello(role="data-plane", worker="same", reader=reader))
        raw.send(FrameType.BATCH, feed.Batch(number=1, topic="log", payload=b"x"))
        await raw.read(lambda raw=raw: raw.acknowledged() == 1)
    assert heard == [(b"one", b"x"), (b"two", b"x")]


async def test_a_process_of_this_namespace_is_not_apart(
    resources: Resources,
    committed: CommittedRevision,
    path: Path,
    connect: Callable[[], Raw],
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = FeedServer(resources, listening(path), committed, is_apart=True)
    server.start()
    raw = connect()
    await raw.read(lambda: False)
    assert raw.ended
    assert server.followers == []
    assert f"process {os.getpid()} of this container" in caplog.text
    server.close()


def test_a_process_outside_the_namespace_has_no_number_in_it(path: Path) -> None:
    """Such as the controller for control, in two containers of a Pod."""
    listener = listening(path)
    listener.setblocking(True)
    code = (
        "import socket, sys; from octelium.replica.feed import _process;"
        "print(_process(socket.socket(fileno=int(sys.argv[1])).accept()[0]))"
    )
    within = "unshare", "--user", "--map-root-user", "--pid", "--fork"
    with listener, ExitStack() as stack:
        for prefix, number in ((), os.getpid()), (within, 0):
            stack.enter_context(socket.socket(socket.AF_UNIX)).connect(str(path))
            done = subprocess.run(
                [*prefix, sys.executable, "-c", code, str(listener.fileno())],
                pass_fds=[listener.fileno()],
                capture_output=True,
                text=True,
                check=True,
            )
            assert int(done.stdout) == number
