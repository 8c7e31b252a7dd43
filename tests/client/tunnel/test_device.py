from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from octelium.client.tunnel.device import Tunnel, engine_of
from octelium.client.tunnel.errors import TunnelError
from octelium.client.tunnel.state import Gateway, connected
from octelium.schema.pb import meta_v1_pb2 as meta
from octelium.tunnel.engines.choose import choose
from tests.client.tunnel.pieces import GATEWAY_KEY, KEY, Engines, FakeSide, gateway, state

if TYPE_CHECKING:
    from octelium.tunnel.engines.interface import Engine

OTHER_KEY = bytes(reversed(range(32)))


@pytest.fixture
def side() -> FakeSide:
    return FakeSide()


@pytest.fixture
def engines() -> Engines:
    return Engines()


@pytest.fixture
def tunnel(side: FakeSide, engines: Engines) -> Tunnel:
    return Tunnel(side, keepalive=30, make_engine=engines)


def _gateway(key: bytes = GATEWAY_KEY, addresses: tuple[str, ...] = ("127.0.0.1",)) -> Gateway:
    return Gateway("g1", key, addresses, 53820, ("100.64.0.0/24",))


async def test_a_first_state_makes_device_and_engine(
    tunnel: Tunnel, side: FakeSide, engines: Engines
) -> None:
    await tunnel.put(connected(state()))
    assert len(side.opened) == 1
    assert (engines.last.private_key, engines.last.log[-1]) == (KEY, "start")
    peer = engines.last.peers[GATEWAY_KEY]
    assert peer.endpoint == ("127.0.0.1", 53820)
    assert peer.allowed_ips == ("100.64.0.0/24", "fdee:1:2:3::/112")
    assert peer.keepalive == 30
    await tunnel.close()
    assert engines.last.log[-1] == "close"
    assert side.closed == 1
    assert not tunnel.is_open


async def test_the_same_addresses_keep_the_device(
    tunnel: Tunnel, side: FakeSide, engines: Engines
) -> None:
    await tunnel.put(connected(state()))
    await tunnel.put(connected(state(x25519_key=OTHER_KEY)))
    assert (len(side.opened), side.changed, side.closed) == (1, [], 0)
    assert len(engines.made) == 1
    assert engines.last.private_key == OTHER_KEY
    assert engines.last.log[-3:] == ["peers 0", "key", "peers 1"]
    await tunnel.close()


async def test_other_addresses_change_it_and_another_mtu_replaces_it(
    tunnel: Tunnel, side: FakeSide, engines: Engines
) -> None:
    await tunnel.put(connected(state()))
    moved = [meta.DualStackNetwork(v4="100.65.0.9/32", v6="fdee:1:2:3:1::9/128")]
    await tunnel.put(connected(state(addresses=moved)))
    assert [each.addresses[0] for each in side.changed] == ["100.65.0.9/32"]
    await tunnel.put(connected(state(mtu=1400)))
    assert (len(engines.made), len(side.opened), side.closed) == (2, 2, 1)
    await tunnel.close()


async def test_gateways_come_change_and_go(tunnel: Tunnel, engines: Engines) -> None:
    await tunnel.put(connected(state()))
    tunnel.put_gateway(_gateway(OTHER_KEY))
    assert "rotated" in engines.last.log
    assert [*engines.last.peers] == [OTHER_KEY]
    tunnel.put_gateway(_gateway(OTHER_KEY, ("127.0.0.2",)))
    assert engines.last.peers[OTHER_KEY].endpoint == ("127.0.0.2", 53820)
    with pytest.raises(TunnelError, match="a Gateway that cannot be"):
        tunnel.put_gateway(Gateway("g2", b"short", ("127.0.0.1",), 1, ()))
    tunnel.remove_gateway("unknown")
    tunnel.remove_gateway("g1")
    assert not engines.last.peers
    await tunnel.close()


async def test_the_next_address_of_a_gateway(tunnel: Tunnel, engines: Engines) -> None:
    """One without a route here is passed over; without another one there is nothing to do."""
    addresses = ["127.0.0.1", "255.255.255.255", "127.0.0.2"]
    await tunnel.put(connected(state(gateways=[gateway(addresses=addresses)])))
    assert tunnel.try_next("g1") == ("127.0.0.2", 53820)
    assert engines.last.peers[GATEWAY_KEY].endpoint == ("127.0.0.2", 53820)
    assert tunnel.try_next("g1") == ("127.0.0.1", 53820)
    await tunnel.put(connected(state()))
    assert tunnel.try_next("g1") is None
    await tunnel.close()


async def test_gateways_are_told_where_we_are(tunnel: Tunnel, engines: Engines) -> None:
    tunnel.find_again()  # without a tunnel there is nobody
    await tunnel.put(connected(state()))
    engine = engines.last
    roamed = replace(engine.peers[GATEWAY_KEY], endpoint=("127.0.0.9", 9))
    engine.peers[GATEWAY_KEY] = roamed
    tunnel.find_again()
    assert engine.peers[GATEWAY_KEY].endpoint == ("127.0.0.1", 53820)
    assert engine.log[-1] == "poke"
    await tunnel.close()


async def test_health(tunnel: Tunnel, engines: Engines) -> None:
    assert tunnel.health() == []
    await tunnel.put(connected(state()))
    assert not tunnel.is_alive(lambda: 1000.0)
    engines.last.handshakes[GATEWAY_KEY] = 900.0
    assert tunnel.is_alive(lambda: 1000.0)
    assert not tunnel.is_alive(lambda: 1080.0)
    (one,) = tunnel.health()
    assert (one.gateway, one.endpoint, one.last_handshake) == ("g1", ("127.0.0.1", 53820), 900.0)
    tunnel.begin_again()
    assert engines.last.log[-2:] == ["peers 0", "peers 1"]
    await tunnel.close()


async def test_what_cannot_be_leaves_nothing(side: FakeSide) -> None:
    def none(*_: object) -> Engine:
        raise OSError("no engine")

    tunnel = Tunnel(side, keepalive=30, make_engine=none)
    with pytest.raises(TunnelError, match="no engine"):
        await tunnel.put(connected(state()))
    assert side.closed == 1
    side.failure = TunnelError("no device")
    with pytest.raises(TunnelError, match="no device"):
        await tunnel.put(connected(state()))
    assert tunnel.connected is None


async def test_two_real_engines_shake_hands(side: FakeSide) -> None:
    """Ours, and one that stands for the Gateway's."""
    from octelium.tunnel.engines.interface import PeerConfig
    from tests.tunnel.engines.pairs import End, keys

    private, public = keys()
    far = End(2)
    await far.engine.start()
    far.engine.put_peer(PeerConfig(public, ("100.65.0.7/32",)))
    one = gateway(key=far.public, port=far.place[1])
    tunnel = Tunnel(side, keepalive=30, make_engine=engine_of(choose("own"), Path("/nowhere")))
    await tunnel.put(connected(state(x25519_key=private, gateways=[one])))
    async with asyncio.timeout(60):
        while not tunnel.is_alive():
            await asyncio.sleep(0.005)
    assert tunnel.health()[0].received > 0
    await tunnel.close()
    await far.engine.close()
    for each in (far.kernel, far.tun, *far.sockets):
        each.close()
