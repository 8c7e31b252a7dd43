"""The readers' end of the feed: keeps a replica up to date and hands batches to the writer."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections import deque
from typing import TYPE_CHECKING, Protocol

from octelium.replica.connection import Connection
from octelium.replica.errors import FeedError
from octelium.replica.frames import FrameType, frame, parsed
from octelium.replica.source import Source
from octelium.schema.pb import feed_v1_pb2 as feed

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.replica.committed import CommittedRevision
    from octelium.store.resources import Committed, Resources

_LOG = logging.getLogger(__name__)

BATCH_LIMIT = 16 * 1024 * 1024
"""Bytes of batches that may wait for the writer's acknowledgement."""

_RETRY_FIRST = 0.01
_RETRY_LAST = 0.5


class Followed(Protocol):
    """What is kept up to date: a `Replica`, or what another role has in its place."""

    @property
    def revision(self) -> int:
        """The last one taken over; 0 for none."""

    @property
    def loading(self) -> bool:
        """Whether a snapshot has begun and not ended."""

    def behind(self, committed: CommittedRevision) -> bool:
        """Whether something was committed that is not here yet."""

    def apply(self, commit: feed.Commit) -> None:
        """Take over the next commit, or a piece of a snapshot. Raises FeedError."""

    def abandon(self) -> None:
        """Forget the beginning of a snapshot whose end will not come."""


