"""The client's end of a connection, and its streams as `exchange.UpstreamStream`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from octelium.http.exchange import Failure, UpstreamError
from octelium.http.h2.compression import encode, encode_target, encoded
from octelium.http.h2.connection import Connection
from octelium.http.h2.frames import GOAWAY_HEAD, ErrorCode, H2ConnectionError, H2StreamError
from octelium.http.h2.heads import HeadReader
from octelium.http.h2.settings import CLIENT_LIMITS
from octelium.http.h2.stream import Cause, Stream
from octelium.http.message import ResponseHead

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.http.exchange import ResponseReceiver
    from octelium.http.h2.settings import Limits
    from octelium.http.message import Fields, UpstreamRequest

_HTTP: Final = (b":scheme", b"http")
_HTTPS: Final = (b":scheme", b"https")
_MAX_STARTS: Final = 64
_LAST_STREAM: Final = 2**31 - 1

_FAILURES: Final = {
    Cause.LOST: Failure.CLOSED,
    Cause.RESET: Failure.RESET,
    Cause.REFUSED: Failure.RESET,
    Cause.FAULT: Failure.PROTOCOL,
}

MAX_INFORMATIONAL: Final = 32
"""1xx heads before the final one."""


class ClientConnection(Connection):
    """Opens streams; `freed` is called (from `turn`) when room for another has become free."""

    __slots__ = ("_freed", "_full", "_next", "_starts", "leaving", "secure", "served")
    role_is_client = True

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        wake: Callable[[], None],
        freed: Callable[[], None],
        limits: Limits = CLIENT_LIMITS,
    ) -> None:
        super().__init__(limits, clock, wake, HeadReader(limits.max_header_list))
        self.secure = False
        """Whether requests say `https`."""
        self._next = 1
        self._freed = freed
        self._full = False
        self._starts: dict[tuple[bytes, bytes], bytes] = {}
        self.leaving = False
        """No further streams can be opened: the peer said GOAWAY, or the numbers are used up."""
        self.served = 0
        """Responses that came to their end."""

    def available(self) -> bool:
        """Whether `open` may be called."""
        if self.leaving or self.closed:
            return False
        if len(self.streams) >= min(self.peer_settings.max_streams, self.limits.max_streams):
            self._full = True
            return False
        return True

    def open(
        self, request: UpstreamRequest, receiver: ResponseReceiver, data: bytes, *, end: bool
    ) -> ClientStream:
        """Send a request; see `exchange.UpstreamConnection.open`."""
        number = self._next
        self._next = number + 2
        if self._next > _LAST_STREAM:
            self.leaving = True
        stream = ClientStream(self, number, request.method, receiver)
        self.streams[number] = stream
        start = self._starts.get((request.method, request.authority))
        if start is None:
            start = self._start(request.method, request.authority)
        # Any field towards an upstream may be a credential put in for it.
        fields = encoded(request.block, never_indexed=True)
        block = start + encode_target(request.target) + fields
        last = (end or not request.has_body) and not data
        self.send_headers(number, block, end=last)
        if last:
            stream.close_local()
        elif data:
            stream.send_first(data, end=end)
        return stream

    def _start(self, method: bytes, authority: bytes) -> bytes:
        """The pseudo-fields that most requests on a connection share."""
        if len(self._starts) >= _MAX_STARTS:
            self._starts.clear()
        fields = (
            (b":method", method),
            _HTTPS if self.secure else _HTTP,
            (b":authority", authority),
        )
        start = self._starts[method, authority] = encode(fields)
        return start

    def forget(self, stream: Stream) -> None:
        """See `Connection.forget`."""
        super().forget(stream)
        if stream.number & 1:
            self.served += 1

    def lost(self, problem: str) -> None:
        """See `Connection.lost`."""
        super().lost(problem)
        self._freed = self._wake

    def _settle(self) -> None:
        if self.leaving and not self.streams:
            self.end(ErrorCode.NO_ERROR, "the server is going away")
        elif self._full and self.available():
            self._full = False
            self._freed()

    def _is_idle(self, number: int) -> bool:
        return number >= self._next or not number & 1

    def _on_head(self, number: int, block: bytes, *, end: bool) -> None:
        stream = self.streams.get(number)
        if not isinstance(stream, ClientStream):
            self._check_late(number)
            self.heads.skip(block)
            return
        if stream.remote_closed:
            self.heads.skip(block)
            raise H2StreamError(ErrorCode.STREAM_CLOSED, "HEADERS after the end")
        if stream.head is not None:
            trailers = self.heads.trailers(block)
            if not end:
                raise H2StreamError(ErrorCode.PROTOCOL_ERROR, "second HEADERS without END_STREAM")
            self._guard(stream, partial(stream.take_trailers, trailers))
        else:
            head = self.heads.response(block, end=end)
            if head.status < 200:
                self._guard(stream, partial(stream.inform, head))
                return
            stream.take_head(head, end=end)
            self._begin(stream, end=end)
        if stream.closed:
            self.forget(stream)

    def _on_goaway(self, number: int, flags: int, payload: bytes) -> None:  # noqa: ARG002  # one signature for all frames
        if number:
            raise H2ConnectionError(ErrorCode.PROTOCOL_ERROR, "GOAWAY on a stream")
        if len(payload) < GOAWAY_HEAD.size:
            raise H2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "GOAWAY too short")
        self.leaving = True
        last = GOAWAY_HEAD.unpack_from(payload)[0] & 0x7FFFFFFF
        for other in [key for key in self.streams if key > last]:
            stream = self.streams.pop(other)
            self._guard(stream, partial(stream.fail, Cause.REFUSED, "going away"))


class ClientStream(Stream):
    """One request and its response. Satisfies `exchange.UpstreamStream`."""

    __slots__ = ("_ended", "_informed", "_method", "_receiver", "_reused", "_silent", "head")

    def __init__(
        self,
        connection: ClientConnection,
        number: int,
        method: bytes,
        receiver: ResponseReceiver,
    ) -> None:
        super().__init__(connection, number)
        self._method = method
        self._receiver = receiver
        self._ended = False
        self._silent = False
        self._informed = 0
        self._reused = connection.served > 0
        self.head: ResponseHead | None = None

    def reset(self) -> None:
        """See `exchange.UpstreamStream`."""
        self._reset(ErrorCode.CANCEL)

    # The connection's side.

    def close_local(self) -> None:
        """The request ended with its head."""
        self.local_closed = True

    def send_first(self, data: bytes, *, end: bool) -> None:
        """The body's bytes that are there with the head."""
        self._send(data, end=end)

    def inform(self, head: ResponseHead) -> None:
        """A 1xx head.

        Raises:
            H2StreamError: there are too many.
        """
        self._informed += 1
        if self._informed > MAX_INFORMATIONAL:
            raise H2StreamError(ErrorCode.ENHANCE_YOUR_CALM, "too many informational heads")
        if not self.gone:
            self._receiver.response_informational(head)

    def take_head(self, head: ResponseHead, *, end: bool) -> None:
        """The final head.

        Raises:
            H2StreamError: it ends the stream and its content-length promises a body.
        """
        self._silent = self._method == b"HEAD" or head.status in {204, 304}
        if self._silent:
            if head.has_body:
                head = ResponseHead(head.status, head.block, 20, head.content_length, False)
        else:
            if end and head.content_length:
                raise H2StreamError(ErrorCode.PROTOCOL_ERROR, "body differs from content-length")
            self._expected = head.content_length
        self.head = head
        self.remote_closed = end

    def _begin(self) -> None:
        head = self.head
        assert head is not None
        self._ended = self.remote_closed
        self._receiver.response_head(head, self.early, self.remote_closed)
        self.early = b""

    def stop_sending(self) -> bool:
        """A complete response stands, though the server wants no more of the request
        (RFC 9113, section 8.1).
        """
        if not self.remote_closed:
            return False
        self.local_closed = True
        self.clear_outbox()
        return True

    def _accepts_data(self) -> bool:
        return self.head is not None

    def _bodiless(self) -> bool:
        return self._silent

    def _deliver(self, data: bytes) -> None:
        self._receiver.response_data(data)

    def _deliver_end(self, trailers: Fields) -> None:
        self._ended = True
        self._receiver.response_ended(trailers)

    def _tell_paused(self) -> None:
        self._receiver.upstream_paused()

    def _tell_resumed(self) -> None:
        self._receiver.upstream_resumed()

    def _tell_failed(self, cause: Cause, problem: str) -> None:
        if not self._ended:
            self._ended = True
            self._receiver.response_failed(
                UpstreamError(
                    _FAILURES[cause],
                    problem,
                    untouched=cause is Cause.REFUSED,
                    stale=cause is Cause.LOST and self._reused and self.head is None,
                )
            )

    def _sent(self) -> None:
        if self.remote_closed:
            self.connection.forget(self)
