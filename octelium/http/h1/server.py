"""HTTP/1.1 towards clients: an asyncio Protocol around the heads and bodies of this package."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

from octelium.http.h1.bodies import Body, ChunkedBody, LengthBody
from octelium.http.h1.requests import parse_request
from octelium.http.h1.stream import NEW, STATUS_LINES, H1Stream
from octelium.http.message import MessageError
from octelium.http.stall import Stall

if TYPE_CHECKING:
    import asyncio

    from octelium.http.exchange import ByteTransport, Handler, Peer
    from octelium.http.message import FieldBlock
    from octelium.http.section import SectionCache
    from octelium.http.ticker import Ticker

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """Bounds of a client's connection: bytes and seconds."""

    head: int = 32 << 10
    head_timeout: float = 10.0
    """From the first byte of a head to its last."""
    idle_timeout: float = 120.0
    """Between requests."""
    stream_timeout: float = 3600.0
    """Without a byte in either direction while a request is running."""
    send_timeout: float = 60.0
    """Without the client taking anything of what waits for it."""
    linger_timeout: float = 2.0
    """For the client to read the last response and stop sending."""
    linger: int = 1 << 20
    pipelined: int = 64 << 10
    """Bytes of further requests that are kept while one is running."""


class H1Server:
    """One client's connection. `refusals` are the fields of answers to malformed requests."""

    def __init__(
        self,
        peer: Peer,
        handler: Handler,
        *,
        sections: SectionCache,
        ticker: Ticker,
        limits: ServerLimits,
        refusals: FieldBlock,
    ) -> None:
        self.peer = peer
        self._handler = handler
        self._sections = sections
        self._ticker = ticker
        self._limits = limits
        self._refusals = refusals
        self._scheme = b"https" if peer.secure else b"http"
        self._transport: ByteTransport = None  # type: ignore[assignment]  # set by connection_made
        self._buffer = b""
        self._body: Body | None = None
        self._stream: H1Stream | None = None
        self._parsing = False
        self._reading = True
        self._writing = True
        self._tunnel = False
        self._draining = False
        self._lingering = -1
        self._deadline = inf
        self._head_started = False
        self._body_deadline = inf
        self._stall: Stall | None = None

    # The asyncio Protocol.

    def connection_made(self, transport: ByteTransport | asyncio.BaseTransport) -> None:
        """Start to wait for the first request."""
        self._transport = transport  # type: ignore[assignment]  # all that give bytes have these
        self._ticker.add(self)
        self._deadline = self._ticker.now + self._limits.head_timeout

    def data_received(self, data: bytes) -> None:
        """Take bytes from the client."""
        if self._stream is None and self._lingering < 0:
            if self._buffer:
                data = self._buffer + data
            self._advance(data)
        else:
            self._receive_more(data)

    def eof_received(self) -> bool:
        """The client sends no more; it counts as gone, unless the connection is a tunnel."""
        stream = self._stream
        if stream is None or not self._tunnel or stream.receiver is None:
            return False
        stream.receiver.request_ended(())
        return stream.connection is not None

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is gone."""
        self._ticker.discard(self)
        self._abort_stream("client closed the connection" if error is None else str(error))

    def pause_writing(self) -> None:
        """The client takes no more for now."""
        self._writing = False
        if self._stream is not None and self._stream.receiver is not None:
            self._stream.receiver.downstream_paused()

    def resume_writing(self) -> None:
        """The client takes more."""
        self._writing = True
        self._stall = None
        if self._stream is not None:
            if self._stream.receiver is not None:
                self._stream.receiver.downstream_resumed()
        elif self._lingering < 0 and not self._transport.is_closing():
            self.resume_reading()
            if self._buffer and not self._parsing:
                data, self._buffer = self._buffer, b""
                self._advance(data)

    # Deadlines and shutdown.

    def tick(self, now: float) -> None:
        """Enforce the time-outs."""
        if (not self._writing or self._transport.is_closing()) and self._takes_nothing(now):
            self._transport.abort()
            return
        if now >= self._body_deadline:
            self._end_body()
        if now < self._deadline:
            return
        if self._stream is not None or self._lingering >= 0 or self._transport.is_closing():
            self._transport.abort()
        elif self._head_started:
            self._refuse(408)
        else:
            self._close()

    def _takes_nothing(self, now: float) -> bool:
        """Whether what waits for the client has waited for too long."""
        pending = self._transport.get_write_buffer_size()
        if self._stall is None:
            self._stall = Stall(pending, now)
        return self._stall.seconds(pending, now) >= self._limits.send_timeout

    def _end_body(self) -> None:
        """The body did not come in the time that it was given."""
        self._body_deadline = inf
        stream = self._stream
        if self._body is None or stream is None:
            return
        answered = stream.state != NEW
        self._abort_stream("request body took too long")
        if answered:
            self._transport.abort()
        else:
            self._refuse(408)

    def drain(self) -> None:
        """Close as soon as no request is running."""
        self._draining = True
        if self._stream is None and self._lingering < 0:
            self._close()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    # Requests.

    def _advance(self, data: bytes) -> None:
        """Serve the requests in `data` for as long as they are answered at once."""
        self._parsing = True
        while (
            self._stream is None
            and self._lingering < 0
            and self._writing
            and not self._transport.is_closing()
        ):
            end = data.find(b"\r\n\r\n", 0, self._limits.head)
            if end < 0:
                if data:
                    self._await_head(data)
                elif self._head_started:
                    self._head_started = False
                break
            data = self._serve(data, end)
        else:
            self._buffer = data
            if self._stream is None and not self._writing and not self._transport.is_closing():
                # Answers are not taken, so no more are given: further requests wait outside.
                self.pause_reading()
        self._parsing = False

    def _await_head(self, data: bytes) -> None:
        """Keep an incomplete head, or refuse what can never become one."""
        if data == b"\r\n":  # some clients end a body with it; RFC 9112, section 2.2
            data = b""
        if len(data) >= self._limits.head:
            self._refuse(431 if b"\r\n" in data else 414)
        elif _has_bare_line_feed(data) or data.find(b"\0") >= 0:
            self._refuse(400)
        else:
            self._buffer = data
            if data and not self._head_started:
                self._head_started = True
                self._deadline = self._ticker.now + self._limits.head_timeout

    def _serve(self, data: bytes, end: int) -> bytes:
        """Hand the request at the start of `data` to the handler; give what follows it."""
        start = 2 if data.startswith(b"\r\n") else 0
        line_end = data.find(b"\r\n", start)
        rest = data[end + 4 :]
        body: Body | None = None
        early, complete = b"", True
        try:
            block = self._sections.get(data[line_end + 2 : end + 2])
            head = parse_request(data[start:line_end], block, self._scheme)
            if head.has_body:
                length = head.content_length
                body = ChunkedBody() if length is None else LengthBody(length)
                pieces, rest = body.feed(rest)
                early = pieces[0] if len(pieces) == 1 else b"".join(pieces)
                complete = body.done and not body.trailers
        except MessageError as error:
            self._refuse(error.status)
            return b""
        self._buffer = b""
        self._head_started = False
        self._deadline = self._ticker.now + self._limits.stream_timeout
        stream = self._stream = H1Stream(self, head, self.peer, early, complete)
        if body is not None and not body.done:
            self._body = body
            self._body_deadline = inf
        try:
            self._handler(stream)
        except Exception:  # noqa: BLE001 - a bug in a mode must not take the connection along
            _LOG.exception("handler failed")
            self._fail(stream)
            return b""
        if self._stream is stream:
            receiver = stream.receiver
            if receiver is None:
                _LOG.error("handler left a request without a receiver")
                self._fail(stream)
                return b""
            if not complete and body is not None and body.done:
                stream.complete = True
                receiver.request_ended(body.trailers)
            if not self._writing:
                receiver.downstream_paused()
        return rest

    def _fail(self, stream: H1Stream) -> None:
        """Answer 500 for a handler that raised, if that can still be said."""
        if self._stream is stream:
            stream.keep_alive = False
            if stream.state == NEW:
                stream.send_head(500, self._refusals, end=True)
            else:
                stream.reset()

    def _receive_more(self, data: bytes) -> None:
        """Bytes while a request is running, or after the last one."""
        if self._lingering >= 0:
            self._lingering -= len(data)
            if self._lingering < 0:
                self._transport.abort()
            return
        stream = self._stream
        assert stream is not None
        self._deadline = self._ticker.now + self._limits.stream_timeout
        receiver = stream.receiver
        if self._tunnel:
            if receiver is not None:
                receiver.request_data(data)
            return
        body = self._body
        if body is None:
            self._buffer += data
            if len(self._buffer) > self._limits.pipelined:
                self.pause_reading()
            return
        try:
            pieces, rest = body.feed(data)
        except MessageError as error:
            if stream.state == NEW:
                self._abort_stream(str(error))
                self._refuse(error.status)
            else:
                self._abort_stream(str(error))
                self._transport.abort()
            return
        if body.done:
            self._body = None
            stream.complete = True
            self._buffer = rest
        if receiver is None:
            return
        for piece in pieces:
            receiver.request_data(piece)
            if stream.connection is None:
                return
        if body.done:
            receiver.request_ended(body.trailers)

    def _detach(self) -> H1Stream | None:
        stream, self._stream, self._body = self._stream, None, None
        if stream is not None:
            stream.connection = None
        return stream

    def _abort_stream(self, problem: str) -> None:
        stream = self._detach()
        if stream is not None and stream.receiver is not None:
            stream.receiver.request_aborted(problem)

    def _refuse(self, status: int) -> None:
        """Answer a message that is no proper request, and close."""
        self._buffer = b""
        self._transport.write(
            b"".join(
                (
                    STATUS_LINES[status],
                    self._refusals.h1,
                    b"Content-Length: 0\r\nConnection: close\r\n\r\n",
                )
            )
        )
        self._linger()

    # What streams call.

    def write(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._deadline = self._ticker.now + self._limits.stream_timeout
        self._transport.write(data)

    def pause_reading(self) -> None:
        """Stop reading from the client."""
        if self._reading:
            self._reading = False
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read from the client again."""
        if not self._reading:
            self._reading = True
            self._transport.resume_reading()

    def limit_body(self, seconds: float) -> None:
        """The body of the running request is to be complete in so many seconds."""
        if self._body is not None:
            self._body_deadline = self._ticker.now + seconds

    def start_tunnel(self, stream: H1Stream) -> None:
        """From here bytes are passed as they are."""
        self._tunnel = True
        early, self._buffer = self._buffer, b""
        if early and stream.receiver is not None:
            stream.receiver.request_data(early)

    def end_tunnel(self) -> None:
        """Close after what is queued: a tunnel lives until the upstream ends it."""
        self._detach()
        self._close()

    def finish(self, stream: H1Stream) -> None:
        """The response to `stream` is complete."""
        self._stream = None
        stream.connection = None
        self.resume_reading()
        if self._body is not None:
            self._body = None
            self._linger()
        elif not stream.keep_alive or self._draining:
            self._close()
        else:
            self._deadline = self._ticker.now + self._limits.idle_timeout
            if self._buffer and not self._parsing:
                data, self._buffer = self._buffer, b""
                self._advance(data)

    def reset(self, stream: H1Stream) -> None:
        """Break the response to `stream` off."""
        if self._stream is stream:
            self._detach()
            self._transport.abort()

    @property
    def tunnelling(self) -> bool:
        """Whether bytes are passed as they are."""
        return self._tunnel

    @property
    def draining(self) -> bool:
        """Whether the connection ends with the running request."""
        return self._draining

    def _close(self) -> None:
        """Close after what is queued, for which the client has as long as between requests."""
        self._deadline = self._ticker.now + self._limits.idle_timeout
        self._transport.close()

    def _linger(self) -> None:
        """Close, but read on for a while: closing with unread bytes would reset the connection
        and could take the answer away from the client (RFC 9112, section 9.6).
        """
        if self._transport.is_closing():
            return
        if not self._transport.can_write_eof():
            self._close()
            return
        self._lingering = self._limits.linger
        self._deadline = self._ticker.now + self._limits.linger_timeout
        self._transport.write_eof()
        self.resume_reading()


def _has_bare_line_feed(data: bytes) -> bool:
    return data.count(b"\n") != data.count(b"\r\n")
