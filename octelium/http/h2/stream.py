"""One stream: both directions' flow control, and what waits in them (RFC 9113, section 5)."""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from octelium.http.h2.compression import encode
from octelium.http.h2.frames import (
    DATA,
    END_STREAM,
    HEAD,
    ErrorCode,
    H2StreamError,
    window_update,
)

if TYPE_CHECKING:
    from octelium.http.h2.connection import Connection
    from octelium.http.message import Fields

_COPIED: Final = 1024
"""Payloads below this size are joined to their frame's head at once."""

_JOINED: Final = 8 << 10
"""Pieces that wait are joined up to this size, so that tiny frames do not cost more than they
carry."""

_NOTHING: Final[deque[Any]] = deque(maxlen=0)
"""The empty queue of most streams."""

_WRONG_LENGTH: Final = "body differs from content-length"


class Cause(Enum):
    """Why a stream ended out of order."""

    LOST = "the connection is gone"
    RESET = "the peer reset it"
    REFUSED = "the peer has not looked at it"
    FAULT = "the peer broke the protocol"


class Stream:
    """The part that servers and clients share. Subclasses say whom to tell.

    `number` is the stream's identifier. Callbacks come only from `Connection.receive` and
    `Connection.turn`, never from a call that the handler makes.
    """

    __slots__ = (
        "_credit",
        "_expected",
        "_held",
        "_inbox",
        "_inbox_end",
        "_outbox",
        "_outbox_end",
        "_paused",
        "_receive_window",
        "active",
        "connection",
        "early",
        "gone",
        "local_closed",
        "number",
        "remote_closed",
        "send_window",
        "starting",
        "still_since",
    )

    def __init__(self, connection: Connection, number: int) -> None:
        self.connection = connection
        self.number = number
        self.send_window = connection.peer_settings.initial_window
        self._receive_window = connection.limits.stream_window
        self._credit = 0
        self._expected: int | None = None
        self._held = False
        self._inbox: deque[bytes | bytearray] = _NOTHING
        self._inbox_end: Fields | None = None
        self._outbox: deque[bytes | memoryview] = _NOTHING
        self._outbox_end: Fields | None = None
        self._paused = False
        self.active = True
        """Set whenever DATA passes; whoever watches for silence clears it."""
        self.still_since = 0.0
        self.early = b""
        self.starting = False
        """The head is known and the handler has not been told yet."""
        self.local_closed = False
        self.remote_closed = False
        self.gone = False
        """Nothing is to be told any more."""

    @property
    def closed(self) -> bool:
        """Whether both directions are closed."""
        return self.local_closed and self.remote_closed

    # What subclasses tell their handlers.

    def _begin(self) -> None:
        """The head, `early` and whether that was all (`remote_closed`)."""
        raise NotImplementedError

    def _deliver(self, data: bytes) -> None:
        raise NotImplementedError

    def _deliver_end(self, trailers: Fields) -> None:
        raise NotImplementedError

    def _tell_paused(self) -> None:
        raise NotImplementedError

    def _tell_resumed(self) -> None:
        raise NotImplementedError

    def _tell_failed(self, cause: Cause, problem: str) -> None:
        raise NotImplementedError

    def _sent(self) -> None:
        """Our direction has just been closed in order."""
        raise NotImplementedError

    # Receiving.

    def begin(self) -> None:
        """Hand the head over."""
        self.starting = False
        self._begin()

    def take_data(self, payload: bytes, size: int, *, end: bool) -> None:
        """A DATA frame of `size` bytes with its padding.

        Raises:
            H2StreamError: it is more than the window or the content-length allows, or too little.
        """
        if self.remote_closed:
            raise H2StreamError(ErrorCode.STREAM_CLOSED, "DATA after the end")
        if self.starting is False and not self._accepts_data():
            raise H2StreamError(ErrorCode.PROTOCOL_ERROR, "DATA before the head")
        self.active = True
        self._receive_window -= size
        if self._receive_window < 0:
            raise H2StreamError(ErrorCode.FLOW_CONTROL_ERROR, "more DATA than the window")
        length = len(payload)
        if self._expected is not None:
            self._expected -= length
            if self._expected < 0 or (end and self._expected):
                raise H2StreamError(ErrorCode.PROTOCOL_ERROR, _WRONG_LENGTH, 400)
        elif length and self._bodiless():
            raise H2StreamError(ErrorCode.PROTOCOL_ERROR, "body where none can be")
        if not length and not end:
            self.connection.spend_control()
        if end:
            self.remote_closed = True
        if self.starting:
            self.early = payload
            self._refund(size)
            if length or end:
                self.begin()
        elif self._held or self._inbox:
            self._keep(payload, size, end=end)
        else:
            self._refund(size)
            if length:
                self._deliver(payload)
            if end and not self.gone:
                self._deliver_end(())

    def take_trailers(self, trailers: Fields) -> None:
        """The peer's direction ends with `trailers`.

        Raises:
            H2StreamError: the body is shorter than its content-length.
        """
        if self._expected:
            raise H2StreamError(ErrorCode.PROTOCOL_ERROR, _WRONG_LENGTH, 400)
        self.remote_closed = True
        if self.starting:
            # The handler is to see the trailers, so the body has not ended with the head.
            self.remote_closed = False
            self.begin()
            self.remote_closed = True
        if self._held or self._inbox:
            self._end_inbox(trailers)
        elif not self.gone:
            self._deliver_end(trailers)

    def pause_receiving(self) -> None:
        """See `exchange`: what comes waits here, as much as the window lets through."""
        self._held = True

    def resume_receiving(self) -> None:
        """See `exchange`."""
        if self._held:
            self._held = False
            if self._inbox or self._inbox_end is not None:
                self.connection.attend(self)

    def _count(self, length: int) -> None:
        """Weigh the body against what the head said of it. Raises H2StreamError."""
        self.connection.data_frames += 1
        if self._expected is not None:
            self._expected -= length
            if self._expected < 0:
                raise H2StreamError(ErrorCode.PROTOCOL_ERROR, _WRONG_LENGTH, 400)
        elif self._bodiless():
            raise H2StreamError(ErrorCode.PROTOCOL_ERROR, "body where none can be")

    def _accepts_data(self) -> bool:
        return True

    def _bodiless(self) -> bool:
        return False

    def _keep(self, payload: bytes, size: int, *, end: bool) -> None:
        """Hold DATA back for a handler that takes none now."""
        length = len(payload)
        if length:
            if self._inbox is _NOTHING:
                self._inbox = deque()
            inbox = self._inbox
            if inbox and len(inbox[-1]) + length <= _JOINED:
                if not isinstance(inbox[-1], bytearray):
                    inbox[-1] = bytearray(inbox[-1])
                inbox[-1] += payload
            else:
                inbox.append(payload)
            self.connection.waiting_bytes += length
        self._refund(size - length)
        if end:
            self._end_inbox(())

    def _end_inbox(self, trailers: Fields) -> None:
        self._inbox_end = trailers
        if not self._inbox:
            self.connection.attend(self)

    def _refund(self, size: int) -> None:
        """Let the peer send as much again as has been taken, in few large steps."""
        self._credit += size
        if self._credit > self.connection.limits.stream_window >> 1 and not self.remote_closed:
            self._receive_window += self._credit
            self.connection.send(window_update(self.number, self._credit))
            self._credit = 0

    # Sending.

    def send_data(self, data: bytes) -> None:
        """See `exchange`. What the windows do not let through waits here."""
        self._send(data, end=False)

    def send_end(self, trailers: Fields = ()) -> None:
        """See `exchange`."""
        if self.local_closed or self._outbox_end is not None:
            return
        if self._outbox:
            self._outbox_end = trailers
        else:
            self._finish(trailers)

    def _send(self, data: bytes, *, end: bool) -> None:
        connection = self.connection
        size = len(data)
        if self.local_closed or self._outbox_end is not None or not (size or end):
            return
        if (
            self._outbox
            or connection.blocked
            or size > self.send_window
            or size > connection.send_window
            or size > connection.peer_settings.max_frame
        ):
            if self._outbox is _NOTHING:
                self._outbox = deque()
            self._outbox.append(data)
            if end:
                self._outbox_end = ()
            self.pump()
            if self._outbox:
                connection.backlog[self.number] = self
                if not self._paused:
                    connection.attend(self)
            return
        self.send_window -= size
        connection.send_window -= size
        self.active = True
        connection.data_frames += 1
        flag = END_STREAM if end else 0
        head = HEAD.pack(size >> 16, size & 0xFFFF, DATA, flag, self.number)
        if size < _COPIED:
            connection.send(head + data)
        else:
            connection.send(head)
            connection.send(data)
        if end:
            self._close_local()

    def has_backlog(self) -> bool:
        """Whether something waits to be sent."""
        return bool(self._outbox)

    def pump(self) -> None:
        """Send what waits, as far as the windows and the transport allow."""
        connection = self.connection
        outbox = self._outbox
        if connection.blocked:
            return
        while outbox:
            piece = outbox[0]
            size = len(piece)
            room = min(self.send_window, connection.send_window, connection.peer_settings.max_frame)
            if size > room:
                if room <= 0:
                    return
                view = memoryview(piece)
                piece, outbox[0] = view[:room], view[room:]
                size = room
            else:
                outbox.popleft()
            last = not outbox and self._outbox_end == ()
            self.send_window -= size
            connection.send_window -= size
            self.active = True
            connection.data_frames += 1
            flag = END_STREAM if last else 0
            connection.send(HEAD.pack(size >> 16, size & 0xFFFF, DATA, flag, self.number))
            connection.send(piece)
            if last:
                self._close_local()
                return
        if self._outbox_end is not None:
            self._finish(self._outbox_end)
        elif self._paused:
            connection.attend(self)

    def _finish(self, trailers: Fields) -> None:
        connection = self.connection
        if trailers:
            connection.send_headers(self.number, encode(trailers), end=True)
        else:
            connection.send(HEAD.pack(0, 0, DATA, END_STREAM, self.number))
        self._close_local()

    def _close_local(self) -> None:
        self.local_closed = True
        self._sent()

    # Both.

    def attend(self) -> None:
        """Tell the handler what could not be told when it happened."""
        if self.gone:
            return
        waiting = bool(self._outbox)
        if waiting is not self._paused and not self.local_closed:
            self._paused = waiting
            if waiting:
                self._tell_paused()
            else:
                self._tell_resumed()
        inbox = self._inbox
        while inbox and not self._held and not self.gone:
            piece = inbox.popleft()
            self.connection.release(len(piece))
            self._refund(len(piece))
            self._deliver(bytes(piece))
        if not inbox and self._inbox_end is not None and not self.gone:
            trailers, self._inbox_end = self._inbox_end, None
            self._deliver_end(trailers)

    def fail(self, cause: Cause, problem: str) -> None:
        """The stream has ended out of order; what waits is thrown away."""
        told = self.gone
        self.drop()
        if not told:
            self._tell_failed(cause, problem)

    def drop(self) -> None:
        """Forget what waits; nothing more is told."""
        self.gone = self.local_closed = self.remote_closed = True
        if self._inbox:
            self.connection.release(sum(map(len, self._inbox)))
            self._inbox.clear()
        self.clear_outbox()

    def clear_outbox(self) -> None:
        """Forget what waits to be sent."""
        self._outbox.clear()
        self._outbox_end = None
        self.connection.backlog.pop(self.number, None)

    def stop_sending(self) -> bool:
        """The peer has reset the stream with NO_ERROR; False if that ends it out of order."""
        return False

    def _reset(self, code: ErrorCode) -> None:
        """End the stream by RST_STREAM."""
        if not self.closed:
            self.connection.reset_stream(self, code)
        self.drop()
