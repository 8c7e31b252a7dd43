"""Our WireGuard against wireguard-go: each in either role, with all that goes through a tunnel."""

from __future__ import annotations

import re
import select
import struct
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from octelium.tunnel.wireguard import Device, Limits, PeerConfig, Timing
from octelium.tunnel.wireguard.cookies import sign
from octelium.tunnel.wireguard.identity import Identity
from octelium.tunnel.wireguard.messages import COOKIE, INITIATION
from octelium.tunnel.wireguard.noise import Initiator
from octelium.tunnel.wireguard.peer import Peer
from octelium.tunnel.wireguard.primitives import tai64n
from tests.conftest import SOAK
from tests.peers.namespaces import network
from tests.peers.programs import program
from tests.peers.wireguard_go import WireGuardGo, encoded, udp_socket, wireguard_go
from tests.tunnel.wireguard.worlds import key, net

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    from octelium.tunnel.wireguard.endpoints import Endpoint

THEIRS = Identity(key("theirs"))
ADDRESSES = ("100.65.0.1/32", "fd00::65:1/128")
PSK = key("preshared")
PATIENCE = 60.0
"""Seconds, on a machine that others use, too."""


class End:
    """Our end: a device, a UDP socket, and a host that answers pings."""

    def __init__(self, peer: WireGuardGo, device: Device, endpoint: socket.socket) -> None:
        self.peer = peer
        self.device = device
        self.socket = endpoint
        self.echoes: list[bytes] = []
        self.got: list[bytes] = []
        """Datagrams."""
        self.begun = 0
        """Handshakes that this end has begun, more than once where no answer came in time."""
        self.before_sending: Callable[[], None] = lambda: None

    @property
    def port(self) -> int:
        return int(self.socket.getsockname()[1])

    def turn(self) -> None:
        """One round: what came is taken, what is due is done, what is ready is sent."""
        wait = min(0.05, max(0.0, self.device.deadline() - time.monotonic()))
        came: list[tuple[bytes, Endpoint]] = []
        if select.select([self.socket], [], [], wait)[0]:
            came.append(self.socket.recvfrom(2048))
        self.got += [datagram for datagram, _ in came]
        now = time.monotonic()
        packets = self.device.receive(came, now)
        self.echoes += [packet for packet in packets if packet[20] == 0]
        self.device.send([answer(packet) for packet in packets if packet[20] == 8], now)
        self.device.tick(now)
        for endpoint, datagrams in self.device.drain():
            for datagram in datagrams:
                self.before_sending()
                self.begun += datagram[0] == INITIATION
                self.socket.sendto(datagram, endpoint[:2])

    def until(self, what: Callable[[], bool], seconds: float = PATIENCE) -> None:
        end = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < end, f"nothing happened: {self.device.counters}"
            self.turn()

    def pinged(self, count: int = 5) -> None:
        """`ping` on the other side has its answers; for as long as none come it goes on."""
        words = [program("ping", "iputils-ping"), "-c", str(count), "-i", "0.01", "-w", "60"]
        with self.peer.namespace.process(
            *words, "-s", "1200", "100.64.0.1", stdout=subprocess.PIPE
        ) as ping:
            self.until(lambda: ping.poll() is not None, 2 * PATIENCE)
            assert ping.stdout is not None
            output = ping.stdout.read()
        received = re.search(r"(\d+) received", output)
        assert received is not None, output
        assert int(received[1]) >= count, output

    def ping(self, body: bytes) -> None:
        """The kernel on the other side answers us; `body` has an even length."""
        self.echoes.clear()
        self.device.send([echo(8, "100.64.0.1", "100.65.0.1", body)], time.monotonic())
        self.until(lambda: bool(self.echoes))
        assert self.echoes[0][28:] == body
        assert self.echoes[0][12:16] == bytes([100, 65, 0, 1])


def checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data)) % 0xFFFF
    return 0xFFFF - total


def echo(kind: int, source: str, target: str, body: bytes) -> bytes:
    """An ICMP echo request (8) or reply (0)."""
    addresses = b"".join(bytes(map(int, one.split("."))) for one in (source, target))
    return _icmp(kind, addresses, b"\0\7\0\1" + body)


def answer(packet: bytes) -> bytes:
    return _icmp(0, packet[16:20] + packet[12:16], packet[24:])


def _icmp(kind: int, addresses: bytes, rest: bytes) -> bytes:
    def part(check: int) -> bytes:
        return struct.pack(">BBH", kind, 0, check) + rest

    def head(check: int) -> bytes:
        return struct.pack(">BBHHHBBH", 0x45, 0, 28 + len(rest) - 4, 1, 0, 64, 1, check) + addresses

    return head(checksum(head(0))) + part(checksum(part(0)))


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WireGuardGo]:
    folder = tmp_path_factory.mktemp("wireguard-go")
    with network(folder) as made, wireguard_go(made.namespace("away"), folder) as running:
        running.set_up(key("theirs"), ADDRESSES[0], routes="100.64.0.0/16")
        yield running


@pytest.fixture
def end(peer: WireGuardGo, request: pytest.FixtureRequest) -> Iterator[End]:
    """A device that the peer does not know yet, made with the test's parameters."""
    made = getattr(request, "param", {})
    device = Device(key((request.node.name, time.time_ns())), **made)
    with udp_socket(peer.namespace) as endpoint:
        yield End(peer, device, endpoint)
    words = ("wg", "set", "wg0", "peer", encoded(device.public_key), "remove")
    peer.namespace.run(*words)


