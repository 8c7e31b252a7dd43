from __future__ import annotations

import pytest

from octelium.tunnel.wireguard import ConfigurationError, Device, Limits, PeerConfig, Timing
from octelium.tunnel.wireguard.constants import NEVER
from tests.tunnel.wireguard.worlds import WALL, Host, Pair, flat, key, kinds, net, no_part, packet

LOW_ORDER = bytes(32)


@pytest.mark.parametrize("psk", [None, key("psk")])
def test_packets_of_both_families_go_both_ways(psk: bytes | None) -> None:
    pair = Pair(psk=psk)
    six = packet("fd00::65:1", "fd00::64:7", b"six")
    pair.a.device.send([pair.there(b"one"), six, pair.there(b"two")], pair.now)
    pair.carry()
    assert pair.b.got == [pair.there(b"one"), six, pair.there(b"two")]
    pair.b.device.send([pair.back(bytes(999))], pair.now)
    pair.carry()
    assert pair.a.got == [pair.back(bytes(999))]
    assert kinds(pair.a.sent) == [1, 4, 4, 4]
    assert kinds(pair.b.sent) == [2, 4]
    assert {len(one) % 16 for one in pair.a.sent[1:]} == {0}
    for host in (pair.a, pair.b):
        assert host.device.counters.handshakes == 1


def test_another_preshared_key_makes_no_session() -> None:
    pair = Pair(psk=key("psk"))
    pair.a.device.update_peer(PeerConfig(pair.b.public, preshared_key=bytes(32)), pair.now)
    pair.a.device.send([pair.there()], pair.now)
    pair.carry()
    assert pair.b.got == []
    assert pair.a.device.counters.bad_handshake == 1
    assert pair.a.device.peer(pair.b.public).handshake_at is None


def test_statuses_tell_of_sessions_and_bytes() -> None:
    pair = Pair()
    pair.connect()
    a, b = pair.a.device.peer(pair.b.public), pair.b.device.peer(pair.a.public)
    assert a.handshake_at == b.handshake_at == 1000.0
    assert a.handshake_wall >= WALL
    assert (a.tx_bytes, a.rx_bytes) == (148 + 64, 92) == (b.rx_bytes, b.tx_bytes)
    assert b.endpoint == pair.a.place
    assert len(b.timestamp) == 12
    assert pair.b.device.take_changed() == {pair.a.public}
    assert pair.b.device.take_changed() == set()
    assert pair.a.device.peers() == [a]


def test_a_peer_that_moves_is_followed() -> None:
    pair = Pair()
    pair.connect()
    pair.b.device.take_changed()
    del pair.hosts[pair.a.place]
    pair.a.place = ("192.0.2.7", 40_000)
    pair.hosts[pair.a.place] = pair.a
    pair.a.device.send([pair.there(b"moved")], pair.now)
    pair.carry()
    pair.b.device.send([pair.back(b"found")], pair.now)
    pair.carry()
    assert pair.a.got == [pair.back(b"found")]
    assert pair.b.device.peer(pair.a.public).endpoint == ("192.0.2.7", 40_000)
    assert pair.b.device.take_changed() == {pair.a.public}


def test_a_replay_from_elsewhere_moves_nobody() -> None:
    pair = Pair()
    pair.connect()
    pair.a.device.send([pair.there()], pair.now)
    ((_, datagram),) = flat(pair.a.device.drain())
    assert pair.b.device.receive([(datagram, pair.a.place)], pair.now)
    assert pair.b.device.receive([(datagram, ("198.51.100.1", 1))], pair.now) == []
    assert pair.b.device.peer(pair.a.public).endpoint == pair.a.place
    assert pair.b.device.counters.replay == 1


def test_only_own_source_addresses_come_in() -> None:
    pair = Pair()
    pair.connect()
    forged = packet("100.65.0.2", "100.64.0.1")
    pair.a.device.send([forged, packet("fd00::65:2", "fd00::64:1")], pair.now)
    pair.carry()
    assert pair.b.got == []
    assert pair.b.device.counters.bad_source == 2


