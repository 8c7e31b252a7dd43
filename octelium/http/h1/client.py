"""HTTP/1.1 towards upstreams: an asyncio Protocol that runs one exchange at a time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from octelium.http.exchange import Failure, UpstreamError
from octelium.http.h1.bodies import Body, ChunkedBody, CloseBody, LengthBody
from octelium.http.h1.responses import Framing, binds_connection, parse_response, persists
from octelium.http.message import MessageError, ResponseHead
from octelium.http.turn import collected

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.http.exchange import ByteTransport, ResponseReceiver
    from octelium.http.message import Fields, UpstreamRequest
    from octelium.http.section import SectionCache

MAX_HEAD: Final = 64 << 10
MAX_INFORMATIONAL: Final = 32
"""1xx heads before the final one."""


class H1Client(asyncio.Protocol):
    """A connection to an upstream.

    `released(connection)` is called whenever it becomes idle and may be used again, `lost` once
    when it is gone.
    """

    def __init__(
        self,
        sections: SectionCache,
        released: Callable[[H1Client], None],
        lost: Callable[[H1Client], None],
    ) -> None:
        self._sections = sections
        self._released = released
        self._lost = lost
        self._transport: ByteTransport = None  # type: ignore[assignment]  # set by connection_made
        self._exchange: _Exchange | None = None
        self._buffer = b""
        self._body: Body | None = None
        self._persists = False
        self._closed = False
        self._served = 0
        self._reading = True
        self._tunnel = False
        self._informational = 0
        self.idle_since = 0.0
        """For the pool: when the connection was released."""

    # The asyncio Protocol.

    def connection_made(self, transport: ByteTransport | asyncio.BaseTransport) -> None:
        """The connection can be used."""
        self._transport = collected(transport)

    def data_received(self, data: bytes) -> None:
        """Take bytes from the upstream."""
        exchange = self._exchange
        if exchange is None:
            # An answer nobody asked for; 408 of a server that grew tired is the common case.
            self.close()
            return
        receiver = exchange.receiver
        if self._tunnel:
            receiver.response_data(data)
            return
        body = self._body
        try:
            if body is None:
                if self._buffer:
                    data = self._buffer + data
                    self._buffer = b""
                self._read_heads(exchange, data)
                return
            pieces, rest = body.feed(data)
        except MessageError as error:
            self._fail(Failure.PROTOCOL, str(error))
            return
        if body.done:
            self._complete(exchange, rest)
        for piece in pieces:
            receiver.response_data(piece)
            if exchange.given_up:
                return
        if body.done:
            receiver.response_ended(body.trailers)

    def eof_received(self) -> bool:
        """The upstream sends no more."""
        exchange = self._exchange
        if exchange is None:
            return False
        if self._tunnel or isinstance(self._body, CloseBody):
            self._complete(exchange, b"")
            exchange.receiver.response_ended(())
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is gone."""
        self._closed = True
        self._fail(Failure.CLOSED, "" if error is None else str(error))
        self._lost(self)

    def pause_writing(self) -> None:
        """The upstream takes no more for now."""
        if self._exchange is not None:
            self._exchange.receiver.upstream_paused()

    def resume_writing(self) -> None:
        """The upstream takes more."""
        if self._exchange is not None:
            self._exchange.receiver.upstream_resumed()

    # The pool's side; see `UpstreamConnection`.

    def available(self) -> bool:
        """Whether `open` may be called now."""
        return self._exchange is None and not self._closed and not self._transport.is_closing()

    def idle(self) -> bool:
        """Whether no exchange is running."""
        return self._exchange is None

    def open(
        self, request: UpstreamRequest, receiver: ResponseReceiver, data: bytes, end: bool
    ) -> _Exchange:
        """See `UpstreamConnection.open`."""
        exchange = self._exchange = _Exchange(self, request, receiver)
        self._persists = False
        self._informational = 0
        self._served += 1
        block = request.block
        if block.binding is not False:
            if block.binding is None:
                block.binding = binds_connection(block.h1)
            if block.binding:
                # From here the connection may be somebody: it is closed instead of used again.
                self._released = H1Client.close
        tail = b"\r\n"
        if request.upgrade is not None:
            tail = b"Connection: Upgrade\r\nUpgrade: %b\r\n\r\n" % request.upgrade
        elif request.has_body and block.content_length is None:
            if end:
                tail = b"Content-Length: %d\r\n\r\n" % len(data)
            else:
                exchange.chunked = True
                tail = b"Transfer-Encoding: chunked\r\n\r\n"
                if data:
                    data = b"%x\r\n%b\r\n" % (len(data), data)
        exchange.ended = end or not request.has_body
        self._transport.write(
            b"".join(
                (
                    *(request.method, b" ", request.target),
                    *(b" HTTP/1.1\r\nHost: ", request.authority, b"\r\n"),
                    *(block.h1, tail, data),
                )
            )
        )
        return exchange

    def close(self) -> None:
        """Close the connection; a running exchange fails."""
        self._closed = True
        self._transport.close()

    # Responses.

    def _read_heads(self, exchange: _Exchange, data: bytes) -> None:
        while True:
            end = data.find(b"\r\n\r\n", 0, MAX_HEAD)
            if end < 0:
                if len(data) >= MAX_HEAD:
                    raise MessageError("head is too long")
                self._buffer = data
                return
            line_end = data.find(b"\r\n")
            block = self._sections.get(data[line_end + 2 : end + 2])
            head, framing = parse_response(data[:line_end], block)
            rest = data[end + 4 :]
            if head.status >= 200:
                self._begin(exchange, head, framing, rest)
                return
            if head.status == 101:
                self._switch(exchange, head, rest)
                return
            self._informational += 1
            if self._informational > MAX_INFORMATIONAL:
                raise MessageError("too many informational heads")
            exchange.receiver.response_informational(head)
            if exchange.given_up or not rest:
                return
            data = rest

    def _begin(
        self, exchange: _Exchange, head: ResponseHead, framing: Framing, rest: bytes
    ) -> None:
        """The final head is here."""
        receiver = exchange.receiver
        if exchange.head_only and head.has_body:
            head = ResponseHead(
                head.status, head.block, head.version, head.content_length, False, head.reason
            )
        self._persists = persists(head, framing)
        length = head.content_length
        if not head.has_body:
            self._complete(exchange, rest)
            receiver.response_head(head, b"", True)
        elif length is not None and len(rest) >= length:
            self._complete(exchange, rest[length:])
            receiver.response_head(head, rest if len(rest) == length else rest[:length], True)
        else:
            body: Body
            if length is not None:
                body = LengthBody(length)
            elif framing.chunked:
                body = ChunkedBody()
            else:
                body = CloseBody()
                self._persists = False
            pieces, rest = body.feed(rest)
            data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            if not body.done:
                self._body = body
                receiver.response_head(head, data, False)
            else:
                self._complete(exchange, rest)
                receiver.response_head(head, data, not body.trailers)
                if body.trailers and not exchange.given_up:
                    receiver.response_ended(body.trailers)

    def _switch(self, exchange: _Exchange, head: ResponseHead, rest: bytes) -> None:
        """Status 101: from here bytes pass as they are."""
        upgrade = head.block.first(b"upgrade")
        wanted = exchange.upgrade
        if wanted is None or upgrade is None or upgrade.lower() != wanted:
            raise MessageError("status 101 for a protocol that was not asked for")
        self._tunnel = True
        exchange.ended = False
        exchange.receiver.response_head(head, b"", False)
        if rest and not exchange.given_up:
            exchange.receiver.response_data(rest)

    def _complete(self, exchange: _Exchange, rest: bytes) -> None:
        """The response has been read to its end; keep the connection if that is possible."""
        self._exchange = None
        self._body = None
        exchange.connection = None
        if not self._reading:
            self._reading = True
            self._transport.resume_reading()
        if not exchange.ended:
            # What is left of the request may never be taken.
            self._closed = True
            self._transport.abort()
        elif rest or not self._persists or self._closed:
            self.close()
        else:
            self._released(self)

    def _fail(self, failure: Failure, detail: str) -> None:
        """End the running exchange, if any, with an error."""
        exchange = self._exchange
        if exchange is None:
            return
        stale = (
            failure is Failure.CLOSED
            and self._served > 1
            and self._body is None
            and not self._buffer
            and not self._informational
            and not self._tunnel
        )
        self._exchange = None
        self._body = None
        exchange.connection = None
        self._closed = True
        self._transport.abort()
        exchange.receiver.response_failed(UpstreamError(failure, detail, stale=stale))

    # What exchanges call.

    def write(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._transport.write(data)

    def end_tunnel(self) -> None:
        """Half-close: the upstream may have more to say."""
        self._transport.write_eof()

    @property
    def tunnelling(self) -> bool:
        """Whether bytes are passed as they are."""
        return self._tunnel

    def give_up(self) -> None:
        """Drop the running exchange, and the connection with it."""
        self._exchange = None
        self._body = None
        self._closed = True
        self._transport.abort()

    def pause_reading(self) -> None:
        """Stop reading from the upstream."""
        if self._reading:
            self._reading = False
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read from the upstream again."""
        if not self._reading:
            self._reading = True
            self._transport.resume_reading()


class _Exchange:
    """One request and its response; see `UpstreamStream`."""

    __slots__ = (
        "chunked",
        "connection",
        "ended",
        "given_up",
        "head_only",
        "receiver",
        "upgrade",
    )

    def __init__(
        self, connection: H1Client, request: UpstreamRequest, receiver: ResponseReceiver
    ) -> None:
        self.connection: H1Client | None = connection
        self.receiver = receiver
        self.head_only = request.method == b"HEAD"
        self.upgrade = request.upgrade
        self.chunked = False
        self.ended = False
        """Whether the request has been sent to its end."""
        self.given_up = False

    def send_data(self, data: bytes) -> None:
        """See `UpstreamStream.send_data`."""
        if self.connection is not None and data:
            if self.chunked and not self.connection.tunnelling:
                data = b"%x\r\n%b\r\n" % (len(data), data)
            self.connection.write(data)

    def send_end(self, trailers: Fields = ()) -> None:
        """See `UpstreamStream.send_end`."""
        connection = self.connection
        if connection is None or self.ended:
            return
        self.ended = True
        if connection.tunnelling:
            connection.end_tunnel()
        elif self.chunked:
            lines = b"".join([b"%b: %b\r\n" % field for field in trailers])
            connection.write(b"0\r\n" + lines + b"\r\n")

    def reset(self) -> None:
        """See `UpstreamStream.reset`."""
        self.given_up = True
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.give_up()

    def pause_receiving(self) -> None:
        """See `UpstreamStream.pause_receiving`."""
        if self.connection is not None:
            self.connection.pause_reading()

    def resume_receiving(self) -> None:
        """See `UpstreamStream.resume_receiving`."""
        if self.connection is not None:
            self.connection.resume_reading()
