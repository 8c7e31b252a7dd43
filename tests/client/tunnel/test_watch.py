from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from octelium.client.tunnel.device import FRESH, Tunnel
from octelium.client.tunnel.state import connected
from octelium.client.tunnel.tasks import begin
from octelium.client.tunnel.watch import PATIENCE, Watch, no_answer
from tests.client.tunnel.pieces import GATEWAY_KEY, Engines, FakeSide, gateway, state

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Watched:
    """A tunnel of stand-ins, watched by a clock that only sleeping moves."""

    def __init__(self) -> None:
        self.engines = Engines()
        self.tunnel = Tunnel(FakeSide(), keepalive=30, make_engine=self.engines)
        self.now = 0.0
        self.wall = 0.0
        self.notes: list[str] = []
        self.warnings: list[str] = []
        self.watch = Watch(
            self.tunnel,
            note=self.notes.append,
            warn=self.warnings.append,
            clock=lambda: self.now,
            sleep=self._sleep,
        )

    async def _sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)

    async def until(self, now: float) -> None:
        async with asyncio.timeout(10):
            while self.now < now:
                await asyncio.sleep(0)


@pytest.fixture
async def watched(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Watched]:
    made = Watched()
    alive = Tunnel.is_alive
    monkeypatch.setattr(Tunnel, "is_alive", lambda self: alive(self, lambda: made.now))
    addresses = ["127.0.0.1", "127.0.0.2"]
    await made.tunnel.put(connected(state(gateways=[gateway(addresses=addresses)])))
    made.engines.last.handshakes[GATEWAY_KEY] = -2 * FRESH
    running = begin(made.watch.run(), name="watch of a test")
    yield made
    running.cancel()
    await asyncio.wait((running,))
    await made.tunnel.close()


async def test_a_first_handshake_is_begun_anew_soon(watched: Watched) -> None:
    """Rather than five seconds later, as the protocol does by itself."""
    await watched.until(0.2)
    assert watched.engines.last.log.count("peers 0") == 1
    watched.engines.last.handshakes[GATEWAY_KEY] = 0.2
    await asyncio.wait_for(watched.watch.answered.wait(), 5)
    assert watched.engines.last.log.count("peers 0") == 1
    assert (watched.notes, watched.warnings) == ([], [])


async def test_silence_is_told_with_the_place_and_the_next_place_is_tried(
    watched: Watched,
) -> None:
    await watched.until(2.0)
    assert watched.engines.last.log.count("peers 0") == 4
    assert watched.warnings == []
    await watched.until(PATIENCE + 1)
    (told,) = watched.warnings
    assert "127.0.0.1 port 53820 (UDP)" in told
    assert "firewall" in told
    assert watched.engines.last.peers[GATEWAY_KEY].endpoint == ("127.0.0.2", 53820)
    await watched.until(2 * PATIENCE + 1)
    assert len(watched.warnings) == 1
    watched.engines.last.handshakes[GATEWAY_KEY] = watched.now
    await asyncio.wait_for(watched.watch.answered.wait(), 5)
    assert watched.notes == ["The gateway answers."]


async def test_one_that_does_not_answer_is_looked_for_where_it_should_be(watched: Watched) -> None:
    engine = watched.engines.last
    engine.handshakes[GATEWAY_KEY] = 0.1
    await watched.until(11.0)
    assert "poke" not in engine.log
    engine.traffic = (0, 32)  # a keepalive, which nobody answers
    await watched.until(21.0)
    assert "poke" not in engine.log
    engine.traffic = (92, 1000)
    await watched.until(31.0)
    assert "poke" not in engine.log
    engine.traffic = (92, 1148)
    await watched.until(41.0)
    assert engine.log.count("poke") == 1


async def test_silence_later_on_and_its_end(watched: Watched) -> None:
    watched.engines.last.handshakes[GATEWAY_KEY] = 0.1
    await watched.until(FRESH + 20)
    assert len(watched.warnings) == 1
    watched.engines.last.handshakes[GATEWAY_KEY] = watched.now
    await watched.until(watched.now + 10)
    assert watched.notes == ["The gateway answers again."]


async def test_a_new_key_is_looked_after_at_once(watched: Watched) -> None:
    watched.engines.last.handshakes[GATEWAY_KEY] = 0.1
    await asyncio.wait_for(watched.watch.answered.wait(), 5)
    watched.engines.last.handshakes[GATEWAY_KEY] = -2 * FRESH
    before = watched.now
    await watched.tunnel.put(connected(state(x25519_key=bytes(32))))
    log = watched.engines.last.log
    log.clear()
    async with asyncio.timeout(5):
        while log.count("peers 0") < 2:
            await asyncio.sleep(0)
    assert watched.now <= before + 5.5
    watched.engines.last.handshakes[GATEWAY_KEY] = watched.now


async def test_a_new_key_of_a_gateway_that_is_not_answered_is_tried_anew_soon(
    watched: Watched,
) -> None:
    """Such as when both sides have begun at once, and each waits for the other."""
    engine, other = watched.engines.last, bytes(reversed(GATEWAY_KEY))
    engine.handshakes[GATEWAY_KEY] = 0.1
    await asyncio.wait_for(watched.watch.answered.wait(), 5)
    engine.log.clear()
    before = watched.now
    (now,) = connected(state(gateways=[gateway(key=other)])).gateways
    watched.tunnel.put_gateway(now)  # the engine knows of no handshake with it
    engine.handshakes[other] = -2 * FRESH
    async with asyncio.timeout(5):
        while "peers 0" not in engine.log:
            await asyncio.sleep(0)
    assert watched.now <= before + 5.5  # the clock passes over the pause that was under way
    engine.handshakes[other] = watched.now
    await watched.until(watched.now + 10)
    assert engine.log.count("peers 0") == 1


async def test_other_reasons_for_silence() -> None:
    tunnel = Tunnel(FakeSide(), keepalive=30, make_engine=Engines())
    assert "no gateway" in no_answer(tunnel)
    await tunnel.put(connected(state(gateways=[gateway(addresses=["255.255.255.255"])])))
    assert "no route" in no_answer(tunnel)
    await tunnel.close()
