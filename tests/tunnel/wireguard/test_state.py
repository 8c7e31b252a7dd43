from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.tunnel.wireguard import state as module
from octelium.tunnel.wireguard.constants import MAX_STAGED, Timing
from octelium.tunnel.wireguard.identity import Identity
from octelium.tunnel.wireguard.load import Limits
from octelium.tunnel.wireguard.peer import Peer
from octelium.tunnel.wireguard.state import State, random_part
from tests.tunnel.wireguard.worlds import WALL, key

if TYPE_CHECKING:
    import pytest


def state(wall: list[int] | None = None) -> State:
    times = iter(wall or [])
    return State(
        Identity(key("me")),
        timing=Timing(),
        limits=Limits(),
        gauge=None,
        wall=lambda: next(times),
    )


def test_labels_grow_even_if_the_wall_clock_goes_back() -> None:
    shared = state([WALL, WALL, WALL - 10**12, WALL + 1, WALL + 10**9])
    labels = [shared.label() for _ in range(5)]
    assert labels == sorted(set(labels))


def test_the_oldest_staged_packets_give_way() -> None:
    shared, peer = state(), Peer(key("peer"))
    for number in range(MAX_STAGED + 5):
        shared.stage(peer, b"%d" % number)
    assert shared.counters.staged_dropped == 5
    packets = shared.take_staged(peer)
    assert (packets[0], len(packets)) == (b"5", MAX_STAGED)
    assert shared.staged_bytes == 0
    assert shared.take_staged(peer) == []


def test_all_peers_share_a_bound_of_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_STAGED_BYTES", 10_000)
    shared, peers = state(), [Peer(key(number)) for number in range(50)]
    for peer in peers:
        for _ in range(4):
            shared.stage(peer, bytes(1000))
            assert shared.staged_bytes <= 10_000
    assert sum(len(packet) for peer in peers for packet in peer.staged) == shared.staged_bytes
    for peer in peers:
        shared.drop_staged(peer)
    assert shared.staged_bytes == 0
    assert shared.counters.staged_dropped == 200


def test_nothing_goes_to_nowhere() -> None:
    shared, peer = state(), Peer(key("peer"))
    assert not shared.emit(peer, b"x")
    assert shared.counters.no_endpoint == 1
    shared.roam(peer, ("10.0.0.1", 1))
    assert shared.changed == {peer.public}
    assert shared.emit(peer, b"xy")
    assert peer.tx_bytes == 2
    assert shared.outbox.drain() == [(("10.0.0.1", 1), [b"xy"])]
    shared.changed.clear()
    shared.roam(peer, ("10.0.0.1", 1))
    assert shared.changed == set()


def test_random_parts_are_within_their_size() -> None:
    parts = [random_part(0.333) for _ in range(200)]
    assert 0 <= min(parts) < max(parts) < 0.333
