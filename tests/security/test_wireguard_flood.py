"""Row 15: what strangers can make a WireGuard device spend before they have shown who they are."""

from __future__ import annotations

import os
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from octelium.tunnel.wireguard import Limits, device, identity, noise
from octelium.tunnel.wireguard.cookies import accept_cookie, sign
from octelium.tunnel.wireguard.identity import Identity
from octelium.tunnel.wireguard.messages import CookieReply
from octelium.tunnel.wireguard.noise import Initiator
from octelium.tunnel.wireguard.peer import Peer
from octelium.tunnel.wireguard.primitives import exchange, tai64n
from tests.tunnel.wireguard.worlds import WALL, Pair, flat, key, kinds, open_all

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    from octelium.tunnel.wireguard import Endpoint

RATE = 2000
"""Handshake messages a second."""


def from_where(number: int) -> Endpoint:
    return (f"198.18.{number >> 8 & 255}.{number & 255}", 1024 + number)


@pytest.fixture(scope="module")
def strangers() -> list[bytes]:
    """Initiations of strangers who know the public key of `b`: the dearest there are."""
    public = Pair().b.public
    made = []
    for number in range(500):
        handshake = Initiator(Identity(key(("stranger", number))), public, number)
        made.append(sign(Peer(public), handshake.initiate(tai64n(WALL)), 0.0))
    return made


def press(pair: Pair, strangers: list[bytes], *, seconds: float) -> list[tuple[Endpoint, bytes]]:
    """A flood from forged sources, a tenth of a second at a time; what is answered."""
    answers: list[tuple[Endpoint, bytes]] = []
    number = 0
    for _ in range(round(seconds * 10)):
        pair.now += 0.1
        batch = []
        for _ in range(RATE // 10):
            number += 1
            batch.append((strangers[number % len(strangers)], from_where(number)))
        assert pair.b.device.receive(batch, pair.now) == []
        open_all(pair.b, pair.now)
        answers += flat(pair.b.device.drain())
    return answers


def test_a_flood_of_forged_sources_is_asked_for_cookies(strangers: list[bytes]) -> None:
    pair = Pair()
    pair.connect()
    tracemalloc.start()
    try:
        press(pair, strangers, seconds=1)
        before, _ = tracemalloc.get_traced_memory()
        answers = press(pair, strangers, seconds=2)
        count = len(answers)
        assert set(kinds([one for _, one in answers])) == {3}
        answers.clear()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # None was opened: all of them got a cookie reply that is smaller than what they sent.
    assert count == 2 * RATE
    assert after - before < 100_000
    assert len(pair.b.device._state.indices) == 1
    assert len(pair.b.device._state.admission.sources) == 0


def test_a_cookie_saves_what_is_dear(
    strangers: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is dear is X25519: one for each handshake of a stranger, none for a cookie."""
    exchanges = 0

    def counted(private: X25519PrivateKey, public: bytes) -> bytes:
        nonlocal exchanges
        exchanges += 1
        return exchange(private, public)

    under_load, at_leisure = Pair(), Pair(limits=Limits(busy=10_000))
    for module in (device, identity, noise):
        monkeypatch.setattr(module, "exchange", counted)
    press(at_leisure, strangers, seconds=0.1)
    assert at_leisure.b.device.counters.unknown_peer == exchanges == RATE // 10
    press(under_load, strangers, seconds=1)
    exchanges = 0
    press(under_load, strangers, seconds=1)
    assert exchanges == 0


def test_peers_go_on_and_new_ones_come_through(strangers: list[bytes]) -> None:
    pair = Pair()
    pair.connect()
    press(pair, strangers, seconds=1)
    pair.a.device.send([pair.there(b"on")], pair.now)
    pair.carry()
    assert pair.b.got == [pair.there(b"on")]
    # Its session ends while the flood goes on: the next one takes a cookie and five seconds more.
    pair.now += 200
    press(pair, strangers, seconds=1)
    pair.clear()
    pair.a.device.send([pair.there(b"again")], pair.now)
    pair.carry()
    assert kinds(pair.b.sent) == [3]
    press(pair, strangers, seconds=5.5)
    pair.a.device.tick(pair.now)
    pair.carry()
    assert pair.b.got == [pair.there(b"again")]


def test_load_ends_a_second_after_the_flood(strangers: list[bytes]) -> None:
    pair = Pair()
    press(pair, strangers, seconds=1)
    pair.now += 1.1
    pair.clear()
    pair.connect()
    assert pair.b.device.counters.handshakes == 1


def test_a_source_that_shows_itself_has_a_budget() -> None:
    pair = Pair(limits=Limits(busy=10, per_source=20))
    mallory, place = Identity(key("mallory")), ("203.0.113.5", 5)
    to_b = Peer(pair.b.public)

    def say() -> list[bytes]:
        handshake = Initiator(mallory, pair.b.public, 1)
        message = sign(to_b, handshake.initiate(tai64n(WALL)), pair.now)
        pair.b.device.receive([(message, place)], pair.now)
        return [one for _, one in flat(pair.b.device.drain())]

    for _ in range(10):
        assert say() == []
    (reply,) = say()
    accept_cookie(to_b, CookieReply.parse(reply), pair.now)
    before = pair.b.device.counters.unknown_peer
    for _ in range(200):
        pair.now += 0.005
        assert say() == []
    opened = pair.b.device.counters.unknown_peer - before
    assert 20 <= opened <= 41
    assert pair.b.device.counters.overload == 200 - opened


def test_junk_leaves_nothing_behind() -> None:
    pair = Pair()
    pair.connect()
    indices = pair.b.device._state.indices
    junk = []
    for number in range(3000):
        kind = number % 6
        size = {1: 148, 2: 92, 3: 64}.get(kind, 16 + number % 200)
        content = os.urandom(size - 4)
        while any(indices.peer(int.from_bytes(content[at : at + 4], "little")) for at in (0, 4)):
            content = os.urandom(size - 4)
        junk.append((bytes([kind, 0, 0, 0]) + content, from_where(number)))
    assert pair.b.device.receive(junk, pair.now) == []
    assert pair.b.device.drain() == []
    counters = pair.b.device.counters
    assert counters.bad_mac1 == 500
    # Responses, cookies and data name indices that are nobody's.
    assert counters.unknown_index + counters.malformed + counters.bad_mac1 == 3000
    assert len(pair.b.device._state.indices) == 1
    pair.a.device.send([pair.there(b"on")], pair.now)
    pair.carry()
    assert pair.b.got == [pair.there(b"on")]


def test_replayed_traffic_leaves_nothing_behind() -> None:
    pair = Pair()
    pair.a.device.send([pair.there(b"%d" % one) for one in range(50)], pair.now)
    pair.carry()
    captured = [(one, from_where(7)) for one in pair.a.sent]
    pair.b.got.clear()
    place = pair.b.device.peer(pair.a.public).endpoint
    for _ in range(40):
        pair.now += 1
        assert pair.b.device.receive(captured, pair.now) == []
    assert pair.b.device.drain() == []
    assert pair.b.device.peer(pair.a.public).endpoint == place
    assert pair.b.device.counters.replay == 40 * 50
    assert pair.b.device.counters.old_handshake == 40
