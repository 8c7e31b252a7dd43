"""One request and its answer as a pair of stream objects, the same for HTTP/1.1 and HTTP/2.

    client ⇄ RequestStream ⇄ (handler: RequestReceiver + ResponseReceiver) ⇄ UpstreamStream ⇄ origin

Everything here is synchronous and runs on the event loop's thread; an object is never called
back by a call that it is making, except where said. The receivers' method names differ, so that
one object per request can be both.

Order of calls, towards the handler: `Handler(stream)` once; then `request_data`* and one
`request_ended`, or one `request_aborted` at any time, after which nothing follows. From an
upstream: `response_informational`*, one `response_head`, `response_data`*, one `response_ended`;
or one `response_failed` at any time, after which nothing follows.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from octelium.http.message import (
        FieldBlock,
        Fields,
        RequestHead,
        ResponseHead,
        UpstreamRequest,
    )
    from octelium.replica.arrival import Arrival


class Peer:
    """What is known of a client's connection: one object per connection, shared by its streams."""

    __slots__ = ("admitted", "arrival", "certificate", "number", "secure", "server_name")

    def __init__(
        self,
        arrival: Arrival,
        *,
        number: int,
        secure: bool,
        certificate: object = None,
        server_name: bytes = b"",
        admitted: Callable[[], None] | None = None,
    ) -> None:
        self.arrival = arrival
        self.admitted = admitted
        """To be called once, when a request of this client has been allowed: from then on the
        connection does not count among the unauthenticated ones."""
        self.number = number
        """Counts connections within one process."""
        self.secure = secure
        """Whether the client spoke TLS with us."""
        self.certificate = certificate
        """The certificate shown to the client (the front door's own object), or None."""
        self.server_name = server_name
        """The name in the client's TLS handshake, lower-case; empty without TLS."""


class RequestReceiver(Protocol):
    """What a handler does with the rest of a request."""

    def request_data(self, data: bytes) -> None:
        """Take the next bytes of the body (never empty)."""

    def request_ended(self, trailers: Fields) -> None:
        """The body is complete. `trailers` have lower-case names."""

    def request_aborted(self, problem: str) -> None:
        """The client is gone, broke the protocol or reset the stream; nothing can be sent."""

    def downstream_paused(self) -> None:
        """More was sent than the client takes: stop sending until `downstream_resumed`."""

    def downstream_resumed(self) -> None:
        """The client takes data again."""


class RequestStream(Protocol):
    """The client's side of one request.

    The handler sets `receiver` before it returns. Body bytes that arrived together with the head
    are in `early`, and are not given to `request_data`; `complete` tells that `early` is the whole
    body and no trailers follow, in which case neither `request_data` nor `request_ended` is called.
    """

    head: RequestHead
    peer: Peer
    receiver: RequestReceiver | None
    early: bytes
    complete: bool

    def send_informational(self, status: int, block: FieldBlock) -> None:
        """Send a 1xx head other than 101. Does nothing for a client of HTTP/1.0."""

    def send_head(
        self, status: int, block: FieldBlock, data: bytes = b"", *, end: bool = False
    ) -> None:
        """Send the final head, with the first bytes of the body and, by `end`, its end.

        Without a content-length in `block` HTTP/1.1 sends chunks. `data` is ignored where the
        response has no body (HEAD, 204, 304). Status 101 is followed by `upgrade`.
        """

    def send_data(self, data: bytes) -> None:
        """Send more of the body."""

    def send_end(self, trailers: Fields = ()) -> None:
        """End the response. Trailers are dropped where the client cannot take them.

        If the request has not been read to its end, HTTP/1.1 closes the connection after this, and
        HTTP/2 resets the stream with NO_ERROR; in both cases no further call is made.
        """

    def reset(self) -> None:
        """Break the response off so that the client sees that it is incomplete."""

    def pause_receiving(self) -> None:
        """Stop reading the request's body. A few more calls of `request_data` may come."""

    def resume_receiving(self) -> None:
        """Read the request's body again."""

    def deadline(self, seconds: float) -> None:
        """Give the rest of the request's body so many seconds; `math.inf` lifts that again.

        After them the request is aborted, and answered with 408 if nothing was sent. A client may
        have few such requests under way at once. Does nothing once the request is complete.
        """

    def upgrade(self) -> None:
        """Make a tunnel of the connection, after `send_head(101, …)`; HTTP/1.1 only.

        From here `send_data` and `request_data` carry bytes as they are; `request_ended` is the
        end of the client's half, `send_end` closes the connection. The block of status 101 holds
        `connection` and `upgrade`.
        """


