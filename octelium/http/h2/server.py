"""The server's end of a connection, and its streams as `exchange.RequestStream`."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Final

from octelium.http.h2 import frames
from octelium.http.h2.compression import encode, encode_status, encoded
from octelium.http.h2.connection import Connection
from octelium.http.h2.frames import ErrorCode, H2ConnectionError, H2StreamError
from octelium.http.h2.heads import HeadReader
from octelium.http.h2.settings import SERVER_LIMITS
from octelium.http.h2.stream import Cause, Stream

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.http.exchange import Handler, Peer, RequestReceiver
    from octelium.http.h2.settings import Limits
    from octelium.http.message import FieldBlock, Fields, RequestHead

_LAST_CALL: Final = b"lastcall"
_NO_BODY: Final = encode(((b"content-length", b"0"),))


class ServerConnection(Connection):
    """Takes requests and gives each to `handler` as a `ServerStream`."""

    __slots__ = (
        "_draining",
        "_halt_at",
        "_last_call",
        "_preface",
        "_refusals",
        "handler",
        "peer",
        "served",
    )

    def __init__(
        self,
        handler: Handler,
        peer: Peer,
        *,
        refusals: FieldBlock,
        clock: Callable[[], float],
        wake: Callable[[], None],
        limits: Limits = SERVER_LIMITS,
    ) -> None:
        """`refusals` are the fields of answers to malformed requests."""
        scheme = b"https" if peer.secure else b"http"
        super().__init__(limits, clock, wake, HeadReader(limits.max_header_list, scheme))
        self.handler = handler
        self.peer = peer
        self._refusals = refusals
        self.served = 0
        """Requests received."""
        self._preface = frames.PREFACE
        self._draining = False
        self._last_call = False
        self._halt_at = limits.max_streams
        """Value of `served` at which the turn has brought enough."""

    def receive(self, data: bytes) -> None:
        """See `Connection.receive`; the preface comes first."""
        if self._preface:
            size = min(len(data), len(self._preface))
            if data[:size] != self._preface[:size]:
                self.end(ErrorCode.PROTOCOL_ERROR, "no HTTP/2 preface")
                return
            self._preface = self._preface[size:]
            data = data[size:]
        super().receive(data)

    def drain(self) -> None:
        """Take no new requests, let the running ones end, then close (RFC 9113, section 6.8).

        Requests that are under way towards us when the peer hears of it are still served.
        """
        if self._draining or self.closed:
            return
        self._draining = True
        if not self.heard and not self.served:
            self._refuse_new()
            return
        self.send(frames.goaway(frames.MAX_WINDOW, ErrorCode.NO_ERROR))
        self.send(frames.frame(frames.PING, 0, 0, _LAST_CALL))

    def sweep(self, now: float) -> None:
        """Reset the streams on which nothing has passed for too long."""
        if self.deadlines:
            self._end_late_bodies(now)
        limits = self.limits
        for stream in list(self.streams.values()):
            if stream.active:
                stream.active = False
                stream.still_since = now
                continue
            # While the transport is blocked it is not the stream's window that holds it back.
            held = stream.has_backlog() and not self.blocked
            if now - stream.still_since > (
                limits.window_timeout if held else limits.stream_timeout
            ):
                self.reset_stream(stream, ErrorCode.CANCEL)
                self._guard(stream, partial(stream.fail, Cause.LOST, "stream timed out"))

    def _end_late_bodies(self, now: float) -> None:
        """End the requests whose bodies did not come in the time that they were given."""
        self._prune_deadlines()
        for number in [key for key, deadline in self.deadlines.items() if now >= deadline]:
            stream = self.streams[number]
            code = ErrorCode.CANCEL
            if isinstance(stream, ServerStream) and not stream.answered:
                self._refuse(number, 408)
                code = ErrorCode.NO_ERROR
            self.reset_stream(stream, code)
            self._guard(stream, partial(stream.fail, Cause.LOST, "request body took too long"))

    def _prune_deadlines(self) -> None:
        streams = self.streams
        self.deadlines = {
            number: deadline
            for number, deadline in self.deadlines.items()
            if number in streams and not streams[number].remote_closed
        }

    def _has_enough_bodies(self) -> bool:
        """Whether as many requests with deadlines are under way as may be."""
        self._prune_deadlines()
        return len(self.deadlines) >= self.limits.limited_bodies

    def _refuse_new(self) -> None:
        self._last_call = True
        self.send(frames.goaway(self.last_peer_stream, ErrorCode.NO_ERROR))

    def _on_pong(self, payload: bytes) -> None:
        if payload == _LAST_CALL and self._draining and not self._last_call:
            self._refuse_new()

    def _on_goaway(self, number: int, flags: int, payload: bytes) -> None:  # noqa: ARG002  # one signature for all frames
        if number:
            raise H2ConnectionError(ErrorCode.PROTOCOL_ERROR, "GOAWAY on a stream")
        if len(payload) < 8:
            raise H2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "GOAWAY too short")
        self._draining = True
        if not self._last_call:
            self._refuse_new()

    def _settle(self) -> None:
        self._halt_at = self.served + self.limits.max_streams
        if self._last_call and not self.streams and not self.closed:
            self.closed = True

    def _is_idle(self, number: int) -> bool:
        return number > self.last_peer_stream or not number & 1

    def _on_head(self, number: int, block: bytes, *, end: bool) -> None:
        stream = self.streams.get(number)
        if stream is not None:
            self._on_trailers(stream, block, end=end)
            return
        if number <= self.last_peer_stream:
            if not self._was_reset(number):
                raise H2ConnectionError(ErrorCode.STREAM_CLOSED, "HEADERS on a closed stream")
            self.heads.skip(block)
            return
        self.last_peer_stream = number
        if self._last_call or len(self.streams) >= self.limits.max_streams:
            self.heads.skip(block)
            raise H2StreamError(ErrorCode.REFUSED_STREAM, "too many streams")
        if self.deadlines and not end and self._has_enough_bodies():
            self.heads.skip(block)
            raise H2StreamError(ErrorCode.REFUSED_STREAM, "too many slow bodies")
        head = self.heads.request(block, end=end)
        self.served += 1
        if self.blocked or self.served >= self._halt_at:
            # Answers are not taken, or come faster than they are written: neither may they pile
            # up here, nor may one client have the loop for long.
            self.halted = True
        request = ServerStream(self, number, head)
        self.streams[number] = request
        self._begin(request, end=end)

    def _on_trailers(self, stream: Stream, block: bytes, *, end: bool) -> None:
        if stream.remote_closed:
            self.heads.skip(block)
            raise H2StreamError(ErrorCode.STREAM_CLOSED, "HEADERS after the end")
        trailers = self.heads.trailers(block)
        if not end:
            raise H2StreamError(ErrorCode.PROTOCOL_ERROR, "second HEADERS without END_STREAM")
        self._guard(stream, partial(stream.take_trailers, trailers))

    def _on_stream_fault(self, number: int, fault: H2StreamError) -> None:
        stream = self.streams.get(number)
        if fault.status and (not isinstance(stream, ServerStream) or not stream.answered):
            self._refuse(number, fault.status)
        if self.blocked:
            self.halted = True
        super()._on_stream_fault(number, fault)

    def _broken(self, stream: Stream) -> None:
        if isinstance(stream, ServerStream) and not stream.answered:
            self._refuse(stream.number, 500)
        super()._broken(stream)

    def _refuse(self, number: int, status: int) -> None:
        block = encode_status(status) + encoded(self._refusals) + _NO_BODY
        self.send_headers(number, block, end=True)


class ServerStream(Stream):
    """One request. Satisfies `exchange.RequestStream`."""

    __slots__ = ("_handler", "_silent", "answered", "complete", "head", "peer", "receiver")

    def __init__(self, connection: ServerConnection, number: int, head: RequestHead) -> None:
        super().__init__(connection, number)
        self.head = head
        self.peer = connection.peer
        self._handler = connection.handler
        self.receiver: RequestReceiver | None = None
        self.complete = False
        self.answered = False
        """The final head has been sent."""
        self._silent = False
        self._expected = head.content_length
        self.remote_closed = not head.has_body

    def send_informational(self, status: int, block: FieldBlock) -> None:
        """See `exchange.RequestStream`."""
        if not self.local_closed and not self.answered:
            self.connection.send_headers(
                self.number, encode_status(status) + encoded(block), end=False
            )

    def send_head(
        self, status: int, block: FieldBlock, data: bytes = b"", *, end: bool = False
    ) -> None:
        """See `exchange.RequestStream`."""
        if self.local_closed:
            return
        if self.answered:
            raise RuntimeError("a second head for one request")
        self.answered = True
        if self.head.method == b"HEAD" or status in {204, 304}:
            self._silent = True
            data = b""
        last = end and not data
        self.connection.send_headers(self.number, encode_status(status) + encoded(block), end=last)
        if last:
            self._close_local()
        elif data:
            self._send(data, end=end)

    def send_data(self, data: bytes) -> None:
        """See `exchange.RequestStream`."""
        if not self._silent:
            self._send(data, end=False)

    def reset(self) -> None:
        """See `exchange.RequestStream`."""
        self._reset(ErrorCode.INTERNAL_ERROR)

    def deadline(self, seconds: float) -> None:
        """See `exchange.RequestStream`."""
        if seconds == math.inf:
            self.connection.deadlines.pop(self.number, None)
        elif not self.remote_closed:
            self.connection.deadlines[self.number] = self.connection.clock() + seconds

    def upgrade(self) -> None:
        """HTTP/2 has no upgrades (RFC 9113, section 8.6): `head.upgrade` is always None.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError("upgrade() on a stream of HTTP/2")

    def _begin(self) -> None:
        self.complete = self.remote_closed
        self._handler(self)
        if self.receiver is None and not (self.answered or self.gone):
            raise RuntimeError("the handler left a request without a receiver")

    def _deliver(self, data: bytes) -> None:
        if self.receiver is not None:
            self.receiver.request_data(data)

    def _deliver_end(self, trailers: Fields) -> None:
        if self.receiver is not None:
            self.receiver.request_ended(trailers)

    def _tell_paused(self) -> None:
        if self.receiver is not None:
            self.receiver.downstream_paused()

    def _tell_resumed(self) -> None:
        if self.receiver is not None:
            self.receiver.downstream_resumed()

    def _tell_failed(self, cause: Cause, problem: str) -> None:  # noqa: ARG002  # all causes are the same to a server
        if self.receiver is not None:
            self.receiver.request_aborted(problem)

    def _sent(self) -> None:
        if self.remote_closed:
            self.connection.forget(self)
            self.drop()
        else:
            self._reset(ErrorCode.NO_ERROR)
