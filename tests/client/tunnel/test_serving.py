from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from octelium.client.tunnel.serving import Hosted, Served, connect, hosted
from octelium.schema.pb import meta_v1_pb2 as meta
from octelium.schema.pb import user_v1_pb2 as user
from tests.client.tunnel.pieces import (
    EchoServer,
    FakeSide,
    ask,
    hosted_service,
    is_hung_up_on,
)
from tests.peers.ports import reserved_port

LOOPBACK = ("127.0.0.0/8",)


def test_what_is_served_where() -> None:
    address = meta.DualStackIp(ipv4="100.65.0.7", ipv6="fdee::7")
    found = hosted(hosted_service(address=address), {4, 6})
    assert found == Hosted("home.default", "tcp", 20_000, ("100.65.0.7", "fdee::7"), "127.0.0.1", 9)
    only = hosted(hosted_service(address=address, l4_type=user.HostedServiceL4Type__.UDP), {6})
    assert only is not None
    assert (only.kind, only.addresses) == ("udp", ("fdee::7",))


@pytest.mark.parametrize(
    "wrong",
    [
        {"mode": user.HostedServiceMode__.MODE_ESSH},
        {"port": 0},
        {"port": 70_000},
        {"l4_type": 9},
        {"upstream": user.HostedServiceUpstream(port=80)},
        {"upstream": user.HostedServiceUpstream(host="x", port=-1)},
        {"address": meta.DualStackIp(ipv4="me")},
    ],
)
def test_what_is_not_served(wrong: dict[str, Any]) -> None:
    assert hosted(hosted_service(**wrong), {4, 6}) is None


async def test_services_come_stay_and_go() -> None:
    side = FakeSide()
    served = Served(side)
    served.admit(LOOPBACK)
    async with EchoServer() as server:
        one = Hosted("a.default", "tcp", reserved_port(), ("127.0.0.1",), "localhost", server.port)
        two = Hosted("b.default", "tcp", reserved_port(), ("127.0.0.1",), "127.0.0.1", server.port)
        await served.replace([one])
        assert await ask(one.port, b"one") == b"ONE"
        reader, writer = await asyncio.open_connection("127.0.0.1", one.port)
        await served.replace([one, two])
        assert await ask(two.port, b"two") == b"TWO"
        writer.write(b"still")
        writer.write_eof()
        assert await reader.read() == b"STILL"
        writer.close()
        await served.remove("a.default")
        assert served.present == [two]
        assert side.released == [("tcp", "127.0.0.1", one.port)]
        with pytest.raises(ConnectionRefusedError):
            await ask(one.port, b"one")
        await served.close()
    assert served.present == []


async def test_only_the_clusters_services_are_admitted() -> None:
    served = Served(FakeSide())
    served.admit(("100.64.0.0/16",))
    async with EchoServer() as server:
        one = Hosted("a.default", "tcp", reserved_port(), ("127.0.0.1",), "127.0.0.1", server.port)
        await served.add(one)
        assert await is_hung_up_on(one.port)
        assert server.connections == 0
        await served.close()


async def test_a_port_that_is_taken_harms_nobody_else() -> None:
    served = Served(FakeSide())
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        await served.add(Hosted("a.default", "tcp", taken, ("127.0.0.1",), "127.0.0.1", 9))
        await served.add(
            Hosted("b.default", "udp", reserved_port(), ("127.0.0.1",), "127.0.0.1", 9)
        )
        assert [each.name for each in served.present] == ["a.default", "b.default"]
        await served.close()


async def test_an_upstream_is_looked_up_each_time() -> None:
    async with EchoServer() as server:
        one = Hosted("a.default", "tcp", 1, (), "localhost", server.port)
        (await connect(one)).close()
    with pytest.raises(ConnectionRefusedError):
        await connect(Hosted("a.default", "tcp", 1, (), "127.0.0.1", reserved_port()))
    with pytest.raises(OSError, match=r"Name or service|Temporary failure|No address"):
        await connect(Hosted("a.default", "tcp", 1, (), "nowhere.invalid", 80))
