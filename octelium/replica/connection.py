"""One end of a feed's connection: frames over a non-blocking stream socket.

The socket is used directly, not through a transport of the event loop, for two reasons: a commit
is in the peer's receive buffer when `send` returns, and a reader can `poll` what has arrived
without waiting for its turn on the loop. Together they let a reader catch up in a plain call.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from octelium.replica.errors import FeedError
from octelium.replica.frames import LARGEST, FrameReader

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    from octelium.replica.frames import FrameType

_CHUNK = 256 * 1024
_CHUNKS_PER_TURN = 16


class Connection:
    """Sends and receives frames until either side ends.

    `received` is called with each frame; a FeedError that it raises ends the connection. `closed`
    is called once, with the reason. A peer that lets more than `limit` bytes pile up is dropped, as
    is one that sends a frame beyond `largest`.
    """

    def __init__(
        self,
        stream: socket.socket,
        received: Callable[[FrameType, bytes], None],
        closed: Callable[[str], None],
        limit: int,
        largest: int = LARGEST,
    ) -> None:
        stream.setblocking(False)
        self._stream = stream
        self._received = received
        self._closed = closed
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._frames = FrameReader(largest)
        self._queue: deque[memoryview | Iterator[bytes]] = deque()
        self._reading = False
        self.queued = 0
        self.open = True
        self._loop.add_reader(stream, self._readable)

    def expect(self, largest: int) -> None:
        """Let the frames that follow be as large as this."""
        self._frames.largest = largest

    def send(self, data: bytes) -> None:
        """Send now what the socket takes, the rest when it can. Never blocks."""
        if not self.open:
            return
        if not self._queue:
            try:
                sent = self._stream.send(data)
            except BlockingIOError:
                sent = 0
            except OSError as error:
                self.close(f"sending failed: {error}")
                return
            if sent == len(data):
                return
            data = data[sent:]
            self._loop.add_writer(self._stream, self._writable)
        self._queue.append(memoryview(data))
        self.queued += len(data)
        if self.queued > self._limit:
            self.close(f"it is too slow: {self.queued} bytes wait for it")

    def send_each(self, parts: Iterator[bytes]) -> None:
        """Send a long series, each part made when the one before has left."""
        if self.open:
            self._queue.append(parts)
            self._loop.add_writer(self._stream, self._writable)
            self._writable()

    def poll(self) -> None:
        """Take over everything that has arrived, now."""
        while self.open and not self._reading and self._readable():
            pass

    def close(self, reason: str) -> None:
        """End the connection. Idempotent."""
        if not self.open:
            return
        self.open = False
        self._loop.remove_reader(self._stream)
        self._loop.remove_writer(self._stream)
        self._queue.clear()
        self._stream.close()
        self._closed(reason)

    def _writable(self) -> None:
        while self._queue:
            first = self._queue[0]
            if not isinstance(first, memoryview):
                try:
                    part = next(first, None)
                except FeedError as error:
                    self.close(str(error))
                    return
                if part is None:
                    self._queue.popleft()
                else:
                    self._queue.appendleft(memoryview(part))
                    self.queued += len(part)
                continue
            try:
                sent = self._stream.send(first)
            except BlockingIOError:
                return
            except OSError as error:
                self.close(f"sending failed: {error}")
                return
            self.queued -= sent
            if sent < len(first):
                self._queue[0] = first[sent:]
                return
            self._queue.popleft()
        self._loop.remove_writer(self._stream)

    def _readable(self) -> bool:
        """Whether there may be more to read."""
        if self._reading:
            return False
        self._reading = True
        try:
            for _ in range(_CHUNKS_PER_TURN):
                data = self._stream.recv(_CHUNK)
                if not data:
                    self.close("the peer ended it")
                    return False
                for frame_type, payload in self._frames.feed(data):
                    self._received(frame_type, payload)
                    if not self.open:
                        return False
        except BlockingIOError:
            return False
        except (OSError, FeedError) as error:
            self.close(str(error))
            return False
        finally:
            self._reading = False
        return True
