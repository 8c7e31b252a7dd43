"""The writer's end of the feed: every commit of the store, to every replica.

The writer hands a commit to the followers' sockets first, then publishes its revision, then its
author gets a reply. A reader that finds the published revision ahead of its replica therefore has
the missing commits waiting in its socket, or refuses until it has them.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import socket
import struct
from collections import OrderedDict, deque
from functools import partial
from typing import TYPE_CHECKING

from octelium.replica.connection import Connection
from octelium.replica.errors import FeedError
from octelium.replica.follower import BATCH_LIMIT, Follower, LocalFeed
from octelium.replica.frames import FrameType, frame, parsed
from octelium.replica.source import ROLES, Source
from octelium.schema.pb import feed_v1_pb2 as feed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from octelium.replica.committed import CommittedRevision
    from octelium.store.resources import Committed, Resources

__all__ = ["FeedServer", "Follower", "LocalFeed"]

_LOG = logging.getLogger(__name__)

QUEUE_LIMIT = 64 * 1024 * 1024
"""Bytes that may wait for one peer before it is dropped."""
CONTROLLER = "controller"
"""The role of a process that is not one of the Cluster's own, and has a socket of its own."""
WITHIN = ROLES.keys() - {CONTROLLER}
"""The roles of the Cluster's own processes."""
MOST = 1024
"""Followers at a time."""

_KEPT_COMMITS = 1024
_KEPT_BYTES = 8 * 1024 * 1024
_KEPT_READERS = 1024
_GREETING = 4096
"""Bytes of a hello: nobody may send more before control knows who it is."""
_LONGEST_READER = 32
_LONGEST_NAME = 64
_name = re.compile(rf"[A-Za-z0-9._-]{{0,{_LONGEST_NAME}}}").fullmatch
_ACCEPT_AGAIN = 0.5
_CREDENTIALS = struct.Struct("3i")
"""struct ucred: process, user, group (unix(7), SO_PEERCRED)."""


class FeedServer:
    """The writer's end, on a listening Unix socket that it is given.

    A follower that is slow or dead never holds up the writer: what it does not take waits in
    memory up to `queue_limit` bytes, then it is dropped and has to come back. Whoever can open the
    socket may have any of `roles`, and no other; at most `most` may be connected at a time.

    With `is_apart` followers have to be of another PID namespace, one that this process does not
    see into, such as that of another container of a Pod. They have no process number here then
    (pid_namespaces(7)), which nobody in this namespace, or below it, can achieve.
    """

    def __init__(
        self,
        resources: Resources,
        listener: socket.socket,
        committed: CommittedRevision,
        *,
        roles: Iterable[str] = WITHIN,
        queue_limit: int = QUEUE_LIMIT,
        most: int = MOST,
        is_apart: bool = False,
    ) -> None:
        self._resources = resources
        self._listener = listener
        self._committed = committed
        self._queue_limit = queue_limit
        self._most = most
        self._is_apart = is_apart
        self._instance = os.urandom(16)
        self._channels = {role: _Channel(resources, role) for role in roles}
        self._handlers: dict[str, Callable[[_Served, bytes], None]] = {}
        self._taken: OrderedDict[bytes, int] = OrderedDict()
        self._unsubscribe: Callable[[], None] | None = None
        self._connections: set[_Served] = set()
        self._resuming: asyncio.TimerHandle | None = None

    def on(self, topic: str, handler: Callable[[str, bytes], None]) -> None:
        """Have `handler(worker, payload)` called with each batch that a follower sends.

        It must not block. One that raises is logged; its batch is not sent again.
        """
        self._handlers[topic] = lambda served, payload: handler(served.worker, payload)

    def on_reader(self, topic: str, handler: Callable[[bytes, bytes], None]) -> None:
        """As `on`, with what tells one follower from all others, which do not know it.

        It stays when the follower comes back; a name is chosen freely.
        """
        self._handlers[topic] = lambda served, payload: handler(served.reader, payload)

    def start(self) -> None:
        """Begin to accept followers and to publish commits, with the resources loaded."""
        self._listener.setblocking(False)
        for channel in self._channels.values():
            channel.restart()
        self._unsubscribe = self._resources.subscribe(self._publish)
        if self._committed.value > self._resources.revision:
            # The store went back to a backup: readers must not wait for what is gone.
            self._committed.value = self._resources.revision
        self._listen()

    def _listen(self) -> None:
        self._resuming = None
        asyncio.get_running_loop().add_reader(self._listener, self._accept)

    def close(self) -> None:
        """Drop every follower and stop accepting. Idempotent."""
        if self._unsubscribe is None:
            return
        self._unsubscribe()
        self._unsubscribe = None
        if self._resuming is not None:
            self._resuming.cancel()
        asyncio.get_running_loop().remove_reader(self._listener)
        self._listener.close()
        for served in tuple(self._connections):
            served.connection.close("the server stops")

    @property
    def followers(self) -> list[tuple[str, int]]:
        """Name of each connected follower, and the bytes that wait for it."""
        return [(served.worker, served.connection.queued) for served in self._connections]

    def ask(self, worker: str, topic: str, payload: bytes) -> bool:
        """Hand a question to the follower of that name, which answers by a batch if it does.

        Returns False if it is not connected. Raises FeedError for a payload that fits no frame.
        """
        for served in self._connections:
            if served.worker == worker and served.role:
                ask = feed.Ask(topic=topic, payload=payload)
                served.connection.send(frame(FrameType.ASK, ask.SerializeToString()))
                return True
        return False

    def _publish(self, committed: Committed) -> None:
        try:
            for role, channel in self._channels.items():
                data = channel.append(committed)
                for served in tuple(self._connections):
                    if served.role == role:
                        served.connection.send(data)
        except Exception as error:
            # Nobody may go on with what is not complete: followers start afresh, and refuse until
            # then, because the revision is published all the same.
            for channel in self._channels.values():
                channel.broken = True
            for served in tuple(self._connections):
                served.connection.close(f"revision {committed.revision} cannot be sent: {error}")
            raise
        finally:
            self._committed.value = committed.revision

    def _accept(self) -> None:
        try:
            stream, _ = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as error:
            # Out of descriptors, most likely: the listener would stay readable and be asked on
            # every turn of the loop.
            _LOG.error("no follower can be accepted for a while: %s", error)
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._listener)
            self._resuming = loop.call_later(_ACCEPT_AGAIN, self._listen)
            return
        if len(self._connections) >= self._most:
            _LOG.error("a follower beyond %d is turned away", self._most)
            stream.close()
            return
        if self._is_apart and (process := _process(stream)):
            _LOG.error("process %d of this container wants to be a follower from outside", process)
            stream.close()
            return
        served = _Served()
        served.connection = Connection(
            stream,
            partial(self._received, served),
            partial(self._gone, served),
            self._queue_limit,
            largest=_GREETING,
        )
        self._connections.add(served)

    def _gone(self, served: _Served, reason: str) -> None:
        self._connections.discard(served)
        _LOG.info("follower %s left: %s", served.worker or "unknown", reason)

    def _received(self, served: _Served, frame_type: FrameType, payload: bytes) -> None:
        if frame_type is FrameType.HELLO and not served.role:
            self._hello(served, parsed(feed.Hello, payload))
        elif frame_type is FrameType.BATCH and served.role:
            self._batch(served, parsed(feed.Batch, payload))
        else:
            raise FeedError(f"a frame {frame_type.name} is out of place")

    def _hello(self, served: _Served, hello: feed.Hello) -> None:
        channel = self._channels.get(hello.role)
        if channel is None:
            raise FeedError(f"role {hello.role[:_LONGEST_NAME]!r} is not served here")
        if len(hello.reader) > _LONGEST_READER:
            raise FeedError(f"a hello with {len(hello.reader)} bytes of reader")
        if not _name(hello.worker):
            raise FeedError(f"a hello with the name {hello.worker[:_LONGEST_NAME]!r}")
        served.role, served.worker, served.reader = hello.role, hello.worker, hello.reader
        served.connection.expect(BATCH_LIMIT)
        if channel.broken:
            channel.restart()
        missed = channel.since(hello.revision) if hello.instance == self._instance else None
        if missed is None:
            served.connection.send_each(channel.snapshot(self._instance))
        else:
            served.connection.send(b"".join(missed))

    def _batch(self, served: _Served, batch: feed.Batch) -> None:
        if batch.number > self._taken.get(served.reader, 0):
            handler = self._handlers.get(batch.topic)
            if handler is None:
                raise FeedError(f"unknown topic {batch.topic[:_LONGEST_NAME]!r}")
            try:
                handler(served, batch.payload)
            except Exception:  # noqa: BLE001  (sending it again would only fail again)
                _LOG.exception("a batch of %s from %s was lost", batch.topic, served.worker)
            self._taken[served.reader] = batch.number
            self._taken.move_to_end(served.reader)
            if len(self._taken) > _KEPT_READERS:
                self._taken.popitem(last=False)
        ack = feed.Ack(number=batch.number)
        served.connection.send(frame(FrameType.ACK, ack.SerializeToString()))


