from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from octelium.tunnel.wireguard import Device, Endpoint, PeerConfig
from octelium.tunnel.wireguard.constants import MAX_STAGED
from tests.conftest import SOAK
from tests.tunnel.wireguard.worlds import Host, Pair, flat, key, kinds, no_part, packet


def sealed(pair: Pair, inner: bytes) -> list[bytes]:
    """What `b` makes of a data message of `a` that holds `inner`."""
    keypair = max(pair.a.device._state.indices.keypairs.values(), key=lambda one: one.dies)
    counter = keypair.counter
    keypair.counter += 1
    body = keypair.sending()(bytes(4) + counter.to_bytes(8, "little"), inner, None)
    head = b"\4\0\0\0" + keypair.remote.to_bytes(4, "little") + counter.to_bytes(8, "little")
    return pair.b.device.receive([(head + body, pair.a.place)], pair.now)


def test_padding_is_cut_off_again() -> None:
    pair = Pair()
    pair.connect()
    for size in range(40):
        inner = pair.there(bytes(size))
        pair.a.device.send([inner], pair.now)
        ((_, datagram),) = flat(pair.a.device.drain())
        assert len(datagram) % 16 == 0
        assert pair.b.device.receive([(datagram, pair.a.place)], pair.now) == [inner]


def test_padding_stays_within_the_mtu() -> None:
    device = Device(key("m"), mtu=1275, random=no_part)
    pair = Pair()
    pair.b.device.add_peer(PeerConfig(device.public_key), pair.now)
    device.add_peer(PeerConfig(pair.b.public, endpoint=pair.b.place), pair.now)
    device.update_peer(
        PeerConfig(pair.b.public, allowed_ips=pair.a.device.peer(pair.b.public).allowed_ips), 0
    )
    device.poke(pair.b.public, pair.now)
    place = ("10.9.0.7", 7)
    pair.b.device.receive([(one, place) for _, one in flat(device.drain())], pair.now)
    device.receive([(one, pair.b.place) for _, one in flat(pair.b.device.drain())], pair.now)
    device.drain()
    for size, wanted in ((1264, 1264), (1265, 1275), (1275, 1275), (1281, 1281)):
        device.send([pair.there(bytes(size - 20))], pair.now)
        ((_, datagram),) = flat(device.drain())
        assert len(datagram) - 32 == wanted


def test_views_are_as_good_as_bytes() -> None:
    pair = Pair()
    pair.connect()
    inner = bytearray(pair.there(b"view"))
    pair.a.device.send([memoryview(inner)], pair.now)
    ((_, datagram),) = flat(pair.a.device.drain())
    view = memoryview(bytearray(datagram))
    assert pair.b.device.receive([(view, pair.a.place)], pair.now) == [bytes(inner)]


def test_staged_views_are_copied() -> None:
    pair = Pair()
    buffer = bytearray(pair.there(b"first"))
    pair.a.device.send([memoryview(buffer)], pair.now)
    buffer[-5:] = b"other"
    pair.carry()
    assert pair.b.got == [pair.there(b"first")]


def test_staged_packets_are_few_and_the_newest() -> None:
    pair = Pair()
    pair.a.device.send([pair.there(b"%d" % one) for one in range(MAX_STAGED + 10)], pair.now)
    pair.carry()
    assert pair.b.got == [pair.there(b"%d" % one) for one in range(10, MAX_STAGED + 10)]


def test_what_waited_goes_to_where_the_session_was_confirmed_from() -> None:
    pair = Pair()
    pair.a.device.poke(pair.b.public, pair.now)
    ((_, first),) = flat(pair.a.device.drain())
    pair.b.device.receive([(first, pair.a.place)], pair.now)
    pair.b.device.send([pair.back(b"waits")], pair.now)
    ((_, answer),) = flat(pair.b.device.drain())
    pair.a.device.receive([(answer, pair.b.place)], pair.now)
    ((_, confirmation),) = flat(pair.a.device.drain())
    elsewhere = ("192.0.2.7", 7)
    pair.b.device.receive([(confirmation, elsewhere)], pair.now)
    ((place, _),) = flat(pair.b.device.drain())
    assert place == elsewhere
    # An answer to what was sent is awaited.
    (peer,) = pair.b.device._state.peers.values()
    assert peer.new_handshake_at == pair.now + 15


