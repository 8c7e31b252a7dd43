"""One request of a client of HTTP/1.1, and the answer's bytes."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from octelium.http.message import FieldBlock
from octelium.http.syntax import elements

if TYPE_CHECKING:
    from octelium.http.exchange import Peer, RequestReceiver
    from octelium.http.h1.server import H1Server
    from octelium.http.message import Fields, RequestHead

_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}
STATUS_LINES: Final = {
    status: b"HTTP/1.1 %d %b\r\n" % (status, _REASONS.get(status, b"Unknown"))
    for status in range(100, 1000)
}
_CONTINUE = FieldBlock(())
_CLOSE = b"Connection: close\r\n"
_KEEP_ALIVE = b"Connection: keep-alive\r\n"

NEW, _NO_BODY, _LENGTH, _CHUNKED, _RAW, _DONE = range(6)
"""How far an answer has come: not begun, or in a body of one form, or at its end."""


class H1Stream:
    """One request on a connection; see `RequestStream`."""

    __slots__ = (
        "complete",
        "connection",
        "early",
        "head",
        "keep_alive",
        "peer",
        "receiver",
        "state",
    )

    def __init__(
        self, connection: H1Server, head: RequestHead, peer: Peer, early: bytes, complete: bool
    ) -> None:
        self.connection: H1Server | None = connection
        self.head = head
        self.peer = peer
        self.early = early
        self.complete = complete
        self.receiver: RequestReceiver | None = None
        self.state = NEW
        self.keep_alive = head.keep_alive

    def send_informational(self, status: int, block: FieldBlock = _CONTINUE) -> None:
        """See `RequestStream.send_informational`."""
        if self.connection is not None and self.state == NEW and self.head.version >= 11:
            self.connection.write(STATUS_LINES[status] + block.h1 + b"\r\n")

    def send_head(
        self, status: int, block: FieldBlock, data: bytes = b"", *, end: bool = False
    ) -> None:
        """See `RequestStream.send_head`."""
        connection = self.connection
        if connection is None:
            return
        if self.state != NEW:
            raise RuntimeError("a second head for one request")
        head = self.head
        if not self.complete or connection.draining:
            self.keep_alive = False
        tail = b""
        if head.method == b"HEAD" or status in {204, 304}:
            self.state = _NO_BODY
            data = b""
        elif status == 101:
            self.state = _RAW
        elif block.content_length is not None:
            self.state = _LENGTH
        elif end:
            self.state = _LENGTH
            tail = b"Content-Length: %d\r\n" % len(data)
        elif head.version >= 11:
            self.state = _CHUNKED
            tail = b"Transfer-Encoding: chunked\r\n"
            if data:
                data = b"%x\r\n%b\r\n" % (len(data), data)
        else:
            self.state = _RAW
            self.keep_alive = False
        if not self.keep_alive:
            if status != 101:
                tail += _CLOSE
        elif head.version < 11:
            tail += _KEEP_ALIVE
        connection.write(b"".join((STATUS_LINES[status], block.h1, tail, b"\r\n", data)))
        if end:
            self.state = _DONE
            connection.finish(self)

    def send_data(self, data: bytes) -> None:
        """See `RequestStream.send_data`."""
        connection = self.connection
        if connection is None or not data:
            return
        if self.state == _CHUNKED:
            connection.write(b"%x\r\n%b\r\n" % (len(data), data))
        elif self.state in {_LENGTH, _RAW}:
            connection.write(data)
        elif self.state != _NO_BODY:
            raise RuntimeError("data before the head or after the end")

    def send_end(self, trailers: Fields = ()) -> None:
        """See `RequestStream.send_end`.

        Trailers are for clients that asked for them (RFC 9110, section 6.5.1).
        """
        connection = self.connection
        if connection is None:
            return
        if self.state in {NEW, _DONE}:
            raise RuntimeError("an end before the head or after the end")
        if connection.tunnelling:
            self.state = _DONE
            connection.end_tunnel()
            return
        if self.state == _CHUNKED:
            lines = b""
            if trailers and b"trailers" in elements(self.head.block.first(b"te") or b""):
                lines = b"".join([b"%b: %b\r\n" % field for field in trailers])
            connection.write(b"0\r\n" + lines + b"\r\n")
        self.state = _DONE
        connection.finish(self)

    def reset(self) -> None:
        """See `RequestStream.reset`."""
        if self.connection is not None:
            self.connection.reset(self)

    def pause_receiving(self) -> None:
        """See `RequestStream.pause_receiving`."""
        if self.connection is not None:
            self.connection.pause_reading()

    def resume_receiving(self) -> None:
        """See `RequestStream.resume_receiving`."""
        if self.connection is not None:
            self.connection.resume_reading()

    def deadline(self, seconds: float) -> None:
        """See `RequestStream.deadline`."""
        if self.connection is not None:
            self.connection.limit_body(seconds)

    def upgrade(self) -> None:
        """See `RequestStream.upgrade`."""
        if self.connection is not None:
            if self.state != _RAW:
                raise RuntimeError("an upgrade without status 101")
            self.connection.start_tunnel(self)
