from __future__ import annotations

import asyncio
import errno
import socket

import pytest

from octelium.client.tunnel.errors import TunnelError
from octelium.client.tunnel.publishing import Acceptor, Published
from octelium.client.tunnel.wanted import Publication
from tests.client.tunnel.pieces import EchoServer, ask, is_hung_up_on
from tests.peers.ports import reserved_port


class Dials:
    """Connects to a server, whatever the Service; or fails."""

    def __init__(self, server: EchoServer) -> None:
        self.server = server
        self.names: list[str] = []
        self.failure: OSError | None = None

    async def __call__(self, name: str) -> socket.socket:
        self.names.append(name)
        if self.failure is not None:
            raise self.failure
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        place = ("127.0.0.1", self.server.port)
        await asyncio.get_running_loop().sock_connect(made, place)
        return made


async def test_connections_are_joined_with_half_close() -> None:
    async with EchoServer() as server:
        dials, port = Dials(server), reserved_port()
        published = Published(dials)
        published.open(Publication("wiki.default", "localhost", port), is_udp=False)
        big = b"abc" * 100_000
        assert await ask(port, big) == big.upper()
        assert await ask(port, b"six", "::1") == b"SIX"
        assert dials.names == ["wiki.default"] * 2
        await published.close()
        with pytest.raises(ConnectionRefusedError):
            await ask(port, b"gone")


async def test_a_service_out_of_reach_resets_and_the_listener_stays() -> None:
    async with EchoServer() as server:
        dials, port = Dials(server), reserved_port()
        told: list[str] = []
        published = Published(dials, told.append)
        published.open(Publication("wiki.default", "127.0.0.1", port), is_udp=False)
        dials.failure = OSError(errno.ENETDOWN, "away")
        for _ in range(2):
            with pytest.raises(ConnectionResetError):
                await ask(port, b"question")
        assert told == ["wiki.default: away"]
        dials.failure = None
        assert await ask(port, b"again") == b"AGAIN"
        await published.close()


async def test_datagrams() -> None:
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as upstream:
        upstream.bind(("127.0.0.1", 0))

        async def dial(_name: str) -> socket.socket:
            made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            made.connect(upstream.getsockname())
            return made

        port = reserved_port()
        published = Published(dial)
        published.open(Publication("log.default", "127.0.0.1", port), is_udp=True)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as client:
            client.sendto(b"x", ("127.0.0.1", port))
            async with asyncio.timeout(60):
                data, source = await loop.sock_recvfrom(upstream, 100)
                upstream.sendto(data, source)
                assert await loop.sock_recv(client, 100) == b"x"
        await published.close()


@pytest.mark.parametrize(
    ("address", "why"), [("127.0.0.1", "Address already in use"), ("192.0.2.1", "Cannot assign")]
)
async def test_where_nobody_can_listen(address: str, why: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        async def dial(_name: str) -> socket.socket:
            raise AssertionError("nobody connects")

        published = Published(dial)
        with pytest.raises(TunnelError, match=rf"published at {address}:{port}: {why}") as caught:
            published.open(Publication("wiki.default", address, port), is_udp=False)
        assert "-p" in caught.value.remedy


async def test_peers_that_are_not_admitted_are_hung_up_on() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

        async def dial() -> socket.socket:
            raise AssertionError("it is not admitted")

        acceptor = Acceptor(listening, dial, lambda peer: peer == "192.0.2.1")
        acceptor.start()
        assert await is_hung_up_on(port)
        assert len(acceptor) == 0
        await acceptor.close()
        await asyncio.sleep(0)


async def test_the_end_cuts_open_connections() -> None:
    async with EchoServer() as server:
        port = reserved_port()
        published = Published(Dials(server))
        published.open(Publication("wiki.default", "127.0.0.1", port), is_udp=False)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        async with asyncio.timeout(60):
            while not server.connections:
                await asyncio.sleep(0.005)
            await published.close()
            with pytest.raises(ConnectionResetError):
                await reader.readexactly(1)
        writer.close()


async def test_a_port_that_only_root_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    def bind(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket, "socket", type("Socket", (socket.socket,), {"bind": bind}))
    with pytest.raises(TunnelError, match=r"at localhost:80: Permission denied") as caught:
        Published(_never).open(Publication("wiki.default", "localhost", 80), is_udp=False)
    assert "above 1023" in caught.value.remedy


async def _never(_: str) -> socket.socket:
    raise AssertionError("nobody connects")