def _process(stream: socket.socket) -> int:
    """Who has connected, by its number in this process's PID namespace; 0 if it has none."""
    told = stream.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    process: int = _CREDENTIALS.unpack(told)[0]
    return process


class _Served:
    """One follower, as the server knows it. It has no role before it said hello."""

    connection: Connection

    def __init__(self) -> None:
        self.role = ""
        self.worker = ""
        self.reader = b""


class _Channel:
    """What one role is sent: its view, and the last commits for those that come back."""

    def __init__(self, resources: Resources, role: str) -> None:
        self._resources = resources
        self._role = role
        self._source: Source
        self._recent: deque[tuple[int, bytes]] = deque()
        self._recent_bytes = 0
        self.broken = False

    def restart(self) -> None:
        """Begin from the resources as they are."""
        self._source = Source(self._resources, self._role)
        self._recent.clear()
        self._recent_bytes = 0
        self.broken = False

    def append(self, committed: Committed) -> bytes:
        """The frame of the next commit. Raises FeedError for one that fits no frame."""
        data = _commit_frame(self._source.commit(committed))
        self._recent.append((committed.revision, data))
        self._recent_bytes += len(data)
        while len(self._recent) > _KEPT_COMMITS or self._recent_bytes > _KEPT_BYTES:
            self._recent_bytes -= len(self._recent.popleft()[1])
        return data

    def since(self, revision: int) -> list[bytes] | None:
        """The frames that follow a revision; None when they are no longer kept."""
        if revision == self._resources.revision:
            return []
        if not self._recent or not self._recent[0][0] <= revision + 1 <= self._recent[-1][0]:
            return None
        return [data for number, data in self._recent if number > revision]

    def snapshot(self, instance: bytes) -> Iterator[bytes]:
        """Frames of everything, made one by one."""
        return map(_commit_frame, self._source.snapshot(instance))


def _commit_frame(commit: feed.Commit) -> bytes:
    return frame(FrameType.COMMIT, commit.SerializeToString())