def meet(end: End, *, psk: bytes | None = None, begin: bool) -> None:
    """Make the two know each other; who begins knows where the other is."""
    place = end.peer.place if begin else None
    networks = tuple(map(net, ADDRESSES))
    config = PeerConfig(THEIRS.public, preshared_key=psk, endpoint=place, allowed_ips=networks)
    end.device.add_peer(config, time.monotonic())
    words = () if begin else ("endpoint", f"127.0.0.1:{end.port}")
    end.peer.set_peer(end.device.public_key, "100.64.0.0/16", *words, psk=psk)


@pytest.mark.parametrize("psk", [None, PSK], ids=["no psk", "psk"])
def test_the_peer_begins(end: End, psk: bytes | None) -> None:
    meet(end, psk=psk, begin=False)
    end.pinged()
    end.ping(b"afterwards")
    assert end.device.counters.handshakes == 1
    assert end.device.peer(THEIRS.public).endpoint == end.peer.place


@pytest.mark.parametrize("psk", [None, PSK], ids=["no psk", "psk"])
def test_we_begin(end: End, psk: bytes | None) -> None:
    meet(end, psk=psk, begin=True)
    end.ping(bytes(1200))
    end.pinged()
    assert end.device.counters.handshakes == 1
    assert int(end.peer.show("latest-handshakes")) > 0
    assert end.device.counters.malformed == end.device.counters.bad_source == 0


@pytest.mark.parametrize(
    "end", [{"timing": Timing(rekey_after=0.2, rekey_timeout=0.1)}], indirect=True
)
def test_sessions_are_renewed_under_way(end: End) -> None:
    meet(end, begin=True)
    latest = time.monotonic() + PATIENCE
    while end.device.counters.handshakes < 5:
        assert time.monotonic() < latest
        end.ping(b"ping")
    # The answer to a handshake that was begun again is to none that is known.
    assert end.device.counters.unknown_index <= end.begun - end.device.counters.handshakes


@pytest.mark.skipif(not SOAK, reason="its sessions last 2 minutes: OCTELIUM_SOAK=1")
def test_the_peer_renews_its_sessions(end: End) -> None:
    meet(end, begin=False)
    begin = time.monotonic()
    while time.monotonic() < begin + 130:
        end.pinged(2)
        pause = time.monotonic() + 1
        while time.monotonic() < pause:
            end.turn()
    assert end.device.counters.handshakes == 2
    assert end.device.counters.unknown_index == end.device.counters.expired == 0


def test_another_place_is_found_again(end: End) -> None:
    meet(end, begin=True)
    end.ping(b"here")
    with udp_socket(end.peer.namespace) as elsewhere:
        before, end.socket = end.socket, elsewhere
        end.ping(b"away")
        end.pinged()
        assert end.peer.show("endpoints") == f"127.0.0.1:{end.port}"
        end.socket = before


def test_a_key_that_rotates_is_followed(end: End) -> None:
    meet(end, begin=False)
    end.pinged()
    former = end.device.public_key
    end.device.set_private_key(key(("rotated", time.time_ns())), time.monotonic(), grace=60.0)
    end.pinged()
    # The official client removes the peer and adds one with the new key.
    end.peer.namespace.run("wg", "set", "wg0", "peer", encoded(former), "remove")
    end.peer.set_peer(end.device.public_key, "100.64.0.0/16", "endpoint", f"127.0.0.1:{end.port}")
    end.pinged()
    end.ping(b"and back")
    assert end.device.counters.handshakes == 2


@pytest.mark.parametrize("end", [{"limits": Limits(busy=0.5)}], indirect=True)
def test_the_peer_takes_our_cookie(end: End) -> None:
    meet(end, begin=False)
    end.pinged(2)
    assert end.device.counters.cookies_sent == 1
    assert end.device.counters.handshakes == 1


@pytest.mark.skipif(not SOAK, reason="6 s of flood: OCTELIUM_SOAK=1")
def test_we_take_the_peers_cookie(end: End) -> None:
    """It asks for cookies while 128 handshakes or more wait, and for a second after."""
    meet(end, begin=True)
    strangers = []
    for number in range(600):
        message = Initiator(Identity(key(("stranger", number % 20))), THEIRS.public, number)
        unsigned = message.initiate(tai64n(time.time_ns()))
        strangers.append(sign(Peer(THEIRS.public), unsigned, 0.0))
    with udp_socket(end.peer.namespace) as crowd:

        def press() -> None:
            """Strangers come until they are asked for cookies."""
            for _ in range(100):
                for stranger in strangers:
                    crowd.sendto(stranger, end.peer.place)
                if select.select([crowd], [], [], 0.05)[0]:
                    break
            else:
                raise AssertionError("the peer bears it all")
            # Until its buffer has room again for the one that matters.
            while select.select([crowd], [], [], 0.1)[0]:
                assert crowd.recv(2048)[0] == COOKIE

        end.before_sending = press
        end.device.poke(THEIRS.public, time.monotonic())
        end.until(lambda: end.device.counters.cookies_received == 1)
        assert end.device.counters.handshakes == 0
        # The next initiation comes in its time, under the same pressure, with the cookie.
        end.until(lambda: end.device.counters.handshakes == 1, 25.0)
    end.before_sending = lambda: None
    end.ping(b"done")
