"""A worker's private network in a real namespace, with real sockets of a link process.

Services' and Sessions' addresses are both local there, so that clients need no tunnel; everything
else is as in a Cluster.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from octelium.cluster.private import PrivateSide
from octelium.ingress.settings import Settings
from octelium.ingress.shares import Shares
from octelium.replica.arrival import Tunnel
from octelium.tunnel.link.plan import LinkPlan
from tests.ingress.private_world import L4, MODES, TunnelDecider, connected
from tests.peers.namespaces import available
from tests.tunnel.link import worlds
from tests.vigil.world import Client, World, service, world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from octelium.schema.pb import core_v1_pb2 as core
    from tests.tunnel.link.worlds import Link

PLAN = LinkPlan(1280, (*worlds.SERVICES, *worlds.SESSIONS))
VIP = {socket.AF_INET: worlds.VIP, socket.AF_INET6: worlds.VIP6}
PEER = {socket.AF_INET: worlds.PEER, socket.AF_INET6: worlds.PEER6}
HOST = {socket.AF_INET: "100.65.0.20", socket.AF_INET6: "fdee:1:2:3:1::20"}
FAMILIES = (socket.AF_INET, socket.AF_INET6)


@pytest.fixture(scope="module")
def link() -> Iterator[Link]:
    if "root" not in available():
        pytest.skip("not verified: a namespace of one's own needs root here")
    with worlds.link(PLAN) as made:
        yield made


class Private:
    def __init__(self, base: World, side: PrivateSide) -> None:
        self.base = base
        self.side = side
        self.decider = TunnelDecider(base.replica)
        base.vigil.decider = self.decider
        ann = connected("ann-1", PEER[socket.AF_INET])
        ann.status.connection.addresses[0].v6 = f"{PEER[socket.AF_INET6]}/128"
        base.feed.put(ann)

    async def serve(self, port: int, url: str, **spec: Any) -> core.Service:
        made = service(url=url, **spec)
        made.spec.is_public = False
        made.status.port = port
        addresses = made.status.addresses.add().dual_stack_ip
        addresses.ipv4, addresses.ipv6 = VIP[socket.AF_INET], VIP[socket.AF_INET6]
        await self.put(made)
        return made

    async def put(self, made: core.Service) -> None:
        self.base.feed.put(made)
        server = self.side.server
        assert server is not None
        port = made.status.port
        await self.base.until(lambda: sum(one[2] == port for one in server.listening) == 2)

    async def connect(self, family: socket.AddressFamily, port: int) -> Client:
        made = await self.side.sockets.dial("tcp", family, PEER[family])
        await asyncio.get_running_loop().sock_connect(made, (VIP[family], port))
        client = Client(*await asyncio.open_connection(sock=made))
        self.base.clients.append(client)
        return client


@asynccontextmanager
async def private(link: Link) -> AsyncIterator[Private]:
    settings = Settings(plaintext=True)
    async with world(settings) as base:
        side = PrivateSide(link.path, base.replica)
        base.environment.served = side.served
        side.serve(
            base.vigil,
            base.ingress,
            base.freshness,
            base.vigil.serve,
            settings,
            base.sections,
            shares=Shares.of(20_000),
        )
        assert side.series()["octelium_private_connections"] == 0
        side.start()
        try:
            yield Private(base, side)
        finally:
            await side.close(0)


async def test_requests_by_both_families(link: Link) -> None:
    async with private(link) as here:
        await here.serve(80, here.base.url)
        for family in FAMILIES:
            client = await here.connect(family, 80)
            host = VIP[family] if family == socket.AF_INET else f"[{VIP[family]}]"
            assert (await client.request(host=host, token=None)).status == 200
            assert here.decider.asked[-1][2] == Tunnel("uid-ann-1", PEER[family])
        assert here.side.series()["octelium_private_connections_total"] == 2


async def test_streams_by_both_families(link: Link) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data.upper())
        writer.close()

    async with private(link) as here:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        await here.serve(5432, f"tcp://127.0.0.1:{port}", mode=MODES.TCP)
        for family in FAMILIES:
            client = await here.connect(family, 5432)
            await client.send(b"x" * 200_000)
            client.writer.write_eof()
            assert await client.rest() == b"X" * 200_000
        server.close()


async def test_datagrams_by_both_families(link: Link) -> None:
    class Echo(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
            self.transport.sendto(data.upper(), address)  # type: ignore[attr-defined]

    loop = asyncio.get_running_loop()
    async with private(link) as here:
        transport, _ = await loop.create_datagram_endpoint(Echo, local_addr=("127.0.0.1", 0))
        port = transport.get_extra_info("sockname")[1]
        await here.serve(5353, f"udp://127.0.0.1:{port}", mode=MODES.UDP)
        for family in FAMILIES:
            made = await here.side.sockets.dial("udp", family, PEER[family])
            made.connect((VIP[family], 5353))
            for size in (1, 1200, 60_000):
                made.send(b"y" * size)
                answer = await asyncio.wait_for(loop.sock_recv(made, 65535), 60)
                assert answer == b"Y" * size
            made.close()
        assert here.side.udp is not None
        assert len(here.side.udp.flows) == 2
        assert len(here.decider.asked) == 2
        transport.close()


@pytest.mark.parametrize("only_v4", [False, True])
async def test_a_session_that_serves_is_dialled_by_ipv6_first(link: Link, only_v4: bool) -> None:
    async with private(link) as here:
        peers: list[str] = []

        async def hello(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            peers.append(writer.get_extra_info("peername")[0])
            writer.write(b"hello")
            writer.close()

        servers = []
        for family in FAMILIES[:1] if only_v4 else FAMILIES:
            listener = await here.side.sockets.dial("tcp", family)
            listener.bind((HOST[family], 10_000))
            listener.listen()
            servers.append(await asyncio.start_server(hello, sock=listener))
        made = await here.serve(7000, "tcp://internal:1", mode=MODES.TCP)
        made.spec.config.upstream.user = "alice"
        here.base.feed.put(made)
        host = connected(
            "host-1", HOST[socket.AF_INET], serves={made.metadata.uid: 10_000}, l4=L4.TCP
        )
        host.status.connection.addresses[0].v6 = f"{HOST[socket.AF_INET6]}/128"
        here.base.feed.put(host)
        client = await here.connect(socket.AF_INET, 7000)
        assert await client.rest() == b"hello"
        assert peers == [VIP[socket.AF_INET if only_v4 else socket.AF_INET6]]
        for server in servers:
            server.close()


async def test_the_link_process_is_replaced(link: Link) -> None:
    async with private(link) as here:
        await here.serve(80, here.base.url)
        client = await here.connect(socket.AF_INET, 80)
        assert (await client.request(host=worlds.VIP, token=None)).status == 200
        link.restart()
        assert (await client.request(host=worlds.VIP, token=None)).status == 200
        other = await here.connect(socket.AF_INET6, 80)
        assert (await other.request(host=f"[{worlds.VIP6}]", token=None)).status == 200
