from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from octelium.tunnel.wireguard import Device, Endpoint, Limits, PeerConfig
from octelium.tunnel.wireguard.constants import INITIATIONS_AT_ONCE, MAX_INITIATIONS
from octelium.tunnel.wireguard.cookies import sign
from octelium.tunnel.wireguard.identity import Identity
from octelium.tunnel.wireguard.messages import CookieReply
from octelium.tunnel.wireguard.noise import Initiator
from octelium.tunnel.wireguard.peer import Peer
from octelium.tunnel.wireguard.primitives import tai64n
from tests.tunnel.wireguard.worlds import WALL, Host, Pair, flat, key, kinds

ELSEWHERE: Endpoint = ("198.51.100.1", 99)


def initiation(pair: Pair, name: str = "a", time: int = WALL) -> bytes:
    """An initiation to `b`, made with the key of `name`."""
    handshake = Initiator(Identity(key(name)), pair.b.public, 5)
    return sign(Peer(pair.b.public), handshake.initiate(tai64n(time)), 0.0)


def tell(pair: Pair, message: bytes, source: Endpoint = ELSEWHERE) -> list[bytes]:
    """What `b` answers."""
    pair.b.device.receive([(message, source)], pair.now)
    return [datagram for _, datagram in flat(pair.b.device.drain())]


def test_strangers_get_no_answer_and_no_memory() -> None:
    pair = Pair()
    for number in range(50):
        assert tell(pair, initiation(pair, f"stranger {number}")) == []
    assert pair.b.device.counters.unknown_peer == 50
    assert len(pair.b.device._state.indices) == 0
    present = pair.b.device._state.identities.present
    assert present._shared == {}


def test_a_timestamp_is_taken_once_and_only_upwards() -> None:
    pair = Pair()
    now = initiation(pair)
    assert kinds(tell(pair, now)) == [2]
    pair.now += 1
    for late in (now, initiation(pair), initiation(pair, time=WALL - 10**9)):
        assert tell(pair, late, ("203.0.113.1", 1)) == []
    assert pair.b.device.counters.old_handshake == 3
    assert pair.b.device.peer(pair.a.public).endpoint == ELSEWHERE
    assert kinds(tell(pair, initiation(pair, time=WALL + 10**9))) == [2]


def test_a_peers_initiations_have_a_pace() -> None:
    pair = Pair()
    answers = [tell(pair, initiation(pair, time=WALL + 10**9 * one)) for one in range(10)]
    assert [len(one) for one in answers] == [1] + [0] * 9
    pair.now += 0.021
    assert len(tell(pair, initiation(pair, time=WALL + 10**12))) == 1
    # However many there were, one session waits to be confirmed.
    assert len(pair.b.device._state.indices) == 1


def test_unconfirmed_sessions_are_not_sent_with() -> None:
    pair = Pair()
    tell(pair, initiation(pair))
    pair.b.device.send([pair.back()], pair.now)
    assert 4 not in kinds([one for _, one in flat(pair.b.device.drain())])


@given(st.integers(0, 147), st.integers(1, 255))
def test_a_changed_initiation_changes_nothing(place: int, change: int) -> None:
    pair = Pair()
    message = bytearray(initiation(pair))
    message[place] ^= change
    # mac2 is not looked at without load.
    wanted = 1 if place >= 132 else 0
    assert len(tell(pair, bytes(message))) == wanted
    assert (pair.b.device.peer(pair.a.public).endpoint is None) is not wanted


@given(st.binary(min_size=0, max_size=200), st.integers(0, 5), st.booleans())
def test_noise_raises_nothing(noise: bytes, kind: int, signed: bool) -> None:
    pair = Pair(limits=Limits(busy=2))
    message = bytes([kind, 0, 0, 0]) + noise
    if signed and kind in (1, 2):
        body = message.ljust({1: 116, 2: 60}[kind], b"\x55")[: {1: 116, 2: 60}[kind]]
        message = sign(Peer(pair.b.public), body, 0.0)
    for _ in range(4):
        tell(pair, message)
    assert pair.b.device.peer(pair.a.public).endpoint is None
    assert pair.b.got == []
    assert len(pair.b.device._state.indices) == 0


