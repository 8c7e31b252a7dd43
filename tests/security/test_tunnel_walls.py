"""What must not get through a tunnel, nor about it: packets of a client's own making, against every
pair of engine and private network that a machine can have.

The clients have no kernel between them and their WireGuard: the test writes what is inside of it.
"""

from __future__ import annotations

import itertools
import json
import struct
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest

from tests.conftest import SOAK
from tests.e2e.cluster import ROOT, wait_for
from tests.e2e.documents import credential, workload
from tests.e2e.test_connect import GATEWAY, ReachableCluster
from tests.e2e.test_private_network import service, token
from tests.peers.namespaces import network
from tests.peers.programs import program
from tests.peers.tunnel_client import TunnelClient, wired_client
from tests.tunnel.link import packets

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.e2e.cluster import Cluster
    from tests.peers.namespaces import Namespace
    from tests.tunnel.link.packets import Wire

GATEWAY6 = "fd09::1"
_ANSWERS = (0, 129)
"""Types of echo replies."""
DAEMON = 9000
_HEARS = """
import json, selectors, socket
chosen = selectors.DefaultSelector()
def listen(name, family, kind, host, port):
    made = socket.socket(family, kind)
    made.bind((host, port))
    if kind == socket.SOCK_STREAM:
        made.listen()
    chosen.register(made, selectors.EVENT_READ, name)
V4, V6, TCP, UDP = socket.AF_INET, socket.AF_INET6, socket.SOCK_STREAM, socket.SOCK_DGRAM
listen("closed", V4, TCP, "127.0.0.1", 8001)
listen("closed", V4, UDP, "127.0.0.1", 8002)
listen("open", V4, UDP, "127.0.0.1", 8003)
for kind in (TCP, UDP):
    listen("daemon", V6, kind, "::", 9000)  # both families
while True:
    for key, _ in chosen.select():
        made = key.fileobj
        if made.type == TCP:
            made.accept()[0].close()
            said = "connection"
        else:
            said = made.recv(70000).hex()
        print(json.dumps([key.data, said]), flush=True)
"""
_SENDS = """
import socket, sys
with (
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as four,
    socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW) as six,
):
    for line in sys.stdin:
        target, packet = line.split()
        (six if ":" in target else four).sendto(bytes.fromhex(packet), (target, 0))
"""
_JUNK = """
import random, socket, sys
made = random.Random(7)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
    one.connect((sys.argv[1], 53820))
    for number in range(int(sys.argv[2])):
        kind = number % 6
        size = (40, 148, 92, 64, 32 + 16 * (number % 9), 8)[kind]
        one.send(bytes([kind, 0, 0, 0]) + made.randbytes(size - 4))
"""
_COUNTERS = """
import json
from octelium.tunnel.link import firewall
print(json.dumps(firewall.counters()))
"""
_WITHOUT = ("setpriv", "--bounding-set=-all,+setfcap", "--inh-caps=-all")
"""No capability but the one that a user namespace needs whose root is outside's root too."""
PAIRS = (("own", "root"), ("own", "user"), ("wireguard-go", "root"), ("wireguard-go", "user"))
_RUN = PAIRS if SOAK else PAIRS[:1]


@dataclass
class Client:
    """Somebody with a tunnel, and the wire that is its inside."""

    client: TunnelClient
    wire: Wire

    def address(self, six: bool) -> str:
        own = self.client.state["addresses"][0]
        return str(own["v6" if six else "v4"]).partition("/")[0]


