"""A peer of the gateway's own, which sends back what it gets: shows that packets go both ways.

It is a whole client but for its TUN device: a WireGuard of its own at a port of the loopback
interface, connected to the engine's, so that nobody else may talk to it. Its key is made by each
process anew, and its address is one that no Session ever has.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from octelium.tunnel.engines.interface import PeerConfig
from octelium.tunnel.engines.own import boottime
from octelium.tunnel.packets.heads import UDP, PacketError, parse_ip
from octelium.tunnel.wireguard import Device
from octelium.tunnel.wireguard import PeerConfig as DevicePeer

if TYPE_CHECKING:
    from collections.abc import Callable

_LONGEST: Final = 65_535
_READS: Final = 16
"""Datagrams of one turn."""
_SLEEP: Final = 5.0
"""Seconds at most until the timers are looked at: the loop's clock stands still while the machine
sleeps, theirs does not."""


class Echo:
    """The peer. `addresses` are that of a Service which it answers, and its own; `place` is where
    the engine takes datagrams, `engine_key` its public key. `heard` counts the packets that came.

    Raises:
        OSError: there is no socket for it.
    """

    def __init__(
        self,
        addresses: tuple[str, str],
        place: tuple[str, int],
        engine_key: bytes,
        *,
        mtu: int = 1280,
        clock: Callable[[], float] = boottime,
    ) -> None:
        self.heard = 0
        self._clock = clock
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.engine_key = engine_key
        key = X25519PrivateKey.generate()
        self.public_key = key.public_key().public_bytes_raw()
        self._device = Device(key.private_bytes_raw(), mtu=mtu)
        service, self._own = (ipaddress.ip_network(each) for each in addresses)
        family = socket.AF_INET6 if ":" in place[0] else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            self._socket.connect(place)
        except OSError:
            self._socket.close()
            raise
        self._place = self._socket.getpeername()
        peer = DevicePeer(engine_key, endpoint=self._place, allowed_ips=(service,))
        self._device.add_peer(peer, clock())

    @property
    def peer(self) -> PeerConfig:
        """What it is to the engine."""
        host, port = self._socket.getsockname()[:2]
        return PeerConfig(self.public_key, (str(self._own),), (host, port))

    def start(self) -> None:
        """Begin to answer."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket, self._readable)
        self._tick()

    def close(self) -> None:
        """End. May be called again."""
        loop, self._loop = self._loop, None
        if loop is not None:
            loop.remove_reader(self._socket)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._socket.close()

    def change_engine_key(self, engine_key: bytes) -> None:
        """The engine has another key now."""
        if engine_key != self.engine_key:
            self._device.change_peer_key(self.engine_key, engine_key, self._clock())
            self.engine_key = engine_key
            self._send()

    def _readable(self) -> None:
        datagrams = []
        for _ in range(_READS):
            try:
                datagrams.append((self._socket.recv(_LONGEST), self._place))
            except BlockingIOError:
                break
            except OSError:
                continue  # of a datagram sent before, while the engine was not there
        now = self._clock()
        answers = [_turned(bytes(each)) for each in self._device.receive(datagrams, now)]
        found = [each for each in answers if each is not None]
        self.heard += len(found)
        self._device.send(found, now)
        self._send()

    def _send(self) -> None:
        for _, datagrams in self._device.drain():
            for datagram in datagrams:
                try:
                    self._socket.send(datagram)
                except OSError:
                    break  # it is lost, as on any network: the timers know what to do
        self._arm()

    def _arm(self) -> None:
        if self._loop is None:
            return
        if self._timer is not None:
            self._timer.cancel()
        delay = max(0.01, min(_SLEEP, self._device.deadline() - self._clock()))
        self._timer = self._loop.call_later(delay, self._tick)

    def _tick(self) -> None:
        self._device.tick(self._clock())
        self._send()


def _turned(packet: bytes) -> bytes | None:
    """A packet of UDP on its way back, None for any other: checksums are the same both ways."""
    try:
        head = parse_ip(packet)
    except PacketError:
        return None
    if head.protocol != UDP or len(packet) < head.size + 8:
        return None
    width = len(head.source)
    at = 12 if head.version == 4 else 8
    ports = packet[head.size : head.size + 4]
    addresses = packet[at + width : at + 2 * width] + packet[at : at + width]
    middle = packet[at + 2 * width : head.size]
    return packet[:at] + addresses + middle + ports[2:] + ports[:2] + packet[head.size + 4 :]
