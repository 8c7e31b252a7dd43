"""A transport in memory, and both shells on top of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from octelium.http.exchange import Peer, RequestStream, UpstreamError
from octelium.http.h1.client import H1Client
from octelium.http.h1.server import H1Server, ServerLimits
from octelium.http.message import FieldBlock, Fields, ResponseHead, UpstreamRequest
from octelium.http.section import SectionCache
from octelium.http.ticker import Ticker
from octelium.replica.arrival import FrontDoor

if TYPE_CHECKING:
    from collections.abc import Callable

EMPTY = FieldBlock(())
REFUSAL = FieldBlock([(b"server", b"octelium")])


class Wire(asyncio.Transport):
    """What was written, and how the connection ended."""

    def __init__(self) -> None:
        super().__init__()
        self.output = b""
        self.closing = False
        self.aborted = False
        self.half_closed = False
        self.reading = True
        self.pending = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self.closing:
            self.output += bytes(data)

    def write_eof(self) -> None:
        self.half_closed = True

    def can_write_eof(self) -> bool:
        return True

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.closing = self.aborted = True

    def was_aborted(self) -> bool:
        return self.aborted

    def is_closing(self) -> bool:
        return self.closing

    def is_reading(self) -> bool:
        return self.reading

    def get_write_buffer_size(self) -> int:
        return self.pending

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    @property
    def ended(self) -> bool:
        """Whether the peer gets to know that nothing follows."""
        return self.closing or self.half_closed

    def take(self) -> bytes:
        """What was written since the last call."""
        output, self.output = self.output, b""
        return output


class Request:
    """A handler's view of one request: records what it is told."""

    def __init__(self, stream: RequestStream) -> None:
        self.stream = stream
        self.body = stream.early
        self.trailers: Fields | None = () if stream.complete else None
        self.aborted: str | None = None
        self.paused = False
        stream.receiver = self

    def request_data(self, data: bytes) -> None:
        self.body += data

    def request_ended(self, trailers: Fields) -> None:
        self.trailers = trailers

    def request_aborted(self, problem: str) -> None:
        self.aborted = problem

    def downstream_paused(self) -> None:
        self.paused = True

    def downstream_resumed(self) -> None:
        self.paused = False

    def is_paused(self) -> bool:
        return self.paused

    def answer(self, body: bytes = b"ok", status: int = 200) -> None:
        block = FieldBlock([(b"content-length", b"%d" % len(body))])
        self.stream.send_head(status, block, body, end=True)


class Server:
    """An `H1Server` on a wire. `requests` are those that the handler got."""

    def __init__(
        self,
        handler: Callable[[RequestStream], None] | None = None,
        *,
        secure: bool = False,
        limits: ServerLimits | None = None,
    ) -> None:
        self.wire = Wire()
        self.ticker = Ticker()
        self.requests: list[Request] = []
        self.codec = H1Server(
            Peer(FrontDoor("192.0.2.1", 1234), number=1, secure=secure),
            handler or self._keep,
            sections=SectionCache(),
            ticker=self.ticker,
            limits=limits or ServerLimits(),
            refusals=REFUSAL,
        )
        self.codec.connection_made(self.wire)

    def _keep(self, stream: RequestStream) -> None:
        self.requests.append(Request(stream))

    def send(self, data: bytes) -> bytes:
        """Send bytes as the client; what the server wrote since."""
        self.codec.data_received(data)
        return self.wire.take()

    def pass_time(self, seconds: float) -> None:
        self.codec.tick(self.ticker.now + seconds)


class Response:
    """An exchange's view of its response: records what it is told."""

    def __init__(self) -> None:
        self.head: ResponseHead | None = None
        self.informational: list[ResponseHead] = []
        self.body = b""
        self.trailers: Fields | None = None
        self.error: UpstreamError | None = None
        self.paused = False

    def response_informational(self, head: ResponseHead) -> None:
        self.informational.append(head)

    def response_head(self, head: ResponseHead, data: bytes, end: bool) -> None:
        assert self.head is None
        self.head = head
        self.body = data
        if end:
            self.trailers = ()

    def response_data(self, data: bytes) -> None:
        assert data
        self.body += data

    def response_ended(self, trailers: Fields) -> None:
        assert self.trailers is None
        self.trailers = trailers

    def response_failed(self, error: UpstreamError) -> None:
        assert self.error is None
        self.error = error

    def upstream_paused(self) -> None:
        self.paused = True

    def upstream_resumed(self) -> None:
        self.paused = False

    def is_complete(self) -> bool:
        return self.trailers is not None

    def is_paused(self) -> bool:
        return self.paused


class Upstream:
    """An `H1Client` on a wire."""

    def __init__(self) -> None:
        self.wire = Wire()
        self.released: list[H1Client] = []
        self.lost: list[H1Client] = []
        self.codec = H1Client(SectionCache(), self.released.append, self.lost.append)
        self.codec.connection_made(self.wire)

    def request(
        self,
        method: bytes = b"GET",
        *,
        block: FieldBlock = EMPTY,
        data: bytes = b"",
        has_body: bool = False,
        end: bool = True,
        upgrade: bytes | None = None,
    ) -> Response:
        response = Response()
        request = UpstreamRequest(method, b"/x", b"upstream", block, has_body, upgrade)
        self.stream = self.codec.open(request, response, data, end)
        return response

    def send(self, data: bytes) -> None:
        """Send bytes as the upstream."""
        self.codec.data_received(data)

    def exchange(self, data: bytes, method: bytes = b"GET") -> Response:
        """One request and the bytes of its response."""
        response = self.request(method)
        self.send(data)
        return response