@dataclass
class World:
    """A Gateway with Services for alice alone, and one for everybody."""

    engine: str
    cluster: Cluster
    host: Namespace
    lan: Namespace
    alice: Client
    bob: Client
    heard: list[tuple[str, str]]
    """What reached programs of the gateway's host: which, and what."""
    places: dict[tuple[str, bool], str] = field(default_factory=dict)
    _marks: Iterator[int] = field(default_factory=itertools.count)

    def place(self, name: str, six: bool) -> str:
        """The address of a Service."""
        if not self.places:
            for told in json.loads(self.cluster.ctl("get", "service", "-o", "json"))["items"]:
                for both in told["status"].get("addresses", []):
                    short = told["metadata"]["name"].removesuffix(".default")
                    self.places[short, False] = both["dualStackIP"]["ipv4"]
                    self.places[short, True] = both["dualStackIP"]["ipv6"]
        return self.places[name, six]

    def count(self, event: str) -> int:
        """How often something happened, as the gateway tells."""
        url = f"http://127.0.0.1:{self.cluster.admin}/metrics"
        text = self.host.run(program("curl", "curl"), "-sS", url).stdout
        lines = [each for each in text.splitlines() if f'event="{event}"' in each]
        return int(float(lines[0].split()[-1])) if lines else 0

    def walled(self, event: str) -> int:
        """How often something happened at the firewall, as its kernel has it now: what the gateway
        tells is some seconds old.
        """
        found: dict[str, int] = json.loads(self.inside(sys.executable, "-c", _COUNTERS))
        return found[event]

    def inside(self, *words: str) -> str:
        """What a command says in the private network."""
        entered = ("nsenter", "-n", "-t", str(self.cluster.children()["link"]), *words)
        done = subprocess.run(entered, cwd=ROOT, capture_output=True, text=True, check=True)
        return done.stdout

    def way(self, target: str) -> str:
        """What the private network's kernel thinks of the way to an address."""
        return self.inside("ip", "-oneline", "route", "get", target)

    def rises(self, event: str, before: int, by: int) -> None:
        wait_for(lambda: self.count(event) >= before + by, every=0.1)
        assert self.count(event) == before + by

    def tells(self, event: str) -> None:
        """Wait until the gateway tells what its firewall has counted."""
        wait_for(lambda: self.count(f"firewall-{event}") == self.walled(event), every=0.1)

    def mark(self, client: Client, name: str) -> tuple[str, str]:
        """Send a datagram that may pass; what it is when it is heard."""
        data = b"mark-%d" % next(self._marks)
        source, target = client.address(False), self.place(f"{name}-udp", False)
        client.wire.send(packets.udp(source, target, data, ports=(3000, 53)))
        return name, data.hex()

    def heard_nothing(self) -> None:
        """Nothing was heard since the last time but what is sent now, after everything else."""
        marks = [self.mark(self.alice, "closed"), self.mark(self.bob, "open")]
        wait_for(lambda: all(each in self.heard for each in marks))
        assert sorted(self.heard) == sorted(marks)
        self.heard.clear()

    def bob_got_nothing(self) -> None:
        """No answer but the kernel's word, to bob, of what cannot be."""
        for six in (False, True):
            own = self.bob.address(six)
            for seen in self.bob.wire.until_echo(own, self.place("open-udp", six)):
                assert seen.target == own, seen
                assert seen.kind in (packets.ICMP, packets.ICMP6), seen
                assert seen.payload[0] not in _ANSWERS, seen

    def alice_got_nothing(self) -> None:
        for six in (False, True):
            assert not self.alice.wire.until_echo(
                self.alice.address(six), self.place("open-udp", six)
            )


