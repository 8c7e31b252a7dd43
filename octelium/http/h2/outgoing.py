"""What a connection of HTTP/2 sends, what its streams ask of it, and how it ends."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Final

from octelium.http.h2 import frames
from octelium.http.h2.budget import Budget
from octelium.http.h2.compression import NO_TABLE
from octelium.http.h2.frames import ErrorCode, H2ConnectionError, H2StreamError
from octelium.http.h2.settings import PeerSettings
from octelium.http.h2.stream import Cause

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.http.h2.settings import Limits
    from octelium.http.h2.stream import Stream

_LOG = logging.getLogger(__name__)

_REMEMBERED_RESETS: Final = 1_000
"""Streams we have reset whose late frames are ignored (RFC 9113, section 5.4.2)."""

_PING: Final = b"octelium"


class Outgoing:
    """The half of a connection that writes; frames wait in an output until the next turn.

    Connections have slots: there may be many, and most of the time nothing happens on them.
    """

    __slots__ = (
        "_awake",
        "_control",
        "_credit",
        "_due",
        "_output",
        "_receive_window",
        "_replies",
        "_reset_numbers",
        "_resets",
        "_table_announced",
        "_wake",
        "backlog",
        "blocked",
        "clock",
        "closed",
        "data_frames",
        "last_peer_stream",
        "limits",
        "peer_settings",
        "send_window",
        "streams",
        "waiting_bytes",
    )

    def __init__(
        self,
        limits: Limits,
        clock: Callable[[], float],
        wake: Callable[[], None],
    ) -> None:
        """`clock` gives seconds that only rise; `wake` asks for a `turn` soon."""
        self.limits = limits
        self.peer_settings = PeerSettings()
        self.streams: dict[int, Stream] = {}
        """Open and half-closed streams."""
        self.backlog: dict[int, Stream] = {}
        """Streams with something to send that a window or the transport holds back."""
        self.send_window = frames.DEFAULT_WINDOW
        self.blocked = False
        """The transport takes no more bodies."""
        self.waiting_bytes = 0
        """Body bytes received that handlers have not taken yet."""
        self.closed = False
        """What is in the output is the last; the transport is to be closed after it."""
        self.last_peer_stream = 0
        self.data_frames = 0
        """DATA frames either way since control frames were last weighed against them."""
        self.clock = clock
        self._wake = wake
        self._awake = False
        self._output: list[bytes | memoryview] = []
        self._due: dict[Stream, None] = {}
        self._receive_window = limits.connection_window
        self._credit = 0
        self._reset_numbers: dict[int, None] = {}
        self._table_announced = False
        self._replies = 0
        self._resets = Budget(limits.reset_burst, limits.reset_rate, clock)
        self._control = Budget(limits.control_burst, limits.control_rate, clock)

    # The streams' side.

    def send(self, data: bytes | memoryview) -> None:
        """Append to the output."""
        self._output.append(data)
        if not self._awake:
            self._awake = True
            self._wake()

    def send_headers(self, number: int, block: bytes, *, end: bool) -> None:
        """Send a header block made by `compression.encode`."""
        if not self._table_announced:
            self._table_announced = True
            block = NO_TABLE + block
        self.send(frames.headers(number, block, end=end, max_frame=self.peer_settings.max_frame))

    def attend(self, stream: Stream) -> None:
        """Call `stream.attend` in the next turn."""
        self._due[stream] = None
        if not self._awake:
            self._awake = True
            self._wake()

    def release(self, size: int) -> None:
        """A handler has taken `size` bytes that waited."""
        self.waiting_bytes -= size
        self._refund()

    def forget(self, stream: Stream) -> None:
        """Both directions of `stream` are closed."""
        self.streams.pop(stream.number, None)

    def reset_stream(self, stream: Stream, code: ErrorCode) -> None:
        """End `stream` from this side; late frames for it are ignored."""
        self.streams.pop(stream.number, None)
        self._reset(stream.number, code)

    def spend_control(self) -> None:
        """Count a frame that carries nothing; every frame that carries data allows two more.

        Raises:
            H2ConnectionError: there are too many.
        """
        if self._control.spend():
            return
        self._control.add(2 * self.data_frames)
        self.data_frames = 0
        if not self._control.spend():
            raise H2ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, "too many empty or control frames")

    # Bodies and their windows.

    def _pump(self) -> None:
        """Let streams send what waits, each in turn first."""
        backlog = self.backlog
        for number, stream in list(backlog.items()):
            if self.blocked or self.send_window <= 0:
                return
            del backlog[number]
            stream.pump()
            if stream.has_backlog():
                backlog[number] = stream

    def _refund(self) -> None:
        if (
            self._credit > self.limits.connection_window >> 1
            and self.waiting_bytes <= self.limits.max_waiting
            and not self.closed
        ):
            self._receive_window += self._credit
            self.send(frames.window_update(0, self._credit))
            self._credit = 0

    # Answers to frames, and streams that are reset.

    def _reply(self, data: bytes) -> None:
        if self.blocked:
            self._replies += 1
            if self._replies > self.limits.max_replies:
                raise H2ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, "answers are not read")
        self.send(data)

    def _reset(self, number: int, code: ErrorCode) -> None:
        numbers = self._reset_numbers
        numbers[number] = None
        if len(numbers) > _REMEMBERED_RESETS:
            del numbers[next(iter(numbers))]
        self.send(frames.rst_stream(number, code))

    def _was_reset(self, number: int) -> bool:
        return number in self._reset_numbers

    def _check_late(self, number: int) -> None:
        """A frame for a stream that is not open: ignored if we have reset it, else a fault."""
        if not number or self._is_idle(number):
            raise H2ConnectionError(ErrorCode.PROTOCOL_ERROR, "frame on an idle stream")
        if number not in self._reset_numbers:
            raise H2ConnectionError(ErrorCode.STREAM_CLOSED, "frame on a closed stream")

    def _is_idle(self, number: int) -> bool:
        """Whether stream `number` has never been opened."""
        raise NotImplementedError

    def _spend_reset(self) -> None:
        if not self._resets.spend():
            raise H2ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, "too many streams reset")

    # Ends.

    def ping(self) -> None:
        """Ask the peer for a sign of life."""
        self.send(frames.frame(frames.PING, 0, 0, _PING))

    def end(self, code: ErrorCode, problem: str) -> None:
        """Say GOAWAY, fail every stream and ask for the transport to be closed."""
        if self.closed:
            return
        self.closed = True
        if code:
            _LOG.debug("connection ended with %s: %s", code.name, problem)
        self.send(frames.goaway(self.last_peer_stream, code))
        self._fail_all(Cause.FAULT if code else Cause.LOST, problem)

    def _fail_all(self, cause: Cause, problem: str) -> None:
        streams, self.streams = self.streams, {}
        for stream in streams.values():
            self._guard(stream, partial(stream.fail, cause, problem))

    def _guard(self, stream: Stream, call: Callable[[], None]) -> None:
        """Call into a handler: a bug there ends its own stream, not the others."""
        try:
            call()
        except (H2StreamError, H2ConnectionError):
            raise
        except Exception:  # noqa: BLE001  # a handler's bug ends its own stream only
            self._mend(stream.number)

    def _mend(self, number: int) -> None:
        _LOG.exception("the handler of a stream failed")
        stream = self.streams.get(number)
        if stream is not None:
            self._broken(stream)

    def _broken(self, stream: Stream) -> None:
        """A handler raised."""
        self.reset_stream(stream, ErrorCode.INTERNAL_ERROR)
        stream.drop()
