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
        self.answers = False
        self.asked: list[float] = []
        self.away = False
        self.watch = Watch(
            self.tunnel,
            note=self.notes.append,
            warn=self.warnings.append,
            beat=self._beat,
            is_away=lambda: self.away,
            clock=lambda: self.now,
            sleep=self._sleep,
        )

    async def _sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)

    def is_silent(self) -> bool:
        return self.tunnel.is_silent

    async def _beat(self) -> bool:
        self.asked.append(self.now)
        await self._sleep(2.5)
        return self.answers

    async def until(self, now: float) -> None:
        async with asyncio.timeout(60):
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
    await asyncio.wait_for(watched.watch.answered.wait(), 60)
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
    await asyncio.wait_for(watched.watch.answered.wait(), 60)
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
    await watched.until(FRESH - 10)
    assert watched.asked == [], "a tunnel that is not used costs nothing"
    await watched.until(FRESH + 20)
    assert len(watched.warnings) == 1
    assert watched.is_silent()
    watched.engines.last.handshakes[GATEWAY_KEY] = watched.now
    watched.answers = True
    await watched.until(watched.now + 10)
    assert not watched.is_silent()
    assert watched.notes == ["The gateway answers again."]


@pytest.mark.parametrize("sent", [64, 148, 5000])
async def test_what_is_sent_in_vain_is_told_within_20_s(watched: Watched, sent: int) -> None:
    """Long before the next handshake would be due."""
    engine = watched.engines.last
    engine.handshakes[GATEWAY_KEY] = 0.1
    await watched.until(11.0)
    engine.traffic = (92, 1000)
    await watched.until(21.0)
    assert (watched.warnings, watched.asked) == ([], [])
    engine.traffic = (92, 1000 + sent)
    begun = watched.now
    async with asyncio.timeout(60):
        while not watched.warnings:
            await asyncio.sleep(0)
    assert watched.now <= begun + 20
    assert "127.0.0.1 port 53820 (UDP)" in watched.warnings[0]
    assert watched.is_silent()
    watched.answers = True
    await watched.until(watched.now + 10)
    assert not watched.is_silent()
    assert watched.notes == ["The gateway answers again."]


@pytest.mark.parametrize("traffic", [(0, 32), (60, 9000)])
async def test_keepalives_and_what_is_answered_are_no_reason_to_ask(
    watched: Watched, traffic: tuple[int, int]
) -> None:
    engine = watched.engines.last
    engine.handshakes[GATEWAY_KEY] = 0.1
    await watched.until(11.0)
    for turn in range(1, 6):
        received, sent = traffic
        engine.traffic = (turn * received, turn * sent)
        await watched.until(watched.now + 5.0)
    assert (watched.asked, watched.warnings) == ([], [])


async def test_a_doubt_that_an_answer_ends(watched: Watched) -> None:
    watched.answers = True
    engine = watched.engines.last
    engine.handshakes[GATEWAY_KEY] = 0.1
    await watched.until(11.0)
    engine.traffic = (0, 96)  # such as a message of a program that wants no answer
    await watched.until(25.0)
    assert (len(watched.asked), watched.warnings) == (1, [])
    assert not watched.tunnel.is_silent


async def test_a_cluster_that_is_away_is_no_firewall(watched: Watched) -> None:
    watched.away = True
    engine = watched.engines.last
    engine.handshakes[GATEWAY_KEY] = 0.1
    await watched.until(11.0)
    engine.traffic = (0, 5000)
    await watched.until(30.0)
    assert watched.tunnel.is_silent
    assert watched.warnings == []
    watched.away = False
    await watched.until(watched.now + 15)
    assert len(watched.warnings) == 1


async def test_a_new_key_is_looked_after_at_once(watched: Watched) -> None:
    watched.engines.last.handshakes[GATEWAY_KEY] = 0.1
    await asyncio.wait_for(watched.watch.answered.wait(), 60)
    watched.engines.last.handshakes[GATEWAY_KEY] = -2 * FRESH
    before = watched.now
    await watched.tunnel.put(connected(state(x25519_key=bytes(32))))
    log = watched.engines.last.log
    log.clear()
    async with asyncio.timeout(60):
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
    await asyncio.wait_for(watched.watch.answered.wait(), 60)
    engine.log.clear()
    before = watched.now
    (now,) = connected(state(gateways=[gateway(key=other)])).gateways
    watched.tunnel.put_gateway(now)  # the engine knows of no handshake with it
    engine.handshakes[other] = -2 * FRESH
    async with asyncio.timeout(60):
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
