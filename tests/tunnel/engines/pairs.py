"""Engines on stand-ins: a pair of sockets that keeps packets whole is a TUN device."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from octelium.tunnel.engines.interface import PeerConfig
from octelium.tunnel.engines.own import OwnEngine
from octelium.tunnel.packets import virtio
from octelium.tunnel.packets.heads import UDP, build_ip, build_udp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SECONDS = 60.0
"""Beyond that a test has failed."""


def keys() -> tuple[bytes, bytes]:
    """A private key and its public key."""
    made = X25519PrivateKey.generate()
    return made.private_bytes_raw(), made.public_key().public_bytes_raw()


def device() -> tuple[socket.socket, socket.socket]:
    """(what the kernel would have, what the engine has)."""
    kernel, engine = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    kernel.setblocking(False)
    return kernel, engine


def udp_socket(family: socket.AddressFamily = socket.AF_INET) -> socket.socket:
    made = socket.socket(family, socket.SOCK_DGRAM)
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    made.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
    return made


def address(number: int) -> bytes:
    return bytes([10, 9, 0, number])


def packet(source: int, destination: int, payload: bytes) -> bytes:
    """A UDP packet between two of the test's addresses."""
    one, other = address(source), address(destination)
    return build_ip(one, other, UDP, build_udp(one, other, 1, 2, payload))


class End:
    """An engine, and what stands for its kernel."""

    def __init__(self, number: int, *families: socket.AddressFamily, **settings: Any) -> None:
        self.number = number
        self.private, self.public = keys()
        self.kernel, self.tun = device()
        self.sockets = [udp_socket(each) for each in families or (socket.AF_INET,)]
        self.settings = settings
        self.engine = self.make()

    @property
    def place(self) -> tuple[str, int]:
        host, port, *_ = self.sockets[0].getsockname()
        return host, port

    def make(self) -> OwnEngine:
        return OwnEngine(self.tun.fileno(), self.sockets, private_key=self.private, **self.settings)

    def config(self, **more: Any) -> PeerConfig:
        """What another end has to know of this one."""
        return PeerConfig(self.public, (f"10.9.0.{self.number}/32",), **more)

    def say(self, other: End, payload: bytes) -> None:
        """Its kernel sends a packet."""
        self.kernel.send(virtio.PLAIN + packet(self.number, other.number, payload))

    async def hear(self) -> bytes:
        """The payload of the next packet that its kernel gets."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(SECONDS):
            return (await loop.sock_recv(self.kernel, 70_000))[virtio.HEADER + 28 :]

    async def close(self) -> None:
        await self.engine.close()
        for each in (self.kernel, self.tun, *self.sockets):
            each.close()


@asynccontextmanager
async def pair(*families: socket.AddressFamily, **settings: Any) -> AsyncIterator[tuple[End, End]]:
    """Two engines that know each other; the first one where the second is."""
    one, other = End(1, *families, **settings), End(2, *families, **settings)
    try:
        await one.engine.start()
        await other.engine.start()
        other.engine.put_peer(one.config())
        one.engine.put_peer(other.config(endpoint=other.place))
        yield one, other
    finally:
        await one.close()
        await other.close()


async def until(condition: Any, what: str) -> None:
    """Wait, with the loop running, until something is so."""
    async with asyncio.timeout(SECONDS):
        while not condition():
            await asyncio.sleep(0.002)
    assert condition(), what
