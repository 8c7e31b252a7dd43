"""Two devices and the network between them, in memory, on a clock that the test moves."""

from __future__ import annotations

import hashlib
import itertools
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

from octelium.tunnel.wireguard import Device, Endpoint, PeerConfig
from octelium.tunnel.wireguard.constants import NEVER

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.tunnel.wireguard import Burst, Gauge, Limits, Timing

Network = IPv4Network | IPv6Network
WALL = 1_700_000_000 * 10**9


def key(name: object) -> bytes:
    """A private key that a test repeats."""
    return hashlib.sha256(repr(name).encode()).digest()


def net(text: str) -> Network:
    return ip_network(text)


def packet(source: str, target: str, body: bytes = b"") -> bytes:
    """An IP packet of protocol 59 (no next header)."""
    one, other = ip_address(source), ip_address(target)
    if one.version == 4:
        size = (20 + len(body)).to_bytes(2, "big")
        return b"\x45\0" + size + bytes(5) + b"\x3b\0\0" + one.packed + other.packed + body
    size = len(body).to_bytes(2, "big")
    return b"\x60\0\0\0" + size + b"\x3b\x40" + one.packed + other.packed + body


def flat(bursts: list[Burst]) -> list[tuple[Endpoint, bytes]]:
    return [(endpoint, datagram) for endpoint, datagrams in bursts for datagram in datagrams]


def no_part(size: float) -> float:
    """No random part of times."""
    return 0.0


class Host:
    """A device at a place, what it was given to its own host, and what it sent."""

    def __init__(
        self,
        name: str,
        place: Endpoint,
        *,
        timing: Timing | None = None,
        limits: Limits | None = None,
        gauge: Gauge | None = None,
        wall: Callable[[], int] | None = None,
    ) -> None:
        ticks = itertools.count(WALL, 10**9)
        self.place = place
        self.device = Device(
            key(name),
            timing=timing,
            limits=limits,
            gauge=gauge,
            wall=wall or (lambda: next(ticks)),
            random=no_part,
        )
        self.got: list[bytes] = []
        self.sent: list[bytes] = []

    @property
    def public(self) -> bytes:
        return self.device.public_key


def open_all(host: Host, now: float) -> None:
    """Have the handshakes opened that wait for their turn."""
    while host.device.deadline() == -NEVER:
        host.device.tick(now)


class Pair:
    """Two hosts that know each other: `a` at 100.65.0.1 knows where `b` at 100.64.0.1 is."""

    def __init__(
        self,
        *,
        timing: Timing | None = None,
        limits: Limits | None = None,
        gauge: Gauge | None = None,
        psk: bytes | None = None,
        keepalive: int = 0,
    ) -> None:
        self.now = 1000.0
        self.a = Host("a", ("10.9.0.1", 1001), timing=timing)
        self.b = Host("b", ("10.9.0.2", 2002), timing=timing, limits=limits, gauge=gauge)
        self.hosts = {self.a.place: self.a, self.b.place: self.b}
        self.b.device.add_peer(
            PeerConfig(
                self.a.public,
                preshared_key=psk,
                allowed_ips=(net("100.65.0.1/32"), net("fd00::65:1/128")),
            ),
            self.now,
        )
        self.a.device.add_peer(
            PeerConfig(
                self.b.public,
                preshared_key=psk,
                endpoint=self.b.place,
                persistent_keepalive=keepalive,
                allowed_ips=(net("100.64.0.0/16"), net("fd00::64:0/112")),
            ),
            self.now,
        )

    def there(self, body: bytes = b"") -> bytes:
        """A packet from `a` to `b`."""
        return packet("100.65.0.1", "100.64.0.1", body)

    def back(self, body: bytes = b"") -> bytes:
        """A packet from `b` to `a`."""
        return packet("100.64.0.1", "100.65.0.1", body)

    def carry(self) -> None:
        """Carry what both send until both are silent; no time passes."""
        for _ in range(20):
            moved = False
            for host in (self.a, self.b):
                open_all(host, self.now)
                for endpoint, datagram in flat(host.device.drain()):
                    moved = True
                    host.sent.append(datagram)
                    target = self.hosts.get(endpoint)
                    if target is not None:
                        target.got += target.device.receive([(datagram, host.place)], self.now)
            if not moved:
                return
        raise AssertionError("the two never fall silent")

    def lose(self) -> None:
        """All that is on its way is lost."""
        for host in (self.a, self.b):
            host.sent += [datagram for _, datagram in flat(host.device.drain())]

    def connect(self) -> None:
        """A session, begun by `a`."""
        self.a.device.send([self.there(b"hello")], self.now)
        self.carry()
        assert self.b.got.pop() == self.there(b"hello")
        self.clear()

    def clear(self) -> None:
        for host in (self.a, self.b):
            host.got.clear()
            host.sent.clear()

    def wait(self, seconds: float, *, lost: bool = False) -> None:
        """Let time pass, with all timers at their time."""
        end = self.now + seconds
        while (due := min(self.a.device.deadline(), self.b.device.deadline())) <= end:
            assert due != NEVER
            self.now = max(self.now, due)
            for host in (self.a, self.b):
                host.device.tick(self.now)
            if lost:
                self.lose()
            else:
                self.carry()
        self.now = end


def kinds(datagrams: list[bytes]) -> list[int]:
    """The types of messages; 0 for a keepalive."""
    return [0 if one[0] == 4 and len(one) == 32 else one[0] for one in datagrams]