Handler = Callable[[RequestStream], None]
"""Called once per request, when its head is complete and valid. An exception that it raises is
logged and answered with 500."""


class Failure(Enum):
    """Why an upstream gave no (complete) answer."""

    UNREACHABLE = "upstream could not be reached"
    CONNECT_TIMEOUT = "connecting to the upstream timed out"
    TLS = "TLS with the upstream failed"
    CLOSED = "upstream closed the connection"
    RESET = "upstream reset the stream"
    PROTOCOL = "upstream broke the protocol"
    BUSY = "too much is under way"
    TOO_LARGE = "the request is too large"


class UpstreamError(Exception):
    """An upstream failed.

    `untouched` says that the upstream cannot have acted on the request: nothing of it was sent, or
    the upstream said so (REFUSED_STREAM, GOAWAY; RFC 9113, section 8.7), so it may be sent again.
    `stale` says that the connection had served before and ended before any byte of this response:
    most likely the upstream closed it while idle, so an idempotent request without a body may be
    sent again (RFC 9110, section 9.2.2).
    """

    def __init__(
        self,
        failure: Failure,
        detail: str = "",
        *,
        untouched: bool = False,
        stale: bool = False,
    ) -> None:
        super().__init__(f"{failure.value}: {detail}" if detail else failure.value)
        self.failure = failure
        self.untouched = untouched
        self.stale = stale


class ResponseReceiver(Protocol):
    """What a handler does with an upstream's response."""

    def response_informational(self, head: ResponseHead) -> None:
        """A 1xx head other than 101."""

    def response_head(self, head: ResponseHead, data: bytes, end: bool) -> None:
        """The final head (or 101), the body's bytes that came with it, and whether that was all.

        After `end` no `response_ended` follows.
        """

    def response_data(self, data: bytes) -> None:
        """Take the next bytes of the body (never empty)."""

    def response_ended(self, trailers: Fields) -> None:
        """The response is complete. `trailers` have lower-case names."""

    def response_failed(self, error: UpstreamError) -> None:
        """There will be no (complete) response. Never called from within a call to the stream."""

    def upstream_paused(self) -> None:
        """More was sent than the upstream takes: stop sending until `upstream_resumed`."""

    def upstream_resumed(self) -> None:
        """The upstream takes data again."""


class UpstreamStream(Protocol):
    """The upstream's side of one request."""

    def send_data(self, data: bytes) -> None:
        """Send more of the request's body, or raw bytes after 101."""

    def send_end(self, trailers: Fields = ()) -> None:
        """The request is complete (after 101: half-close)."""

    def reset(self) -> None:
        """Give the exchange up; the receiver is not called any more."""

    def pause_receiving(self) -> None:
        """Stop reading the response's body. A few more calls of `response_data` may come."""

    def resume_receiving(self) -> None:
        """Read the response's body again."""


class UpstreamConnection(Protocol):
    """A connection to an origin, as the pool keeps it: an asyncio Protocol with these members."""

    def available(self) -> bool:
        """Whether `open` may be called now."""

    def idle(self) -> bool:
        """Whether no exchange is running on it."""

    def open(
        self, request: UpstreamRequest, receiver: ResponseReceiver, data: bytes, end: bool
    ) -> UpstreamStream:
        """Send `request` with the first bytes of its body and, by `end`, its end.

        Never calls `receiver` from within. Only while `available()`.
        """

    def close(self) -> None:
        """Close the connection; running exchanges fail."""


class ByteTransport(Protocol):
    """The part of `asyncio.Transport` that codecs use; the TLS layer offers it as well."""

    def write(self, data: bytes) -> None:
        """Queue `data`; the protocol's `pause_writing` is called when too much is queued."""

    def write_eof(self) -> None:
        """Half-close after what is queued."""

    def can_write_eof(self) -> bool:
        """Whether a half-close is possible."""

    def close(self) -> None:
        """Close after what is queued."""

    def abort(self) -> None:
        """Close at once."""

    def is_closing(self) -> bool:
        """Whether the transport is closing or closed."""

    def get_write_buffer_size(self) -> int:
        """Bytes that are queued."""

    def pause_reading(self) -> None:
        """Stop calling `data_received`. May be called twice."""

    def resume_reading(self) -> None:
        """Call `data_received` again. May be called twice."""