def test_an_address_moves_to_the_peer_that_is_given_it() -> None:
    pair = Pair()
    other = Host("other", ("10.9.0.3", 3003))
    pair.connect()
    pair.b.device.add_peer(
        PeerConfig(other.public, endpoint=other.place, allowed_ips=(net("100.65.0.1/32"),)), 0
    )
    assert pair.b.device.peer(pair.a.public).allowed_ips == (net("fd00::65:1/128"),)
    pair.a.device.send([pair.there()], pair.now)
    pair.carry()
    assert pair.b.got == []
    assert pair.b.device.counters.bad_source == 1
    pair.b.device.send([pair.back()], pair.now)
    assert [endpoint for endpoint, _ in flat(pair.b.device.drain())] == [other.place]


def test_packets_without_a_way_are_counted() -> None:
    pair = Pair()
    pair.b.device.send([pair.back(), packet("100.64.0.1", "100.66.0.1"), b"", b"\x45"], pair.now)
    counters = pair.b.device.counters
    assert (counters.no_endpoint, counters.no_route, counters.malformed) == (1, 1, 2)
    assert pair.b.device.drain() == []
    assert pair.b.device.deadline() == NEVER


def test_a_removed_peer_is_gone_at_once() -> None:
    pair = Pair()
    pair.connect()
    pair.a.device.send([pair.there()], pair.now)
    pair.b.device.remove_peer(pair.a.public)
    pair.carry()
    assert pair.b.got == []
    assert pair.b.device.counters.unknown_index == 1
    assert pair.b.device.peers() == []
    pair.b.device.send([pair.back()], pair.now)
    assert pair.b.device.counters.no_route == 1
    pair.a.device.poke(pair.b.public, pair.now)
    pair.wait(200)
    assert pair.b.device.counters.unknown_peer >= 1
    assert len(pair.b.device._state.indices) == 0
    assert pair.b.device.deadline() == NEVER


def test_updates_are_for_peers_that_are_there() -> None:
    pair = Pair()
    stranger = Host("stranger", ("10.9.0.9", 9)).public
    with pytest.raises(ConfigurationError, match="there is none"):
        pair.a.device.update_peer(PeerConfig(stranger), 0)
    with pytest.raises(ConfigurationError, match="there is none"):
        pair.a.device.remove_peer(stranger)
    with pytest.raises(ConfigurationError, match="there is none"):
        pair.a.device.peer(stranger)
    with pytest.raises(ConfigurationError, match="already"):
        pair.a.device.add_peer(PeerConfig(pair.b.public), 0)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (PeerConfig(b"short"), "32 bytes"),
        (PeerConfig(LOW_ORDER), "small order"),
        (PeerConfig(key("x"), preshared_key=b""), "32 bytes"),
        (PeerConfig(key("x"), endpoint=("host.example", 1)), "no IP address"),
        (PeerConfig(key("x"), endpoint=("10.0.0.1", 0)), "port"),
        (PeerConfig(key("x"), persistent_keepalive=65_536), "keepalive"),
        (PeerConfig(key("x"), timestamp=b"x"), "timestamp"),
        (PeerConfig(key("x"), allowed_ips=("10.0.0.0/8",)), "network"),  # type: ignore[arg-type]
    ],
)
def test_bad_settings_change_nothing(wrong: PeerConfig, why: str) -> None:
    pair = Pair()
    before = pair.a.device.peers()
    with pytest.raises(ConfigurationError, match=why):
        pair.a.device.add_peer(wrong, 0)
    with pytest.raises(ConfigurationError, match=why):
        pair.a.device.replace_peers([PeerConfig(key("y")), wrong], 0)
    assert pair.a.device.peers() == before