class Follower:
    """Follows the writer behind a Unix socket, whenever it is there.

    While the writer is away the replica stays as it is. `role` decides what it holds, `worker` is
    a name for logs.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        replica: Followed,
        committed: CommittedRevision,
        *,
        role: str = "data-plane",
        worker: str = "",
        batch_limit: int = BATCH_LIMIT,
    ) -> None:
        self._path = os.fspath(path)
        self._replica = replica
        self._committed = committed
        self._role = role
        self._worker = worker
        self._reader = os.urandom(16)
        self._instance = b""
        self._coming = b""
        self._connection: Connection | None = None
        self._retry = _RETRY_FIRST
        self._timer: asyncio.TimerHandle | None = None
        self._reason = ""
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []
        self._batches: deque[tuple[int, bytes]] = deque()
        self._batch_limit = batch_limit
        self._batch_number = 0
        self.batch_bytes = 0
        self.stopped = True
        self._asked: dict[str, Callable[[bytes], None]] = {}

    @property
    def connected(self) -> bool:
        """Whether the writer is there."""
        return self._connection is not None

    def start(self) -> None:
        """Begin to follow."""
        self.stopped = False
        self._connect()

    def close(self) -> None:
        """Stop following; the replica stays as it is. Idempotent."""
        self.stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._connection is not None:
            self._connection.close("the follower stops")

    def up_to_date(self) -> bool:
        """Whether the replica has everything that was acknowledged, after a look at the socket.

        Costs one memory access when nothing happened. False means: `catch_up`, or refuse.
        """
        if not self._replica.behind(self._committed):
            return True
        if self._connection is not None:
            self._connection.poll()
        return not self._replica.behind(self._committed)

    async def catch_up(self, timeout: float) -> bool:  # noqa: ASYNC109  (a result, not an error)
        """Wait, at most `timeout` seconds, for what was acknowledged before the call.

        Returns whether the replica has it.
        """
        if self.up_to_date():
            return True
        waiter = asyncio.get_running_loop().create_future()
        entry = (self._committed.value, waiter)
        self._waiters.append(entry)
        try:
            async with asyncio.timeout(timeout):
                await waiter
        except TimeoutError:
            return False
        finally:
            with contextlib.suppress(ValueError):
                self._waiters.remove(entry)
        return True

    def on(self, topic: str, handler: Callable[[bytes], None]) -> None:
        """Have `handler(payload)` called with each question of the writer. It must not block."""
        self._asked[topic] = handler

    def send(self, topic: str, payload: bytes) -> bool:
        """Hand a batch to the writer, now or when it is back; each is taken over once.

        Only the death of the writer can repeat the last ones. Returns False, and keeps nothing,
        when too much is waiting already. Raises FeedError for a payload that fits no frame.
        """
        number = self._batch_number + 1
        batch = feed.Batch(number=number, topic=topic, payload=payload)
        data = frame(FrameType.BATCH, batch.SerializeToString())
        if self.batch_bytes + len(data) > self._batch_limit:
            return False
        self._batch_number = number
        self._batches.append((number, data))
        self.batch_bytes += len(data)
        if self._connection is not None:
            self._connection.send(data)
        return True

    def _connect(self) -> None:
        self._timer = None
        stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        stream.setblocking(False)
        try:
            stream.connect(self._path)
        except OSError as error:
            stream.close()
            self._later(str(error))
            return
        connection = Connection(
            stream, self._received, self._closed, self._batch_limit + 1024 * 1024
        )
        self._connection = connection
        hello = feed.Hello(
            role=self._role,
            revision=self._replica.revision,
            worker=self._worker,
            instance=self._instance,
            reader=self._reader,
        )
        connection.send(frame(FrameType.HELLO, hello.SerializeToString()))
        for _, data in tuple(self._batches):
            connection.send(data)

    def _closed(self, reason: str) -> None:
        self._connection = None
        self._replica.abandon()
        if not self.stopped:
            self._later(reason)

    def _later(self, reason: str) -> None:
        if reason != self._reason:  # it may be away for long
            name = self._worker or self._path
            _LOG.info("%s is without the control process at %s: %s", name, self._path, reason)
            self._reason = reason
        self._timer = asyncio.get_running_loop().call_later(self._retry, self._connect)
        self._retry = min(self._retry * 2, _RETRY_LAST)

    def _received(self, frame_type: FrameType, payload: bytes) -> None:
        self._retry, self._reason = _RETRY_FIRST, ""
        if frame_type is FrameType.COMMIT:
            self._apply(parsed(feed.Commit, payload))
        elif frame_type is FrameType.ACK:
            number = parsed(feed.Ack, payload).number
            while self._batches and self._batches[0][0] <= number:
                self.batch_bytes -= len(self._batches.popleft()[1])
        elif frame_type is FrameType.ASK:
            self._answer(parsed(feed.Ask, payload))
        else:
            raise FeedError(f"a frame {frame_type.name} is out of place")

    def _answer(self, ask: feed.Ask) -> None:
        handler = self._asked.get(ask.topic)
        if handler is None:
            raise FeedError(f"unknown topic {ask.topic[:64]!r}")
        try:
            handler(ask.payload)
        except Exception:  # noqa: BLE001  (a question costs nobody the connection)
            _LOG.exception("a question about %s was not answered", ask.topic)

    def _apply(self, commit: feed.Commit) -> None:
        if commit.snapshot_begin:
            self._coming = commit.instance
        # Unknown until all of it is in, so that a failure asks for a snapshot.
        self._instance = b""
        self._replica.apply(commit)
        if not self._replica.loading:
            self._instance = self._coming
        for entry in tuple(self._waiters):
            target, waiter = entry
            if target <= self._replica.revision and not waiter.done():
                waiter.set_result(None)


class LocalFeed:
    """Keeps a replica in the writer's own process up to date."""

    def __init__(self, resources: Resources, replica: Followed, role: str = "data-plane") -> None:
        self._resources = resources
        self._replica = replica
        self._role = role
        self._source: Source
        self._unsubscribe: Callable[[], None] | None = None

    def start(self) -> None:
        """Fill the replica and follow every commit from here on."""
        self._load()
        self._unsubscribe = self._resources.subscribe(self._take)

    def close(self) -> None:
        """Stop following. Idempotent."""
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None

    def _take(self, committed: Committed) -> None:
        try:
            self._replica.apply(self._source.commit(committed))
        except FeedError:
            _LOG.exception("revision %d does not fit the replica", committed.revision)
            self._load()

    def _load(self) -> None:
        self._source = Source(self._resources, self._role)
        for piece in self._source.snapshot(b""):
            self._replica.apply(piece)
