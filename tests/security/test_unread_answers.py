"""A client that asks and asks and reads nothing costs no more than what is under way."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING

import pytest

from octelium.http.exchange import Peer
from octelium.http.h1.server import H1Server, ServerLimits
from octelium.http.h2 import frames
from octelium.http.h2.protocol import H2Server
from octelium.http.message import FieldBlock
from octelium.http.section import SectionCache
from octelium.http.tasks import spawn
from octelium.http.ticker import Ticker
from octelium.replica.arrival import FrontDoor

if TYPE_CHECKING:
    from octelium.http.exchange import RequestStream

NOT_FOUND = FieldBlock([(b"server", b"octelium"), (b"x-padding", b"x" * 200)])
H1 = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 200_000
H2 = (
    frames.PREFACE
    + frames.settings([])
    + b"".join(
        frames.headers(number, b"\x82\x84\x87\x41\x01a", end=True, max_frame=16_384)
        for number in range(1, 400_001, 2)
    )
)


@pytest.mark.parametrize(("codec", "stream"), [(H1Server, H1), (H2Server, H2)])
async def test_memory_is_bounded(codec: type[H1Server | H2Server], stream: bytes) -> None:
    most = 0
    connections: list[H1Server | H2Server] = []
    transports: list[asyncio.Transport] = []

    def handler(request: RequestStream) -> None:
        nonlocal most
        request.send_head(404, NOT_FOUND, end=True)
        most = max(most, transports[0].get_write_buffer_size())

    def connect() -> H1Server | H2Server:
        peer = Peer(FrontDoor("127.0.0.1", 1), number=1, secure=True)
        made: H1Server | H2Server
        if codec is H1Server:
            made = H1Server(
                peer,
                handler,
                sections=SectionCache(),
                ticker=Ticker(),
                limits=ServerLimits(),
                refusals=NOT_FOUND,
            )
        else:
            made = H2Server(peer, handler, ticker=Ticker(), refusals=NOT_FOUND)
        connections.append(made)
        begin = made.connection_made

        def connection_made(transport: asyncio.BaseTransport) -> None:
            transports.append(transport)  # type: ignore[arg-type]  # a socket's transport is one
            begin(transport)

        made.connection_made = connection_made  # type: ignore[assignment]  # a look at its transport
        return made

    loop = asyncio.get_running_loop()
    server = await loop.create_server(connect, "127.0.0.1", 0)  # type: ignore[arg-type]  # asyncio only asks for the methods
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.setblocking(False)
    try:
        await loop.sock_connect(client, server.sockets[0].getsockname())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(60):
                sending = spawn(loop.sock_sendall(client, stream), name="client")
                while not transports or transports[0].is_reading():
                    await asyncio.sleep(0.01)
        assert not transports[0].is_reading()
        await asyncio.sleep(0.05)
        assert transports[0].get_write_buffer_size() < 256 << 10
        assert most < 256 << 10
        # Whoever reads after all gets what was asked for.
        received = 0
        while received < (1 << 20):
            received += len(await loop.sock_recv(client, 1 << 16))
        sending.cancel()
    finally:
        client.close()
        connections[0].abort()
        server.close()
        await asyncio.sleep(0)