def test_the_own_key_is_no_peer() -> None:
    pair = Pair()
    with pytest.raises(ConfigurationError, match="own public key"):
        pair.a.device.add_peer(PeerConfig(pair.a.public), 0)
    with pytest.raises(ConfigurationError, match="is a peer's"):
        pair.a.device.set_private_key(key("b"), 0)
    with pytest.raises(ConfigurationError, match="twice"):
        pair.a.device.replace_peers([PeerConfig(key("y")), PeerConfig(key("y"))], 0)


def test_replacing_keeps_the_sessions_of_those_who_stay() -> None:
    pair = Pair()
    pair.connect()
    other = Host("other", ("10.9.0.3", 3003))
    pair.b.device.replace_peers([PeerConfig(pair.a.public), PeerConfig(other.public)], pair.now)
    pair.a.device.send([pair.there(b"still")], pair.now)
    pair.carry()
    assert pair.b.got == [pair.there(b"still")]
    pair.b.device.replace_peers([PeerConfig(other.public)], pair.now)
    assert [peer.public_key for peer in pair.b.device.peers()] == [other.public]


def test_a_restarted_gateway_that_pokes_is_heard_at_once() -> None:
    pair = Pair()
    pair.connect()
    saved = pair.b.device.peer(pair.a.public)
    pair.b = Host("b", pair.b.place, wall=lambda: WALL + 3600 * 10**9)
    pair.hosts[pair.b.place] = pair.b
    pair.b.device.add_peer(
        PeerConfig(
            saved.public_key,
            endpoint=saved.endpoint,
            allowed_ips=saved.allowed_ips,
            timestamp=saved.timestamp,
        ),
        pair.now,
    )
    pair.b.device.poke(pair.a.public, pair.now)
    pair.carry()
    pair.a.device.send([pair.there(b"on")], pair.now)
    pair.carry()
    assert pair.b.got == [pair.there(b"on")]


def test_a_saved_timestamp_refuses_old_initiations_after_a_restart() -> None:
    pair = Pair()
    pair.a.device.send([pair.there()], pair.now)
    ((_, initiation),) = flat(pair.a.device.drain())
    pair.b.device.receive([(initiation, pair.a.place)], pair.now)
    saved = pair.b.device.peer(pair.a.public).timestamp
    again = Host("b", pair.b.place)
    again.device.add_peer(PeerConfig(pair.a.public, timestamp=saved), 0)
    again.device.receive([(initiation, ("198.51.100.1", 1))], 0)
    assert again.device.counters.old_handshake == 1
    assert again.device.peer(pair.a.public).endpoint is None


def test_rotations_under_load_lose_nothing() -> None:
    pair = Pair()
    pair.connect()
    for turn in range(10):
        before = pair.b.public
        pair.b.device.set_private_key(key(("rotated", turn)), pair.now, grace=60.0)
        # Before the peer has heard of it, in the session there is.
        pair.a.device.send([pair.there(bytes(turn))], pair.now)
        pair.b.device.send([pair.back(bytes(turn))], pair.now)
        pair.carry()
        # Packets are on their way while the new handshake is.
        pair.a.device.send([pair.there(b"on the way")], pair.now)
        pair.a.device.change_peer_key(before, pair.b.public, pair.now)
        pair.a.device.send([pair.there(b"meanwhile")], pair.now)
        pair.b.device.send([pair.back(b"meanwhile")], pair.now)
        pair.carry()
        pair.a.device.send([pair.there(b"after")], pair.now)
        pair.b.device.send([pair.back(b"after")], pair.now)
        pair.carry()
        assert pair.b.got == [
            pair.there(bytes(turn)),
            pair.there(b"on the way"),
            pair.there(b"meanwhile"),
            pair.there(b"after"),
        ]
        assert pair.a.got == [pair.back(part) for part in (bytes(turn), b"meanwhile", b"after")]
        assert pair.a.device.peer(pair.b.public).handshake_at == pair.now
        pair.clear()
        pair.now += 1.0