def test_every_initiation_has_an_index_of_its_own() -> None:
    pair = Pair()
    indices = set()
    for _ in range(5):
        pair.a.device.poke(pair.b.public, pair.now)
        ((_, message),) = flat(pair.a.device.drain())
        indices.add(message[4:8])
        pair.now += 5
    assert len(indices) == 5
    assert len(pair.a.device._state.indices) == 1


def test_only_the_last_initiation_is_answered() -> None:
    pair = Pair()
    pair.a.device.poke(pair.b.public, pair.now)
    ((_, first),) = flat(pair.a.device.drain())
    pair.now += 5
    pair.a.device.poke(pair.b.public, pair.now)
    pair.a.device.drain()
    (answer,) = tell(pair, first, pair.a.place)
    pair.a.device.receive([(answer, pair.b.place)], pair.now)
    assert pair.a.device.counters.unknown_index == 1
    assert pair.a.device.drain() == []


def test_a_response_needs_its_mac1() -> None:
    pair = Pair()
    pair.a.device.poke(pair.b.public, pair.now)
    ((_, first),) = flat(pair.a.device.drain())
    (answer,) = tell(pair, first, pair.a.place)
    forged = answer[:60] + bytes(32)
    pair.a.device.receive([(forged, pair.b.place)], pair.now)
    assert pair.a.device.counters.bad_mac1 == 1
    assert pair.a.device.counters.handshakes == 0
    pair.a.device.receive([(answer, pair.b.place)], pair.now)
    assert pair.a.device.counters.handshakes == 1


def test_a_response_is_taken_once() -> None:
    pair = Pair()
    pair.a.device.poke(pair.b.public, pair.now)
    ((_, first),) = flat(pair.a.device.drain())
    (answer,) = tell(pair, first, pair.a.place)
    pair.a.device.receive([(answer, pair.b.place)] * 3, pair.now)
    assert pair.a.device.counters.handshakes == 1
    assert pair.a.device.counters.unknown_index == 2


def test_handshakes_that_cross_end_in_sessions() -> None:
    pair = Pair()
    pair.b.device.update_peer(PeerConfig(pair.a.public, endpoint=pair.a.place), pair.now)
    pair.a.device.send([pair.there(b"1")], pair.now)
    pair.b.device.send([pair.back(b"2")], pair.now)
    first = [flat(host.device.drain()) for host in (pair.a, pair.b)]
    for (_, message), host, source in (
        (first[0][0], pair.b, pair.a.place),
        (first[1][0], pair.a, pair.b.place),
    ):
        host.device.receive([(message, source)], pair.now)
    pair.carry()
    pair.a.device.send([pair.there(b"3")], pair.now)
    pair.b.device.send([pair.back(b"4")], pair.now)
    pair.carry()
    assert pair.b.got == [pair.there(b"1"), pair.there(b"3")]
    assert pair.a.got == [pair.back(b"2"), pair.back(b"4")]


def test_under_load_a_client_comes_through_with_a_cookie() -> None:
    pair = Pair(limits=Limits(busy=1))
    stranger = initiation(pair, "stranger")
    for _ in range(5):
        tell(pair, stranger)
    pair.clear()
    pair.a.device.send([pair.there(b"waits")], pair.now)
    pair.carry()
    assert kinds(pair.b.sent) == [3]
    assert pair.a.device.counters.cookies_received == 1
    # Section 5.3: the next initiation comes when it would have come anyway.
    pair.now += 5.0
    for _ in range(5):
        tell(pair, stranger)
    pair.a.device.tick(pair.now)
    pair.carry()
    assert kinds(pair.a.sent) == [1, 1, 4]
    assert pair.b.got == [pair.there(b"waits")]