def test_a_session_is_confirmed_even_if_what_waited_goes_elsewhere() -> None:
    pair = Pair()
    pair.a.device.send([pair.there()], pair.now)
    pair.a.device.update_peer(PeerConfig(pair.b.public, allowed_ips=()), pair.now)
    pair.carry()
    assert kinds(pair.a.sent) == [1, 0]
    assert pair.b.device.counters.keepalives_received == 1


@given(st.binary(max_size=60))
def test_what_is_inside_is_checked(inner: bytes) -> None:
    pair = Pair()
    pair.connect()
    for got in sealed(pair, inner):
        assert inner.startswith(got)
        assert got[12:16] == bytes([100, 65, 0, 1])
        assert int.from_bytes(got[2:4], "big") == len(got)


def test_bad_lengths_inside_are_counted() -> None:
    pair = Pair()
    pair.connect()
    good = pair.there(b"body")
    six = packet("fd00::65:1", "fd00::64:1", b"body")
    assert sealed(pair, good + bytes(8)) == [good]
    assert sealed(pair, six + bytes(4)) == [six]
    for wrong in (
        good[:-1],
        six[:-1],
        good[:2] + b"\0\x13" + good[4:],
        good[:19],
        six[:39],
        b"\x55" + good[1:],
        b"\0",
    ):
        assert sealed(pair, wrong) == []
    assert pair.b.device.counters.malformed == 7
    assert pair.b.device.counters.bad_source == 0


@given(st.integers(0, 79), st.integers(1, 255))
def test_a_changed_message_is_dropped(place: int, change: int) -> None:
    pair = Pair()
    pair.connect()
    pair.a.device.send([pair.there(bytes(20))], pair.now)
    ((_, datagram),) = flat(pair.a.device.drain())
    changed = bytearray(datagram)
    changed[place] ^= change
    assert pair.b.device.receive([(bytes(changed), ("198.51.100.1", 1))], pair.now) == []
    assert pair.b.device.peer(pair.a.public).endpoint == pair.a.place
    assert pair.b.device.receive([(datagram, pair.a.place)], pair.now) == [pair.there(bytes(20))]


TURNS = 8
"""Each of 6 s: in them the keepalive and rekey timeouts pass twice (section 6.5)."""


