"""The gateway's own client beside a real WireGuard of the engine's side, on real sockets."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import struct
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from octelium.gateway.echo import Echo, _turned
from octelium.tunnel.engines.own import boottime
from octelium.tunnel.wireguard import Device, PeerConfig

if TYPE_CHECKING:
    from collections.abc import Iterator

V4 = ("100.64.0.1", "100.65.1.0")
V6 = ("fdee::1", "fdee::1:0:0:100")


def packet(addresses: tuple[str, str], data: bytes, ports: tuple[int, int] = (5000, 9)) -> bytes:
    """A datagram from the first of the addresses to the second."""
    source, target = (ipaddress.ip_address(each).packed for each in addresses)
    body = struct.pack(">HHHH", *ports, 8 + len(data), 0x1234) + data
    if len(source) == 4:
        head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0, 64, 17, 0x5678)
    else:
        head = struct.pack(">IHBB", 0x60000000, len(body), 17, 64)
    return head + source + target + body


def public_key() -> bytes:
    return X25519PrivateKey.generate().public_key().public_bytes_raw()


class Side:
    """The engine's side: a device and its UDP socket."""

    def __init__(self) -> None:
        self.key = X25519PrivateKey.generate()
        self.device = Device(self.key.private_bytes_raw())
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind(("127.0.0.1", 0))

    @property
    def public(self) -> bytes:
        return self.device.public_key

    def have(self, echo: Echo) -> None:
        peer = echo.peer
        networks = tuple(ipaddress.ip_network(each) for each in peer.allowed_ips)
        config = PeerConfig(peer.public_key, endpoint=peer.endpoint, allowed_ips=networks)
        self.device.add_peer(config, boottime())

    def send(self) -> None:
        for endpoint, datagrams in self.device.drain():
            for datagram in datagrams:
                self.socket.sendto(datagram, endpoint)

    async def exchange(self, sent: bytes) -> bytes:
        """Send a packet through the tunnel; the one that comes back."""
        self.device.send([sent], boottime())
        self.send()
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(60):
            while True:
                data, place = await loop.sock_recvfrom(self.socket, 65_535)
                packets = self.device.receive([(data, place)], boottime())
                self.send()
                if packets:
                    return bytes(packets[0])


@pytest.fixture
def side() -> Iterator[Side]:
    made = Side()
    yield made
    made.socket.close()


@pytest.mark.parametrize("addresses", [V4, V6])
async def test_what_is_sent_comes_back(side: Side, addresses: tuple[str, str]) -> None:
    echo = Echo(addresses, side.socket.getsockname(), side.public)
    side.have(echo)
    echo.start()
    try:
        sent = packet(addresses, b"token")
        back = await side.exchange(sent)
        assert back == packet((addresses[1], addresses[0]), b"token", (9, 5000))
        assert echo.heard == 1
    finally:
        echo.close()
        echo.close()


async def test_another_key_of_the_engine(side: Side) -> None:
    echo = Echo(V4, side.socket.getsockname(), side.public)
    side.have(echo)
    echo.start()
    try:
        await side.exchange(packet(V4, b"before"))
        other = X25519PrivateKey.generate()
        side.device.set_private_key(other.private_bytes_raw(), boottime())
        echo.change_engine_key(side.public)
        echo.change_engine_key(side.public)
        side.device.remove_peer(echo.public_key)
        side.have(echo)
        back = await side.exchange(packet(V4, b"after"))
        assert back.endswith(b"after")
    finally:
        echo.close()


async def test_nobody_else_may_talk_to_it(side: Side) -> None:
    echo = Echo(V4, side.socket.getsockname(), side.public)
    echo.start()
    stranger = Side()
    try:
        stranger.have(echo)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await stranger.exchange(packet(V4, b"token"))
        assert echo.heard == 0
    finally:
        stranger.socket.close()
        echo.close()


async def test_an_engine_that_is_not_there_is_waited_for() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        bound.connect(bound.getsockname())  # so that it takes nothing from anybody else
        echo = Echo(V4, bound.getsockname(), public_key())
        echo.start()
        echo.change_engine_key(public_key())  # which begins a handshake, refused by the kernel
        await asyncio.sleep(0.05)
        echo.close()
    assert echo.heard == 0


def test_without_a_way_to_the_engine_there_is_no_echo() -> None:
    with pytest.raises(OSError, match="Permission denied"):
        Echo(V4, ("255.255.255.255", 1), public_key())


@given(st.binary(max_size=200))
def test_nothing_but_datagrams_is_turned(data: bytes) -> None:
    turned = _turned(data)
    if turned is not None:
        assert _turned(turned) == data


@given(st.sampled_from([V4, V6]), st.binary(max_size=100))
def test_a_datagram_is_turned_with_its_checksums(addresses: tuple[str, str], data: bytes) -> None:
    there = packet(addresses, data)
    assert _turned(there) == packet((addresses[1], addresses[0]), data, (9, 5000))
    assert _turned(there[:-1]) is None