def test_cookies_nobody_asked_for_change_nothing() -> None:
    pair = Pair()
    pair.a.device.poke(pair.b.public, pair.now)
    ((_, message),) = flat(pair.a.device.drain())
    index = int.from_bytes(message[4:8], "little")
    forged = [
        CookieReply(index, bytes(24), bytes(32)),
        CookieReply(index ^ 1, b"n" * 24, b"c" * 32),
    ]
    pair.a.device.receive([(one.pack(), pair.b.place) for one in forged], pair.now)
    counters = pair.a.device.counters
    assert (counters.bad_cookie, counters.unknown_index) == (1, 1)
    pair.now += 5
    pair.a.device.poke(pair.b.public, pair.now)
    ((_, message),) = flat(pair.a.device.drain())
    assert message[-16:] == bytes(16)


def test_a_rotated_key_answers_for_the_former_one() -> None:
    pair = Pair()
    message = initiation(pair)
    pair.b.device.set_private_key(key("new"), pair.now, grace=10)
    assert kinds(tell(pair, message)) == [2]
    assert kinds(tell(pair, initiation(pair, "b"))) == []
    other = Host("x", ELSEWHERE)
    assert pair.b.device.counters.unknown_peer == 1
    assert other.public not in {one.public_key for one in pair.b.device.peers()}


def started_anew(grace: float) -> tuple[Pair, Device]:
    """`b` with a new key begins; `a`, whom it pokes, knows the former one, in force for `grace`."""
    pair = Pair()
    device = pair.b.device
    device.set_private_key(key("new"), pair.now, grace=grace)
    device.update_peer(PeerConfig(pair.a.public, endpoint=pair.a.place), pair.now)
    device.poke(pair.a.public, pair.now)
    return pair, device


def test_after_a_start_a_peer_is_found_that_has_not_heard_of_the_new_key() -> None:
    pair, device = started_anew(grace=60)
    pair.carry()
    assert (pair.a.device.counters.unknown_peer, device.counters.handshakes) == (1, 0)
    pair.wait(5)
    assert (pair.a.device.counters.unknown_peer, device.counters.handshakes) == (1, 1)


def test_after_a_start_a_peer_is_asked_by_keys_in_force_alone() -> None:
    pair, device = started_anew(grace=4)
    pair.wait(60)
    assert pair.a.device.counters.unknown_peer > 2
    assert device.counters.handshakes == 0


def test_a_few_initiations_are_opened_in_a_turn_and_packets_pass_all_the_same() -> None:
    pair = Pair(limits=Limits(busy=10_000))
    pair.a.device.send([pair.there()], pair.now)
    pair.carry()
    device, names = pair.b.device, [f"peer {number}" for number in range(10)]
    for name in names:
        device.add_peer(PeerConfig(Identity(key(name)).public), pair.now)
    pair.a.device.send([pair.there()], pair.now)
    ((_, packet),) = flat(pair.a.device.drain())
    crowd = [(initiation(pair, name), (f"198.51.100.{at}", 9)) for at, name in enumerate(names)]
    assert device.receive([*crowd, (packet, pair.a.place)], pair.now) == [pair.there()]
    counts = [len(flat(device.drain()))]
    while device.deadline() < 0:
        device.tick(pair.now)
        counts.append(len(flat(device.drain())))
    assert counts == [INITIATIONS_AT_ONCE, 4, 2]
    assert pair.now < device.deadline()


def test_so_many_initiations_wait_and_no_more() -> None:
    pair = Pair(limits=Limits(busy=10_000))
    crowd = [(initiation(pair), ELSEWHERE)] * (INITIATIONS_AT_ONCE + MAX_INITIATIONS + 3)
    pair.b.device.receive(crowd, pair.now)
    assert pair.b.device.counters.overload == 3
    turns = 0
    while pair.b.device.deadline() < 0:
        pair.b.device.tick(pair.now)
        turns += 1
    assert turns == MAX_INITIATIONS / INITIATIONS_AT_ONCE
    assert pair.b.device.counters.old_handshake == len(crowd) - 3 - 1
