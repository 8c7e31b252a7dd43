"""What both ends of an HTTP/2 connection share: frames in, frames out, and when it ends.

A connection is fed by `receive` and emptied by `turn`; the shell around it owns the transport and
calls `turn` once per turn of the event loop, after `receive` or when `wake` asked for it. Nothing
that a peer sends raises out of here: it ends a stream (RST_STREAM) or the connection (GOAWAY).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from octelium.http.h2 import frames
from octelium.http.h2.frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEAD,
    HEAD_SIZE,
    HEADERS,
    LONG,
    MAX_WINDOW,
    PADDED,
    PRIORITISED,
    SETTINGS,
    ErrorCode,
    H2ConnectionError,
    H2StreamError,
    Setting,
)
from octelium.http.h2.outgoing import Outgoing
from octelium.http.h2.stream import Cause

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.http.h2.heads import HeadReader
    from octelium.http.h2.settings import Limits
    from octelium.http.h2.stream import Stream

_MAX_FRAME: Final = frames.MIN_MAX_FRAME
"""Payload bytes of a frame that we take: SETTINGS_MAX_FRAME_SIZE is left at its default."""

_HANDLERS: Final = {
    frames.PRIORITY: "_on_priority",
    frames.RST_STREAM: "_on_rst_stream",
    SETTINGS: "_on_settings",
    frames.PUSH_PROMISE: "_on_push_promise",
    frames.PING: "_on_ping",
    frames.GOAWAY: "_on_goaway",
    frames.WINDOW_UPDATE: "_on_window_update",
}
"""Methods by the type of frame, in one table for all connections."""


class Connection(Outgoing):
    """One connection without its transport. Subclasses are the two roles."""

    __slots__ = (
        "_block",
        "_block_end",
        "_block_size",
        "_block_stream",
        "_rest",
        "_resumable",
        "_settled",
        "_starting",
        "deadlines",
        "halted",
        "heads",
        "heard",
    )
    role_is_client: bool = False

    def __init__(
        self,
        limits: Limits,
        clock: Callable[[], float],
        wake: Callable[[], None],
        heads: HeadReader,
    ) -> None:
        """`clock` gives seconds that only rise; `wake` asks for a `turn` soon."""
        super().__init__(limits, clock, wake)
        self.heads = heads
        self.deadlines: dict[int, float] = {}
        """When the bodies of some requests are to be complete, by stream."""
        self.halted = False
        """Frames received wait for the next turn and until the transport takes data."""
        self.heard = False
        """Set by every sign of life; whoever watches for silence clears it."""
        self._resumable = False
        self._rest = b""
        self._block_stream = 0
        self._block_end = False
        self._block: list[bytes] = []
        self._block_size = 0
        self._starting: Stream | None = None
        self._settled = False

    # The shell's side.

    def start(self) -> None:
        """Send our part of the preface; to be called once, `turn` next."""
        self._awake = True
        limits = self.limits
        values = [
            (Setting.INITIAL_WINDOW_SIZE, limits.stream_window),
            (Setting.MAX_HEADER_LIST_SIZE, limits.max_header_list),
        ]
        if self.role_is_client:
            self.send(frames.PREFACE)
            values.append((Setting.ENABLE_PUSH, 0))
        else:
            values.append((Setting.MAX_CONCURRENT_STREAMS, limits.max_streams))
        self.send(frames.settings(values))
        if (more := limits.connection_window - frames.DEFAULT_WINDOW) > 0:
            self.send(frames.window_update(0, more))

    def receive(self, data: bytes) -> None:
        """Take bytes from the transport; `turn` is to be called next."""
        if self.closed:
            return
        self._awake = True
        self.heard = True
        if self.halted:
            self._rest += data
            return
        try:
            self._receive(data)
        except H2ConnectionError as fault:
            self.end(fault.code, str(fault))

    def turn(self) -> list[bytes | memoryview]:
        """Tell handlers what is due and give what is to be written, in order."""
        self._awake = True
        if self._resumable:
            self._resume()
        due = self._due
        while due:
            for stream in list(due):
                del due[stream]
                self._guard(stream, stream.attend)
        self._settle()
        output, self._output = self._output, []
        self._awake = False
        if self.halted and not self._resumable:
            # Only in the next turn, when it is known whether the transport takes this output.
            self._resumable = True
            if not self.blocked:
                self._awake = True
                self._wake()
        return output

    def block(self) -> None:
        """The transport's buffer is full."""
        self.blocked = True

    def unblock(self) -> None:
        """The transport takes data again."""
        self.blocked = False
        self.heard = True
        self._replies = 0
        self._pump()
        if self.halted and not self._awake:
            self._awake = True
            self._wake()

    def lost(self, problem: str) -> None:
        """The transport is gone: every stream fails."""
        self.closed = True
        self._fail_all(Cause.LOST, problem)
        self._wake = _nobody  # a cycle with the shell would wait for the garbage collector

    # The roles' side.

    def _on_head(self, number: int, block: bytes, *, end: bool) -> None:
        """A header block is complete."""
        raise NotImplementedError

    def _on_goaway(self, number: int, flags: int, payload: bytes) -> None:
        raise NotImplementedError

    def _on_stream_fault(self, number: int, fault: H2StreamError) -> None:
        """End a stream that the peer has broken."""
        stream = self.streams.pop(number, None)
        self._reset(number, fault.code)
        if stream is not None:
            self._guard(stream, partial(stream.fail, Cause.FAULT, str(fault)))
        self._spend_reset()

    def _settle(self) -> None:
        """Whatever is to be looked at once per turn."""

    def _begin(self, stream: Stream, *, end: bool) -> None:
        """Hand a stream's head over, with the DATA frame behind it if that is here already."""
        if end:
            self._guard(stream, stream.begin)
        else:
            stream.starting = True
            self._starting = stream

    # Frames.

    def _resume(self) -> None:
        """Go on with the frames that wait."""
        if self.blocked or self.closed:
            return
        self.halted = self._resumable = False
        self.receive(b"")

    def _receive(self, data: bytes) -> None:
        if self._rest:
            data = self._rest + data
        position, size = 0, len(data)
        while size - position >= HEAD_SIZE:
            high, low, kind, flags, number = HEAD.unpack_from(data, position)
            length = high << 16 | low
            if length > _MAX_FRAME:
                raise H2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "frame too large")
            start = position + HEAD_SIZE
            position = start + length
            if position > size:
                position = start - HEAD_SIZE
                break
            number &= 0x7FFFFFFF
            if self._starting is not None and (kind != DATA or number != self._starting.number):
                self._begin_starting()
            if self._block_stream or not self._settled:
                self._check_order(kind, number, flags)
            self._take(kind, number, flags, data[start:position])
            if self.closed:
                self._rest = b""
                return
            if self.halted:
                break
        self._rest = data[position:]
        if self._starting is not None:
            self._begin_starting()

    def _take(self, kind: int, number: int, flags: int, payload: bytes) -> None:
        try:
            if kind == HEADERS:
                self._on_headers(number, flags, payload)
            elif kind == DATA:
                self._on_data(number, flags, payload)
            elif kind == CONTINUATION:
                self._on_continuation(number, flags, payload)
            else:
                handler = _HANDLERS.get(kind)
                self.spend_control()
                if handler is not None:
                    getattr(self, handler)(number, flags, payload)
        except H2StreamError as fault:
            self._on_stream_fault(number, fault)
        except H2ConnectionError:
            raise
        except Exception:  # noqa: BLE001  # a handler's bug ends its own stream only
            self._mend(number)

    def _begin_starting(self) -> None:
        stream, self._starting = self._starting, None
        if stream is not None and stream.starting and not stream.gone:
            self._guard(stream, stream.begin)

    def _check_order(self, kind: int, number: int, flags: int) -> None:
        if self._block_stream:
            if kind != CONTINUATION or number != self._block_stream:
                raise H2ConnectionError(ErrorCode.PROTOCOL_ERROR, "frame inside a header block")
        elif kind != SETTINGS or flags & ACK:
            raise H2ConnectionError(ErrorCode.PROTOCOL_ERROR, "the first frame is not SETTINGS")
        else:
            self._settled = True

    def _on_data(self, number: int, flags: int, payload: bytes) -> None:
        size = len(payload)
        if flags & PADDED:
            payload = _unpadded(payload)
        self._receive_window -= size
        if self._receive_window < 0:
            raise H2ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, "more DATA than the window")
        self._credit += size
        stream = self.streams.get(number)
        if stream is None:
            self._check_late(number)
            self._refund()
            return
        end = bool(flags & END_STREAM)
        stream.take_data(payload, size, end=end)
        self._refund()
        if stream.closed:
            self.forget(stream)

    def _on_headers(self, number: int, flags: int, payload: bytes) -> None:
        if flags & PADDED:
            payload = _unpadded(payload)
        if flags & PRIORITISED:
            if len(payload) < 5:
                raise H2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "HEADERS too short")
            payload = payload[5:]
        if not number & 1:
            raise H2ConnectionError(ErrorCode.PROTOCOL_ERROR, "HEADERS on an impossible stream")
        if flags & END_HEADERS:
            self._on_head(number, payload, end=bool(flags & END_STREAM))
        else:
            self._block_stream = number
            self._block_end = bool(flags & END_STREAM)
            self._block = [payload]
            self._block_size = len(payload)

    def _on_continuation(self, number: int, flags: int, payload: bytes) -> None:
        if not self._block_stream:
            raise H2ConnectionError(ErrorCode.PROTOCOL_ERROR, "CONTINUATION without HEADERS")
        self._block.append(payload)
        self._block_size += len(payload)
        if (
            self._block_size > self.limits.max_header_block
            or len(self._block) > self.limits.max_continuations + 1
        ):
            raise H2ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, "header block too large")
        if flags & END_HEADERS:
            block = b"".join(self._block)
            self._block_stream = 0
            self._block = []
            self._on_head(number, block, end=self._block_end)

    def _on_priority(self, number: int, flags: int, payload: bytes) -> None:  # noqa: ARG002  # one signature for all frames
        if not number:
            raise H2ConnectionError(ErrorCode.PROTOCOL_ERROR, "PRIORITY on stream 0")
        if len(payload) != 5:
            raise H2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "PRIORITY of a wrong size")

    def _on_rst_stream(self, number: int, flags: int, payload: bytes) -> None:  # noqa: ARG002  # one signature for all frames
        if len(payload) != 4:
            raise H2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "RST_STREAM of a wrong size")
        if not number or self._is_idle(number):
            raise H2ConnectionError(ErrorCode.PROTOCOL_ERROR, "RST_STREAM on an idle stream")
        stream = self.streams.pop(number, None)
        if stream is not None:
            code = _error_code(LONG.unpack(payload)[0])
            if code is ErrorCode.NO_ERROR and stream.stop_sending():
                return
            cause = Cause.REFUSED if code is ErrorCode.REFUSED_STREAM else Cause.RESET
            self._guard(stream, partial(stream.fail, cause, f"reset with {code.name}"))
            self._spend_reset()

    def _on_settings(self, number: int, flags: int, payload: bytes) -> None:
        if number:
            raise H2ConnectionError(ErrorCode.PROTOCOL_ERROR, "SETTINGS on a stream")
        if flags & ACK:
            if payload:
                raise H2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "SETTINGS ACK of a wrong size")
            return
        before = self.peer_settings.initial_window
        self.peer_settings.apply(payload, from_server=self.role_is_client)
        self._reply(frames.SETTINGS_ACK)
        change = self.peer_settings.initial_window - before
        if change:
            for stream in self.streams.values():
                stream.send_window += change
                if stream.send_window > MAX_WINDOW:
                    raise H2ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, "window too large")
            if change > 0:
                self._pump()

    def _on_push_promise(self, number: int, flags: int, payload: bytes) -> None:  # noqa: ARG002  # one signature for all frames
        raise H2ConnectionError(ErrorCode.PROTOCOL_ERROR, "push is not allowed")

    def _on_ping(self, number: int, flags: int, payload: bytes) -> None:
        if number:
            raise H2ConnectionError(ErrorCode.PROTOCOL_ERROR, "PING on a stream")
        if len(payload) != 8:
            raise H2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "PING of a wrong size")
        if flags & ACK:
            self._on_pong(payload)
        else:
            self._reply(frames.frame(frames.PING, ACK, 0, payload))

    def _on_pong(self, payload: bytes) -> None:
        """The answer to a PING of ours."""

    def _on_window_update(self, number: int, flags: int, payload: bytes) -> None:  # noqa: ARG002  # one signature for all frames
        if len(payload) != 4:
            raise H2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "WINDOW_UPDATE of a wrong size")
        credit = LONG.unpack(payload)[0] & 0x7FFFFFFF
        if not number:
            if not credit:
                raise H2ConnectionError(ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE of 0")
            self.send_window += credit
            if self.send_window > MAX_WINDOW:
                raise H2ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, "window too large")
            self._pump()
            return
        stream = self.streams.get(number)
        if stream is None:
            if self._is_idle(number):
                raise H2ConnectionError(ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE on an idle stream")
            return
        if not credit:
            raise H2StreamError(ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE of 0")
        stream.send_window += credit
        if stream.send_window > MAX_WINDOW:
            raise H2StreamError(ErrorCode.FLOW_CONTROL_ERROR, "window too large")
        if number in self.backlog:
            self._pump()


def _nobody() -> None:
    """The shell of a connection that is gone: there is nothing to wake it for."""


def _unpadded(payload: bytes) -> bytes:
    if not payload:
        raise H2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "padded frame too short")
    padding = payload[0]
    if padding >= len(payload):
        raise H2ConnectionError(ErrorCode.PROTOCOL_ERROR, "more padding than payload")
    return payload[1 : len(payload) - padding]


def _error_code(number: int) -> ErrorCode:
    """Unknown codes are treated as INTERNAL_ERROR (RFC 9113, section 7)."""
    try:
        return ErrorCode(number)
    except ValueError:
        return ErrorCode.INTERNAL_ERROR
