"""Bytes from one TCP socket to another, and back, without passing through this process.

splice(2) moves pages from a socket into a pipe and from there into another socket. That costs half
of what reading and writing them does. A direction takes a pipe when there is something to move and
gives it back when that has left, so that connections without traffic have none. What stands still
keeps its pipe, and both sockets' buffers full in the kernel: there is a bound for that.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import socket
from typing import TYPE_CHECKING, Final

from octelium.vigil.stalls import Stalls, kernel_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

PIPE: Final = 256 << 10
"""Bytes that a pipe is asked to hold; the kernel may grant less (pipe(7))."""
_KEPT: Final = 64
"""Pipes that wait for their next use."""
_FLAGS: Final = os.SPLICE_F_NONBLOCK | os.SPLICE_F_MOVE


class Pipes:
    """Empty pipes for directions that have something to move; `stalls` has those that cannot."""

    def __init__(self, stalls: Stalls | None = None) -> None:
        self.stalls = stalls or Stalls()
        self._free: list[tuple[int, int]] = []

    def take(self) -> tuple[int, int]:
        """The reading and the writing end of a pipe. Raises OSError if there can be no more."""
        if self._free:
            return self._free.pop()
        pipe = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        with contextlib.suppress(OSError):  # over the user's share of pipe pages: it stays small
            fcntl.fcntl(pipe[1], fcntl.F_SETPIPE_SZ, PIPE)
        return pipe

    def give(self, pipe: tuple[int, int], *, empty: bool) -> None:
        """A pipe is not needed any more."""
        if empty and len(self._free) < _KEPT:
            self._free.append(pipe)
        else:
            os.close(pipe[0])
            os.close(pipe[1])

    def close(self) -> None:
        """Close the pipes that nobody has."""
        self.stalls.close()
        while self._free:
            for descriptor in self._free.pop():
                os.close(descriptor)


class Splice:
    """Joins two connected, non-blocking sockets, which are its own from here on.

    `received` counts bytes from the client, `sent` bytes to it. Each side may end its half; the
    other goes on for as long as it likes (RFC 9293, section 3.6). `ended(error)` is called once,
    when both halves have ended or one side broke, with what broke or None. `owner` is whose share
    of the pipes it takes.
    """

    def __init__(
        self,
        client: socket.socket,
        upstream: socket.socket,
        pipes: Pipes,
        ended: Callable[[OSError | None], None],
        owner: str = "",
    ) -> None:
        self.owner = owner
        self._sockets = (client, upstream)
        self._ended: Callable[[OSError | None], None] | None = ended
        self._forth = _Direction(self, client, upstream, pipes)
        self._back = _Direction(self, upstream, client, pipes)

    def start(self) -> None:
        """Begin to move."""
        self._forth.read()
        if self._ended is not None:
            self._back.read()

    @property
    def received(self) -> int:
        """Bytes that came from the client and went to the upstream."""
        return self._forth.moved

    @property
    def sent(self) -> int:
        """Bytes that came from the upstream and went to the client."""
        return self._back.moved

    def abort(self) -> None:
        """Break both connections off, so that both peers see it; `ended` is not called."""
        self._ended = None
        for one in self._sockets:
            reset(one)
        self._close()

    def done(self, error: OSError | None) -> None:
        """A direction has ended, well or not."""
        ended = self._ended
        if ended is None or (error is None and not (self._forth.over and self._back.over)):
            return
        self._ended = None
        if error is not None:
            for one in self._sockets:
                reset(one)
        self._close()
        ended(error)

    def _close(self) -> None:
        self._forth.close()
        self._back.close()
        for one in self._sockets:
            one.close()


class _Direction:
    """From one socket to the other."""

    __slots__ = (
        "_from",
        "_join",
        "_loop",
        "_pipe",
        "_pipes",
        "_reading",
        "_to",
        "_waiting",
        "_writing",
        "moved",
        "over",
        "owner",
    )

    def __init__(
        self, join: Splice, source: socket.socket, target: socket.socket, pipes: Pipes
    ) -> None:
        self._join = join
        self.owner = join.owner
        self._from = source
        self._to = target
        self._pipes = pipes
        self._loop = asyncio.get_running_loop()
        self._pipe: tuple[int, int] | None = None
        self._waiting = 0
        """Bytes in the pipe."""
        self._reading = False
        self._writing = False
        self.moved = 0
        self.over = False

    def read(self) -> None:
        """Wait for the source to have something."""
        self._reading = True
        self._loop.add_reader(self._from.fileno(), self._readable)

    def close(self) -> None:
        """Move no more."""
        self.over = True
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._from.fileno())
        if self._writing:
            self._writing = False
            self._loop.remove_writer(self._to.fileno())
        self._give()

    def held(self) -> int:
        """Bytes that wait in both sockets and the pipe."""
        return self._waiting + kernel_bytes(self._from, self._to)

    def give_up(self, error: OSError) -> None:
        """End the stream."""
        self._join.done(error)

    def _readable(self) -> None:
        try:
            if self._pipe is None:
                self._pipe = self._pipes.take()
            count = os.splice(self._from.fileno(), self._pipe[1], PIPE, flags=_FLAGS)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._join.done(error)
            return
        if not count:
            self._end()
            return
        self._waiting = count
        self._move()

    def _writable(self) -> None:
        self._move()

    def _move(self) -> None:
        """Empty the pipe, or wait for the target to take more; nothing is read meanwhile."""
        assert self._pipe is not None
        before = self.moved
        try:
            while self._waiting:
                count = os.splice(self._pipe[0], self._to.fileno(), self._waiting, flags=_FLAGS)
                self._waiting -= count
                self.moved += count
        except (BlockingIOError, InterruptedError):
            if not self._writing:
                self._writing = True
                if self._reading:
                    self._reading = False
                    self._loop.remove_reader(self._from.fileno())
                self._loop.add_writer(self._to.fileno(), self._writable)
                self._pipes.stalls.hold(self)
            elif self.moved != before:
                self._pipes.stalls.hold(self)
            return
        except OSError as error:
            self._join.done(error)
            return
        self._give()
        if self._writing:
            self._writing = False
            self._loop.remove_writer(self._to.fileno())
            self.read()

    def _end(self) -> None:
        """The source sends no more: say so to the target, after all that came before."""
        try:
            self._to.shutdown(socket.SHUT_WR)
        except OSError as error:
            self._join.done(error)
            return
        self.close()
        self._join.done(None)

    def _give(self) -> None:
        if self._pipe is not None:
            pipe, self._pipe = self._pipe, None
            self._pipes.give(pipe, empty=not self._waiting)
            self._waiting = 0
            self._pipes.stalls.release(self)


def reset(one: socket.socket) -> None:
    """Let closing a socket tell its peer that the connection broke (SO_LINGER, socket(7))."""
    with contextlib.suppress(OSError):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