class Network(RuleBasedStateMachine):
    """Two devices, and a network that does to their datagrams whatever networks do."""

    def __init__(self) -> None:
        super().__init__()
        self.pair = Pair()
        self.hosts = (self.pair.a, self.pair.b)
        self.flying: list[tuple[Host, bytes, Host]] = []
        self.past: list[tuple[Host, bytes, Host]] = []
        self.number = 0
        self.sent: set[bytes] = set()
        self.got: set[bytes] = set()
        self.moves = 0

    def collect(self) -> None:
        for host, other in (self.hosts, self.hosts[::-1]):
            for endpoint, datagram in flat(host.device.drain()):
                if endpoint == other.place:
                    self.flying.append((other, datagram, host))

    def deliver(self, flight: tuple[Host, bytes, Host]) -> None:
        host, datagram, sender = flight
        for inner in host.device.receive([(datagram, sender.place)], self.pair.now):
            assert inner in self.sent, "made up"
            assert inner not in self.got, "delivered twice"
            self.got.add(inner)
        self.collect()

    @rule(side=st.integers(0, 1), count=st.integers(1, 5), size=st.integers(0, 40))
    def send(self, side: int, count: int, size: int) -> None:
        packets = []
        for _ in range(count):
            self.number += 1
            body = b"%08d" % self.number + bytes(size)
            packets.append(self.pair.back(body) if side else self.pair.there(body))
        self.sent.update(packets)
        self.hosts[side].device.send(packets, self.pair.now)
        self.collect()

    @rule(side=st.integers(0, 1))
    def forge(self, side: int) -> None:
        source = "100.65.0.9" if side == 0 else "100.66.0.1"
        target = "100.64.0.1" if side == 0 else "100.65.0.1"
        self.hosts[side].device.send([packet(source, target, b"forged")], self.pair.now)
        self.collect()

    @precondition(lambda self: self.flying)
    @rule(
        which=st.integers(0, 1000), fate=st.sampled_from(["come", "come", "come", "twice", "lost"])
    )
    def fly(self, which: int, fate: str) -> None:
        flight = self.flying.pop(which % len(self.flying))
        self.past = [*self.past[-50:], flight]
        if fate != "lost":
            self.deliver(flight)
        if fate == "twice":
            self.deliver(flight)

    @rule()
    def calm(self) -> None:
        for _ in range(len(self.flying)):
            self.deliver(self.flying.pop(0))

    @precondition(lambda self: self.past)
    @rule(which=st.integers(0, 1000), port=st.integers(1, 9))
    def replay(self, which: int, port: int) -> None:
        host, datagram, sender = self.past[which % len(self.past)]
        # Who can hold a message back may also tell the client another place of the gateway, and
        # nobody would put that right (section 2.1); so only the gateway hears from elsewhere.
        source: Endpoint = ("198.51.100.1", port) if host is self.pair.b else sender.place
        for inner in host.device.receive([(datagram, source)], self.pair.now):
            # What was lost may come by another way; then it came for the first time.
            assert inner in self.sent
            assert inner not in self.got
            self.got.add(inner)
        self.collect()

    @rule(seconds=st.sampled_from([0.01, 1.0, 5.0, 11.0, 16.0, 121.0, 181.0, 600.0]))
    def pass_time(self, seconds: float) -> None:
        end = self.pair.now + seconds
        for _ in range(2000):
            due = min(host.device.deadline() for host in self.hosts)
            if due > end:
                break
            self.pair.now = max(self.pair.now, due)
            for host in self.hosts:
                host.device.tick(self.pair.now)
            self.collect()
        else:
            raise AssertionError("timers run in a circle")
        self.pair.now = end

    @rule(seconds=st.floats(0, 1000))
    def sleep(self, seconds: float) -> None:
        """The machine is suspended: no timer runs meanwhile."""
        self.pair.now += seconds
        for host in self.hosts:
            host.device.tick(self.pair.now)
        self.collect()

    @rule()
    def roam(self) -> None:
        self.moves += 1
        self.pair.a.place = ("10.9.1.1", 1000 + self.moves)

    @rule()
    def rotate(self) -> None:
        before = self.pair.b.public
        self.pair.b.device.set_private_key(
            key(("r", self.number, self.moves)), self.pair.now, grace=1e9
        )
        self.pair.a.device.change_peer_key(before, self.pair.b.public, self.pair.now)
        self.collect()

    @invariant()
    def memory_is_bounded(self) -> None:
        for host in self.hosts:
            state = host.device._state
            assert len(state.indices) <= 4
            assert len(state.scheduler) <= 64 + 5
            (peer,) = state.peers.values()
            assert len(peer.staged) <= MAX_STAGED
            assert state.staged_bytes == sum(map(len, peer.staged))

    def teardown(self) -> None:
        """However bad it was: once datagrams come again, so do packets, both ways."""
        self.flying.clear()
        # What replays may have told of our place is put right by the client's next message. Who
        # sends in a session that the other one has dropped begins anew after 15 s of silence.
        for turn in range(TURNS):
            self.pass_time(6.0)
            self.pair.a.device.send([self.pair.there(b"%d" % turn)], self.pair.now)
            self.sent.add(self.pair.there(b"%d" % turn))
            self.collect()
            for _ in range(100):
                if self.flying:
                    self.deliver(self.flying.pop(0))
        last = self.pair.back(b"recovered")
        self.sent.add(last)
        self.pair.b.device.send([last], self.pair.now)
        self.collect()
        while self.flying:
            self.deliver(self.flying.pop(0))
        assert last in self.got
        assert self.pair.there(b"%d" % (TURNS - 1)) in self.got
        for inner in self.got:
            assert b"forged" not in inner


def test_who_sends_in_a_session_that_was_dropped_begins_anew() -> None:
    """Handshakes crossed, so that each side sends in the session that it began; they cross again,
    by which each drops the other's, and the answers are lost.
    """
    network = Network()
    network.forge(side=0)
    network.calm()
    network.pass_time(seconds=5.0)
    network.send(count=1, side=1, size=0)
    network.calm()
    network.calm()
    network.pass_time(seconds=16.0)
    network.calm()
    before = network.pair.b.device.counters.unknown_index
    network.teardown()
    assert network.pair.b.device.counters.unknown_index > before


TestNetwork: Any = Network.TestCase
TestNetwork.settings = settings(
    max_examples=1000 if SOAK else 30,
    stateful_step_count=100 if SOAK else 40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