@pytest.fixture(scope="module", params=_RUN, ids="-".join)
def world(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    engine, privilege = request.param
    folder = tmp_path_factory.mktemp("walls")
    with network(folder) as made:
        host, lan = made.namespace("host"), made.namespace("lan")
        made.cable(host, f"{GATEWAY}/24", lan, "192.0.2.2/24")
        host.ip(f"address add {GATEWAY6}/64 dev to-lan nodad")
        lan.ip(
            "address add fd09::2/64 dev to-host nodad",
            f"route add 100.64.0.0/10 via {GATEWAY}",
            f"route add fdee::/16 via {GATEWAY6}",
        )
        # A host that would pass packets on, if only it knew where to.
        forwards = "echo 1 | tee /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/*/forwarding"
        host.run("sh", "-c", forwards)
        without = () if privilege == "root" else _WITHOUT
        cluster = ReachableCluster(
            folder / "cluster",
            workers=1,
            within=(*host.enter, *without),
            environment={"OCTELIUM_TUNNEL": "on", "OCTELIUM_ENGINE": engine},
        )
        words = (sys.executable, "-I", "-c", _HEARS)
        try:
            with host.process(*words, stdout=subprocess.PIPE) as hears:
                yield from _running(engine, privilege, cluster, host, lan, hears)
        finally:
            cluster.remove()


def _running(
    engine: str,
    privilege: str,
    cluster: Cluster,
    host: Namespace,
    lan: Namespace,
    hears: subprocess.Popen[str],
) -> Iterator[World]:
    cluster.start()
    unprivileged = engine != "own" or privilege == "user"
    side = "an unprivileged user and network" if unprivileged else "a network"
    assert f"engine {engine}, TUN in {side} namespace" in cluster.log.read_text()
    cluster.login()
    people = ("alice", "bob")
    for_all = service("open-udp", "UDP", "udp://127.0.0.1:8003", 53)
    for_all["spec"]["authorization"] = {"policies": ["allow-all"]}
    cluster.apply(
        *(workload(name) for name in people),
        *(credential(f"{name}-token", name, "AUTH_TOKEN", sessionType="CLIENT") for name in people),
        service("closed-tcp", "TCP", "tcp://127.0.0.1:8001", 443),
        service("closed-udp", "UDP", "udp://127.0.0.1:8002", 53),
        for_all,
    )
    authority: Path = cluster.data / "ca.pem"
    place = (lan, f"{GATEWAY}:{cluster.port}", authority)
    heard: list[tuple[str, str]] = []

    def read() -> None:
        for line in hears.stdout or ():
            name, said = json.loads(line)
            heard.append((name, said))

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    with (
        wired_client(*place, token(cluster, "alice-token")) as alice,
        wired_client(*place, token(cluster, "bob-token")) as bob,
    ):
        yield World(engine, cluster, host, lan, Client(*alice), Client(*bob), heard)
    hears.kill()
    reader.join()  # before its pipe is closed


def test_what_may_pass_does(world: World) -> None:
    """Without this the others would show nothing."""
    for number, six in enumerate((False, True)):
        source = world.alice.address(six)
        target = world.place("closed-udp", six)
        world.alice.wire.send(packets.udp(source, target, b"hello", ports=(4000, 53)))
        wait_for(lambda n=number: world.heard.count(("closed", b"hello".hex())) == n + 1)
        world.alice.wire.send(packets.tcp(source, world.place("closed-tcp", six)))
        while (seen := world.alice.wire.receive(60)).source != world.place("closed-tcp", six):
            pass  # of other tests
        assert seen.payload[13] == packets.SYN | packets.ACK
        reset = packets.tcp(source, seen.source, flags=packets.RST, sequence=2, acknowledged=0)
        world.alice.wire.send(reset)
        world.alice.wire.until_echo(source, target)  # with answers that came again before it
    world.heard.clear()
    world.heard_nothing()


def test_ports_of_other_services(world: World) -> None:
    """What one Service has is open at its own addresses, and nowhere else."""
    for six in (False, True):
        source = world.alice.address(six)
        target = world.place("open-udp", six)
        world.alice.wire.send(packets.tcp(source, target, ports=(4001, 443)))
        while (seen := world.alice.wire.receive(60)).source != target:
            pass  # ends of connections before
        assert (seen.kind, seen.ports) == (packets.TCP, (443, 4001))
        assert seen.payload[13] & packets.RST
        datagram = packets.udp(source, world.place("closed-tcp", six), b"hello", ports=(4001, 53))
        world.alice.wire.send(datagram)
        answers = world.alice.wire.until_echo(source, target)
        assert all(each.kind in (packets.ICMP, packets.ICMP6) for each in answers)
    world.heard_nothing()


def test_sources_of_others(world: World) -> None:
    """A Session's own addresses are all that its tunnel takes."""
    forged: dict[bool, Sequence[str]] = {
        False: (
            *(world.alice.address(False), GATEWAY, "192.0.2.2", "127.0.0.1", "0.0.0.0"),
            *("100.65.255.1", "100.66.0.1", "8.8.8.8", "224.0.0.1", "255.255.255.255"),
            world.place("closed-udp", False),
        ),
        True: (
            *(world.alice.address(True), GATEWAY6, "fd09::2", "::1", "::", "fe80::1", "ff02::1"),
            *("2001:db8::1", world.place("closed-udp", True)),
        ),
    }
    before, sent = world.count("bad_source"), 0
    for six, sources in forged.items():
        for source in sources:
            for name, made in (
                ("closed-tcp", packets.tcp),
                ("closed-udp", lambda one, other: packets.udp(one, other, b"forged")),
                ("open-udp", lambda one, other: packets.udp(one, other, b"forged")),
                ("open-udp", lambda one, other: packets.echo(one, other, 1)),
            ):
                world.bob.wire.send(made(source, world.place(name, six)))
                sent += 1
    world.bob_got_nothing()
    world.alice_got_nothing()
    world.heard_nothing()
    if world.engine == "own":
        world.rises("bad_source", before, sent)


def test_other_destinations(world: World) -> None:
    """The node, its programs, other clients, and whatever is no Service."""
    before, sent = world.walled("input-dropped"), 0
    for six, targets in (
        (
            False,
            (
                *(world.alice.address(False), GATEWAY, "192.0.2.2", "127.0.0.1", "8.8.8.8"),
                *("100.65.255.1", "100.66.0.1", "224.0.0.1", "255.255.255.255", "169.254.169.254"),
            ),
        ),
        (
            True,
            (world.alice.address(True), GATEWAY6, "fd09::2", "2001:db8::1", "ff02::1", "fe80::1"),
        ),
    ):
        source = world.bob.address(six)
        for target in targets:
            for port in (53, 443, DAEMON, world.cluster.port):
                ports = (4000, port)
                world.bob.wire.send(packets.udp(source, target, b"astray", ports=ports))
                world.bob.wire.send(packets.tcp(source, target, ports=ports))
                sent += 2
            world.bob.wire.send(packets.echo(source, target, 1))
            sent += 1
        world.bob_got_nothing()
    # An address of the Services' range is the private network's, not the host's.
    for six in (False, True):
        source, target = world.bob.address(six), world.place("open-udp", six)
        world.bob.wire.send(packets.tcp(source, target, ports=(4000, DAEMON)))
        world.bob.wire.send(packets.udp(source, target, b"astray", ports=(4000, DAEMON)))
        world.bob.wire.until_echo(source, target)
    world.alice_got_nothing()
    world.heard_nothing()
    # What is for nobody, or for everybody, may be dropped before the firewall counts it.
    assert before < world.walled("input-dropped") <= before + sent
    world.tells("input-dropped")


def test_errors_about_packets_of_others(world: World) -> None:
    """Nobody says what becomes of packets to another Session, nor how large they may be (RFC 5927);
    of its own, a Session says that a UDP port is closed.
    """
    before, sent = world.walled("input-dropped"), 0
    passed = world.walled("input-icmp")
    for six in (False, True):
        (alice, bob), target = (
            (each.address(six) for each in (world.alice, world.bob)),
            world.place("open-udp", six),
        )
        ways = [world.way(each) for each in (alice, bob)]
        closed, too_big = ((1, 4), (2, 0)) if six else ((3, 3), (3, 4))
        others = ((1, 0), (1, 1), (3, 0), (4, 1)) if six else ((3, 0), (3, 1), (11, 0), (12, 0))
        for made in (packets.udp(target, alice, bytes(600)), packets.tcp(target, alice)):
            for kind, code in (closed, too_big, *others):
                world.bob.wire.send(packets.about(made, bob, kind, code, mtu=552))
                sent += 1
        reply = packets.icmp(target, alice, 129 if six else 0)
        mine = packets.udp(target, bob, bytes(600))
        for made, (kind, code) in ((reply, closed), (mine, too_big), (mine, others[0])):
            world.bob.wire.send(packets.about(made, bob, kind, code, mtu=552))
            sent += 1
        if six:  # the Session at the end of a segment routing header is alice
            head = bytes([packets.UDP, 2, 4, 0, 0, 0, 0, 0]) + ip_address(alice).packed
            led = packets.ip(target, bob, 43, head + bytes(8))
            world.bob.wire.send(packets.about(led, bob, *closed))
            sent += 1
        world.bob_got_nothing()
        assert [world.way(each) for each in (alice, bob)] == ways
        world.bob.wire.send(packets.about(mine, bob, *closed))
    world.alice_got_nothing()
    world.heard_nothing()
    assert world.walled("input-icmp") >= passed + 2
    assert world.walled("input-dropped") == before + sent
    world.tells("input-dropped")


def test_a_sessions_source_arriving_by_lan(world: World) -> None:
    """Only the tunnel vouches for a source: forged ones from elsewhere are nobody's."""
    lines = []
    for six in (False, True):
        for source in (world.alice.address(six), world.bob.address(six)):
            for name in ("closed-udp", "open-udp"):
                target = world.place(name, six)
                lines.append((target, packets.udp(source, target, b"by lan")))
            target = world.place("closed-tcp", six)
            lines.append((target, packets.tcp(source, target)))
    for source, target in (("192.0.2.2", GATEWAY), ("fd09::2", GATEWAY6)):  # this one arrives
        lines.append((target, packets.udp(source, target, b"here", ports=(4000, DAEMON))))
    given = "".join(f"{target} {packet.hex()}\n" for target, packet in lines)
    world.lan.run(sys.executable, "-I", "-c", _SENDS, input=given)
    wait_for(lambda: len(world.heard) >= 2)
    assert world.heard == [("daemon", b"here".hex())] * 2
    world.heard.clear()
    world.alice_got_nothing()
    world.heard_nothing()


def test_the_host_itself_has_no_way_in(world: World) -> None:
    """A program on the gateway's host is no Session, whatever source it binds."""
    for six in (False, True):
        target, source = world.place("closed-udp", six), world.alice.address(six)
        packet = packets.udp(source, target, b"by host").hex()
        words = (sys.executable, "-I", "-c", _SENDS)
        done = world.host.run(*words, input=f"{target} {packet}\n", check=False)
        assert "unreachable" in done.stderr
    world.heard_nothing()


_WHOLE = bytes(range(240))


def test_fragments(world: World) -> None:
    """Whole ones are put together; overlapping, oversized and missing ones come to nothing."""
    before = world.walled("fragments")
    sent = 0
    for six in (False, True):
        source, target = world.bob.address(six), world.place("open-udp", six)
        whole = packets.udp_payload(source, target, _WHOLE, (4000, 53))

        def send(
            number: int, *parts: tuple[int, int], whole: bytes = whole, ends: tuple[str, str]
        ) -> None:
            nonlocal sent
            for start, end in parts:
                piece = packets.ip(
                    *ends,
                    packets.UDP,
                    whole[start:end],
                    offset=start,
                    more=end < len(whole),
                    identification=number,
                )
                world.bob.wire.send(piece)
                sent += 1

        ends = (source, target)
        send(1, (0, 120), (120, 248), ends=ends)
        wait_for(lambda: ("open", _WHOLE.hex()) in world.heard)
        world.heard.clear()
        for number, parts in enumerate(
            (
                ((0, 128), (120, 248)),  # eight bytes twice
                ((120, 248), (0, 128)),
                ((0, 64), (128, 192), (56, 136), (192, 248)),
                ((0, 120), (128, 248)),  # a hole
                ((120, 248),),  # no head
                ((0, 8), (8, 8)),  # no end
            ),
            2,
        ):
            send(number, *parts, ends=ends)
        head = packets.ip(source, target, packets.UDP, whole[:120], more=True, identification=90)
        beyond = packets.ip(
            source, target, packets.UDP, bytes(600), offset=65528, identification=90
        )
        world.bob.wire.send(head)
        world.bob.wire.send(beyond)
        sent += 2
        # A parameter problem may be told (RFC 8200 section 4.5), to the sender alone.
        for seen in world.bob.wire.until_echo(source, target):
            assert seen.target == source
            assert seen.kind in (packets.ICMP, packets.ICMP6)
        world.heard_nothing()
    assert world.walled("fragments") == before + sent
    world.tells("fragments")


def test_connections_do_not_begin_in_fragments(world: World) -> None:
    """Pieces of TCP, which needs none, could hide its flags from the firewall. In IPv4 the kernel
    puts them together before the firewall sees them.
    """
    for six in (False, True):
        source, target = world.alice.address(six), world.place("closed-tcp", six)
        head = struct.pack("!HHIIBBHHH", 4001, 443, 1, 0, 0x80, packets.SYN, 8192, 0, 0)
        head += b"\1" * 12  # options that mean nothing
        total = packets.checksum(packets._pseudo(source, target, packets.TCP, len(head)) + head)
        segment = head[:16] + struct.pack("!H", total) + head[18:]
        for start, end in ((0, 24), (24, len(segment))):
            piece = packets.ip(
                source,
                target,
                packets.TCP,
                segment[start:end],
                offset=start,
                more=end < len(segment),
                identification=30,
            )
            world.alice.wire.send(piece)
        seen = world.alice.wire.until_echo(source, target)
        answered = [each for each in seen if (each.kind, each.source) == (packets.TCP, target)]
        assert bool(answered) is not six
        # Else the kernel's answer comes again and again, in the tests that follow.
        ports, ended = (4001, 443), packets.RST
        world.alice.wire.send(packets.tcp(source, target, ports=ports, flags=ended, sequence=2))
    world.alice.wire.until_echo(world.alice.address(False), world.place("open-udp", False))
    world.heard.clear()


def test_junk_at_the_gateways_port(world: World) -> None:
    """Messages of every type and size that nobody has sealed."""
    told = ("malformed", "bad_mac1", "unknown_index")
    before = {event: world.count(event) for event in told}
    words = (sys.executable, "-I", "-c", _JUNK, GATEWAY, "300")
    world.lan.run(*words)
    world.alice_got_nothing()
    world.bob_got_nothing()
    world.heard_nothing()
    if world.engine == "own":
        for event, number in before.items():
            wait_for(lambda e=event, n=number: world.count(e) >= n + 50, every=0.1)
