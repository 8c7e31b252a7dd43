"""Section 6, rule by rule, seen from outside: which message goes when."""

from __future__ import annotations

import itertools

from octelium.tunnel.wireguard import PeerConfig
from octelium.tunnel.wireguard.constants import NEVER
from tests.tunnel.wireguard.worlds import Host, Pair, flat, kinds


def run(pair: Pair, seconds: float, *, lost: bool = False) -> list[tuple[float, str, int]]:
    """(seconds, who, message type) of all that is sent of the timers' accord."""
    events: list[tuple[float, str, int]] = []
    begin, end = pair.now, pair.now + seconds
    while (due := min(pair.a.device.deadline(), pair.b.device.deadline())) <= end:
        pair.clear()
        pair.now = max(due, pair.now)
        for host in (pair.a, pair.b):
            host.device.tick(pair.now)
        pair.lose() if lost else pair.carry()
        for name, host in (("a", pair.a), ("b", pair.b)):
            events += [(pair.now - begin, name, kind) for kind in kinds(host.sent)]
    pair.now = end
    return events


def data(pair: Pair, host: Host) -> list[int]:
    pair.clear()
    host.device.send([pair.there() if host is pair.a else pair.back()], pair.now)
    pair.carry()
    return kinds(host.sent)


def test_data_without_an_answer_is_acknowledged_by_a_keepalive() -> None:
    pair = Pair()
    pair.connect()
    assert run(pair, 60) == [(10.0, "b", 0)]


def test_data_with_an_answer_needs_no_keepalive() -> None:
    pair = Pair()
    pair.connect()
    assert data(pair, pair.b) == [4]
    # The answer itself wants to be acknowledged.
    assert run(pair, 60) == [(10.0, "a", 0)]


def test_more_data_meanwhile_makes_another_keepalive() -> None:
    pair = Pair()
    pair.connect()
    run(pair, 5)
    assert data(pair, pair.a) == [4]
    assert run(pair, 60) == [(5.0, "b", 0), (15.0, "b", 0)]


def test_initiations_are_repeated_for_ninety_seconds() -> None:
    pair = Pair()
    pair.a.device.send([pair.there()], pair.now)
    pair.lose()
    events = run(pair, 1000, lost=True)
    assert events == [(5.0 * number, "a", 1) for number in range(1, 19)]
    assert pair.a.device.counters.staged_dropped == 1
    assert pair.a.device.deadline() == NEVER
    assert len(pair.a.device._state.indices) == 0


def test_a_peer_that_falls_silent_is_asked_after_fifteen_seconds() -> None:
    pair = Pair()
    pair.connect()
    run(pair, 20)
    pair.a.device.send([pair.there()], pair.now)
    pair.lose()
    events = run(pair, 40, lost=True)
    assert events[:3] == [(15.0, "a", 1), (20.0, "a", 1), (25.0, "a", 1)]


def test_the_initiator_renews_a_session_in_use_after_two_minutes() -> None:
    pair = Pair()
    pair.connect()
    run(pair, 119)
    assert data(pair, pair.a) == [4]
    pair.now += 1.0
    assert data(pair, pair.b) == [4]
    assert data(pair, pair.a) == [4, 1, 0]
    assert pair.a.device.peer(pair.b.public).handshake_at == pair.now


def test_the_initiator_renews_on_receipt_shortly_before_the_end() -> None:
    pair = Pair()
    pair.connect()
    run(pair, 164)
    assert data(pair, pair.b) == [4]
    assert kinds(pair.a.sent) == []
    pair.now += 1.0
    data(pair, pair.b)
    assert kinds(pair.a.sent) == [1, 0]
    data(pair, pair.b)
    assert kinds(pair.a.sent) == []
    # And so on with the next session.
    run(pair, 165)
    data(pair, pair.b)
    assert kinds(pair.a.sent) == [1, 0]


def test_a_session_gives_the_next_attempts_their_ninety_seconds() -> None:
    pair = Pair()
    pair.a.device.send([pair.there()], pair.now)
    pair.lose()
    run(pair, 80, lost=True)
    run(pair, 10)
    assert pair.b.device.counters.handshakes == 1
    (peer,) = pair.a.device._state.peers.values()
    assert (peer.attempts, peer.tries) == (0, 0)
    run(pair, 15)
    pair.now += 180
    pair.a.device.poke(pair.b.public, pair.now)
    pair.lose()
    assert len(run(pair, 1000, lost=True)) == 18