def test_a_former_key_is_taken_for_its_grace_only() -> None:
    pair = Pair()
    old = pair.b.public
    pair.b.device.set_private_key(key("new"), pair.now, grace=30.0)
    pair.connect()
    assert pair.b.public != old
    late = Pair()
    late.b.device.set_private_key(key("new"), late.now, grace=30.0)
    late.now += 30.0
    late.a.device.send([late.there()], late.now)
    late.carry()
    assert late.b.got == []
    assert late.b.device.counters.bad_mac1 == 1


def test_a_gateway_that_rotated_finds_peers_that_know_either_key() -> None:
    for heard in (False, True):
        pair = Pair()
        pair.connect()
        old = pair.b.public
        pair.b.device.set_private_key(key("new"), pair.now, grace=600.0)
        if heard:
            # Its message is lost: the gateway does not see that the peer knows the new key.
            pair.a.device.change_peer_key(old, pair.b.public, pair.now)
            pair.lose()
        pair.now += 200.0
        pair.a.device._state.scheduler.forget(next(iter(pair.a.device._state.peers.values())))
        pair.clear()
        pair.b.device.send([pair.back(b"who knows")], pair.now)
        pair.carry()
        pair.wait(6)
        assert pair.a.got == [pair.back(b"who knows")], heard


def test_change_of_a_peers_key_is_checked() -> None:
    pair = Pair()
    with pytest.raises(ConfigurationError, match="small order"):
        pair.a.device.change_peer_key(pair.b.public, LOW_ORDER, 0)
    with pytest.raises(ConfigurationError, match="there is none"):
        pair.a.device.change_peer_key(key("nobody"), key("x"), 0)
    pair.a.device.add_peer(PeerConfig(key("x")), 0)
    with pytest.raises(ConfigurationError, match="already"):
        pair.a.device.change_peer_key(pair.b.public, key("x"), 0)
    pair.connect()


def test_a_handshake_with_a_former_key_is_given_up() -> None:
    pair = Pair()
    pair.a.device.poke(pair.b.public, pair.now)
    pair.a.device.change_peer_key(pair.b.public, Host("c", ("10.9.0.3", 3)).public, pair.now)
    pair.carry()
    assert pair.a.device.counters.unknown_index == 1
    assert pair.a.device.counters.handshakes == 0
    assert len(pair.a.device._state.indices) == 1


def test_a_clock_that_goes_back_stands_still() -> None:
    pair = Pair()
    pair.connect()
    pair.wait(60)
    pair.now += 5.0
    pair.a.device.tick(pair.now)
    pair.now -= 4.0
    pair.a.device.send([pair.there()], pair.now)
    pair.carry()
    assert pair.b.got == [pair.there()]
    # The patience of 15 seconds is counted from the latest time there was.
    (peer,) = pair.a.device._state.peers.values()
    assert peer.new_handshake_at == 1000.0 + 65.0 + 15.0


def test_a_thousand_idle_peers_cost_nothing() -> None:
    device = Device(key("gateway"), random=no_part)
    clients = {}
    for number in range(1000):
        client = Device(key(number), random=no_part)
        address = net(f"100.65.{number // 250}.{number % 250}/32")
        place = ("10.9.1.1", 10_000 + number)
        device.add_peer(PeerConfig(client.public_key, allowed_ips=(address,)), 0)
        client.add_peer(PeerConfig(device.public_key, endpoint=("10.9.0.2", 1)), 0)
        client.poke(device.public_key, 0)
        clients[place] = client
    now = 0.0
    for _ in range(3):
        for place, client in clients.items():
            device.receive([(one, place) for _, one in flat(client.drain())], now)
        for endpoint, datagram in flat(device.drain()):
            clients[endpoint[0], endpoint[1]].receive([(datagram, ("10.9.0.2", 1))], now)
    assert device.counters.handshakes == 1000 - device.counters.cookies_sent
    assert device.counters.handshakes >= Limits().busy
    # Each peer's keys are dropped once, and then there is nothing to wait for.
    assert device.deadline() == 3 * Timing().reject_after
    device.tick(device.deadline())
    assert len(device._state.indices) == 0
    assert device.deadline() == NEVER
    assert device.drain() == []
