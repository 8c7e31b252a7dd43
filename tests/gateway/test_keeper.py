from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

import pytest

from octelium.gateway.keeper import PeerKeeper
from octelium.gateway.memory import Memory, Remembered
from tests.gateway.world import OWN, FakeEngine, Writer, gone, key, session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PLACE = ("203.0.113.7", 4000)


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Memory]:
    made = Memory(tmp_path / "peers")
    yield made
    made.close()


async def test_a_session_with_another_key_is_another_peer(memory: Memory) -> None:
    writer, engine = Writer(), FakeEngine()
    view = writer.begin(session(1))
    keeper = PeerKeeper(engine, memory)
    keeper.admit(view.peers, view.peers)
    memory.put(key(1), Remembered(PLACE))
    writer.commit(session(1, public_key=key(9)))
    keeper.remove(["session-1"], view.peers)
    assert engine.peers == {}
    keeper.admit(["session-1"], view.peers)
    assert engine.said == [("put", key(1)), ("remove", key(1)), ("put", key(9))]
    assert engine.peers[key(9)].endpoint is None
    assert memory.get(key(1)) is None


async def test_a_peer_has_the_addresses_of_its_session_and_nothing_else(memory: Memory) -> None:
    view, engine = Writer().begin(session(1), session(2)), FakeEngine()
    PeerKeeper(engine, memory).admit(view.peers, view.peers)
    peer = engine.peers[key(1)]
    assert peer.allowed_ips == ("100.65.0.1/32", "fdee::1:0:0:1/128")
    assert (peer.endpoint, peer.keepalive, peer.preshared_key) == (None, 0, None)


async def test_an_address_passes_on_without_ever_being_two_peers(memory: Memory) -> None:
    writer, engine = Writer(), FakeEngine()
    view = writer.begin(session(1))
    keeper = PeerKeeper(engine, memory)
    keeper.admit(view.peers, view.peers)
    writer.commit(session(2, index=1), gone("Session", "session-1"))
    keeper.remove(["session-1", "session-2"], view.peers)
    keeper.admit(["session-1", "session-2"], view.peers)
    assert engine.said == [("put", key(1)), ("remove", key(1)), ("put", key(2))]


async def test_nothing_new_is_said_of_who_is_the_same(memory: Memory) -> None:
    view, engine = Writer().begin(session(1)), FakeEngine()
    keeper = PeerKeeper(engine, memory)
    for _ in range(2):
        keeper.remove(view.peers, view.peers)
        keeper.admit(view.peers, view.peers)
    assert engine.said == [("put", key(1))]


async def test_one_that_the_engine_refuses_costs_the_others_nothing(memory: Memory) -> None:
    writer, engine = Writer(), FakeEngine()
    view = writer.begin(session(1), session(2))
    engine.refused.add(key(1))
    keeper = PeerKeeper(engine, memory)
    keeper.admit(view.peers, view.peers)
    assert set(engine.peers) == {key(2)}
    assert set(keeper.present) == {"session-2"}
    engine.refused.clear()
    keeper.admit(["session-1"], view.peers)
    assert set(engine.peers) == {key(1), key(2)}


async def test_peers_are_where_they_were_and_hear_of_the_new_process(memory: Memory) -> None:
    writer, first = Writer(), FakeEngine()
    view = writer.begin(*map(session, range(1, 100)))
    keeper = PeerKeeper(first, memory)
    keeper.admit(view.peers, view.peers)
    keeper.poke()
    assert ("poke", key(1)) not in first.said
    for number in range(1, 100):
        first.seen(key(number), ("203.0.113.7", number))
    first.seen(key(99), ("fe80::1%eth0", 4))
    keeper.remember()
    memory.put(key(200), Remembered(PLACE))

    second = FakeEngine()
    keeper = PeerKeeper(second, memory)
    keeper.admit(view.peers, view.peers)
    keeper.settle(view.peers)
    assert memory.get(key(200)) is None
    assert second.peers[key(5)].endpoint == ("203.0.113.7", 5)
    assert second.peers[key(5)].timestamp == b"t" * 12
    assert second.peers[key(5)].own == OWN
    assert second.peers[key(99)].endpoint is None
    writer.commit(gone("Session", "session-50"))
    keeper.remove(["session-50"], view.peers)
    turns = 0
    while keeper.returning:
        before = len(second.said)
        keeper.poke()
        assert len(second.said) - before <= 32
        turns += 1
    assert turns > 1
    poked = {public_key for do, public_key in second.said if do == "poke"}
    assert poked == {key(number) for number in range(1, 99) if number != 50}


async def test_only_what_changed_is_written(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    view, engine = Writer().begin(session(1), session(2)), FakeEngine()
    keeper = PeerKeeper(engine, memory)
    keeper.admit(view.peers, view.peers)
    engine.seen(key(1), PLACE)
    keeper.remember()
    assert memory.get(key(1)) == Remembered(PLACE, b"t" * 12, OWN)
    assert memory.get(key(2)) is None

    def unwanted() -> None:
        raise AssertionError("nothing has changed")

    monkeypatch.setattr(engine, "stats", unwanted)
    keeper.remember()


async def test_places_are_asked_for_at_a_pace_that_costs_little(memory: Memory) -> None:
    sessions = [session(number) for number in range(1, 101)]
    view = Writer().begin(*sessions)
    assert PeerKeeper(FakeEngine(), memory).pace == math.inf

    class Silent(FakeEngine):
        take_changed = None  # type: ignore[assignment]  # an engine without it

    asked = PeerKeeper(Silent(), memory)
    assert asked.pace == pytest.approx(0.1)
    asked.admit(view.peers, view.peers)
    assert asked.pace == pytest.approx(0.5)


async def test_places_are_noted_soon_after_they_change_and_never_after_the_end(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    timers: list[tuple[float, Callable[[], None]]] = []

    def call_later(seconds: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        timers.append((seconds, callback))
        return asyncio.TimerHandle(0, callback, (), loop)

    view, engine = Writer().begin(session(1), session(2)), FakeEngine()
    keeper = PeerKeeper(engine, memory)
    keeper.admit(view.peers, view.peers)
    keeper.start()
    with monkeypatch.context() as patch:
        patch.setattr(loop, "call_later", call_later)
        engine.seen(key(1), PLACE)
        engine.seen(key(2), PLACE)
        assert [seconds for seconds, _ in timers] == [0.1]
        assert memory.get(key(1)) is None
        timers.pop()[1]()
        assert memory.get(key(1)) == memory.get(key(2)) == Remembered(PLACE, b"t" * 12, OWN)
        engine.seen(key(1), ("203.0.113.8", 1))
        assert len(timers) == 1
        keeper.close()
        assert memory.get(key(1)) == Remembered(("203.0.113.8", 1), b"t" * 12, OWN)
        engine.seen(key(1), PLACE)
        assert len(timers) == 1
