"""A small proxy of the two shells: HTTP/2 in, HTTP/2 out, nothing decided."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from octelium.http.exchange import Peer, RequestStream, UpstreamError, UpstreamStream
from octelium.http.h2.protocol import H2Client, H2Server
from octelium.http.message import FieldBlock, Fields, ResponseHead, UpstreamRequest
from octelium.http.pool import Origin, UpstreamPool
from octelium.http.section import SectionCache
from octelium.http.ticker import Ticker
from octelium.replica.arrival import FrontDoor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

from contextlib import asynccontextmanager

EMPTY = FieldBlock(())


class Relay:
    """One request, passed on as it is."""

    def __init__(self, stream: RequestStream, pool: UpstreamPool, origin: Origin) -> None:
        self.stream = stream
        stream.receiver = self
        head = stream.head
        block = FieldBlock(field for field in head.block.fields if field[0] != b"host")
        request = UpstreamRequest(head.method, head.target, head.host, block, not stream.complete)
        self.upstream: UpstreamStream = pool.open(
            origin, request, self, stream.early, end=stream.complete
        )

    def request_data(self, data: bytes) -> None:
        self.upstream.send_data(data)

    def request_ended(self, trailers: Fields) -> None:
        self.upstream.send_end(trailers)

    def request_aborted(self, problem: str) -> None:
        self.upstream.reset()

    def downstream_paused(self) -> None:
        self.upstream.pause_receiving()

    def downstream_resumed(self) -> None:
        self.upstream.resume_receiving()

    def response_informational(self, head: ResponseHead) -> None:
        self.stream.send_informational(head.status, FieldBlock(head.block.fields))

    def response_head(self, head: ResponseHead, data: bytes, end: bool) -> None:
        self.stream.send_head(head.status, FieldBlock(head.block.fields), data, end=end)

    def response_data(self, data: bytes) -> None:
        self.stream.send_data(data)

    def response_ended(self, trailers: Fields) -> None:
        self.stream.send_end(trailers)

    def response_failed(self, error: UpstreamError) -> None:
        self.stream.send_head(502, FieldBlock(()), str(error).encode(), end=True)

    def upstream_paused(self) -> None:
        self.stream.pause_receiving()

    def upstream_resumed(self) -> None:
        self.stream.resume_receiving()


class Running:
    """A server of `handler` on a loopback port. Its ticker stands still: no time is too long."""

    def __init__(self, handler: Callable[[RequestStream], None]) -> None:
        self.handler = handler
        self.ticker = Ticker()
        self.connections: list[H2Server] = []
        self.pool = UpstreamPool(
            sections=SectionCache(), ticker=self.ticker, h2=lambda r, lost: H2Client(r, lost)
        )
        self.port = 0

    def connect(self) -> H2Server:
        peer = Peer(FrontDoor("127.0.0.1", 1), number=len(self.connections), secure=False)
        connection = H2Server(peer, self.handler, ticker=self.ticker, refusals=EMPTY)
        self.connections.append(connection)
        return connection


@asynccontextmanager
async def serving(handler: Callable[[RequestStream], None]) -> AsyncIterator[Running]:
    """Serve until the block ends."""
    running = Running(handler)
    server = await asyncio.get_running_loop().create_server(running.connect, "127.0.0.1", 0)
    running.port = server.sockets[0].getsockname()[1]
    try:
        yield running
    finally:
        server.close()
        for connection in running.connections:
            connection.abort()
        running.pool.close()
        await asyncio.sleep(0)


@asynccontextmanager
async def proxying(origin: Origin) -> AsyncIterator[Running]:
    """Pass everything on to `origin`."""

    def handler(stream: RequestStream) -> None:
        Relay(stream, running.pool, origin)

    async with serving(handler) as running:
        yield running