def test_a_session_ends_after_three_minutes_for_both() -> None:
    pair = Pair()
    pair.connect()
    pair.a.device.send([pair.there(b"late")], pair.now)
    ((_, datagram),) = flat(pair.a.device.drain())
    run(pair, 180)
    assert pair.b.device.receive([(datagram, pair.a.place)], pair.now) == []
    assert pair.b.device.counters.expired == 1
    assert data(pair, pair.b) == [1, 4]


def test_a_messages_limit_renews_and_ends_a_session() -> None:
    pair = Pair()
    pair.connect()
    keypair = next(iter(pair.a.device._state.indices.keypairs.values()))
    keypair.counter = 2**60
    pair.now += 6.0
    assert data(pair, pair.a) == [4, 1, 0]
    keypair = max(pair.a.device._state.indices.keypairs.values(), key=lambda one: one.dies)
    keypair.counter = 2**64 - 2**13 - 1
    pair.now += 6.0
    assert data(pair, pair.a) == [1, 4]
    assert pair.b.got == [pair.there()]


def test_keys_of_a_peer_without_sessions_are_dropped() -> None:
    pair = Pair()
    pair.connect()
    run(pair, 539)
    assert len(pair.a.device._state.indices) == len(pair.b.device._state.indices) == 1
    run(pair, 1)
    assert len(pair.a.device._state.indices) == len(pair.b.device._state.indices) == 0
    assert pair.a.device.deadline() == pair.b.device.deadline() == NEVER


def test_persistent_keepalives_hold_the_way_open_and_the_session_new() -> None:
    pair = Pair(keepalive=25)
    pair.carry()
    assert kinds(pair.a.sent) == [1, 0]
    events = run(pair, 1000)
    mine = [time for time, who, kind in events if who == "a"]
    assert max(later - time for time, later in itertools.pairwise(mine)) <= 25.0
    renewed = [time for time, who, kind in events if (who, kind) == ("a", 1)]
    assert renewed == [125.0 * number for number in range(1, 9)]
    # The peer answers handshakes only.
    assert {kind for _, who, kind in events if who == "b"} == {2}


def test_traffic_puts_the_persistent_keepalive_off() -> None:
    pair = Pair(keepalive=25)
    pair.carry()
    run(pair, 20)
    data(pair, pair.a)
    # What comes counts as well: the peer's acknowledgement after ten seconds.
    assert run(pair, 36) == [(10.0, "b", 0), (35.0, "a", 0)]


def test_a_persistent_keepalive_can_be_changed() -> None:
    pair = Pair(keepalive=25)
    pair.carry()
    pair.a.device.update_peer(PeerConfig(pair.b.public, persistent_keepalive=0), pair.now)
    assert [one for one in run(pair, 1000) if one[2] != 0] == []
    pair.a.device.update_peer(PeerConfig(pair.b.public, persistent_keepalive=7), pair.now)
    pair.carry()
    assert [time for time, who, kind in run(pair, 20) if (who, kind) == ("a", 0)] == [7.0, 14.0]


def test_initiations_keep_their_distance() -> None:
    pair = Pair()
    for _ in range(100):
        pair.a.device.send([pair.there()] * 3, pair.now)
        pair.now += 0.1
    assert kinds([one for _, one in flat(pair.a.device.drain())]) == [1, 1]


def test_a_responder_whose_answer_is_lost_asks_itself_for_what_waits() -> None:
    pair = Pair()
    pair.a.device.poke(pair.b.public, pair.now)
    ((_, initiation),) = flat(pair.a.device.drain())
    pair.b.device.receive([(initiation, pair.a.place)], pair.now)
    pair.b.device.send([pair.back(b"waits")], pair.now)
    pair.lose()
    # The one who began has given up meanwhile.
    pair.a.device._timers.stop(pair.a.device._state.peers[pair.b.public])
    run(pair, 5)
    assert pair.a.got == [pair.back(b"waits")]


def test_a_removed_peer_has_no_timers() -> None:
    pair = Pair(keepalive=25)
    pair.a.device.remove_peer(pair.b.public)
    assert pair.a.device.deadline() == NEVER
