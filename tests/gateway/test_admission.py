from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from octelium.gateway.admission import Admission
from octelium.gateway.keeper import PeerKeeper
from octelium.gateway.memory import Memory
from tests.gateway.world import (
    FakeEngine,
    Writer,
    config,
    gateway,
    gone,
    key,
    key_secret,
    session,
    snapshot,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Memory]:
    made = Memory(tmp_path / "peers")
    yield made
    made.close()


async def until_put(engine: FakeEngine, public_key: bytes) -> None:
    async with asyncio.timeout(60):
        while public_key not in engine.peers:
            await asyncio.sleep(0)


async def test_a_peer_is_let_in_once_all_who_decide_know_of_it(memory: Memory) -> None:
    writer, engine = Writer(), FakeEngine()
    view = writer.begin(session(1))
    admission = Admission(view, PeerKeeper(engine, memory), writer)
    admission.start()
    assert set(engine.peers) == {key(1)}
    writer.commit(session(2), published=False)
    writer.commit(session(3), published=False)
    await asyncio.sleep(0.01)
    assert set(engine.peers) == {key(1)}
    writer.publish()
    await until_put(engine, key(2))
    assert set(engine.peers) == {key(1), key(2), key(3)}
    admission.close()
    writer.commit(session(4))
    assert key(4) not in engine.peers


async def until_removed(engine: FakeEngine, public_key: bytes) -> None:
    async with asyncio.timeout(60):
        while public_key in engine.peers:
            await asyncio.sleep(0)


async def test_a_peer_with_another_key_is_removed_at_once(memory: Memory) -> None:
    writer, engine = Writer(), FakeEngine()
    view = writer.begin(session(2))
    admission = Admission(view, PeerKeeper(engine, memory), writer)
    admission.start()
    writer.commit(session(2, public_key=key(9)), published=False)
    assert engine.peers == {}
    writer.publish()
    await until_put(engine, key(9))
    admission.close()


async def test_who_is_a_peer_no_more_hears_how_its_connections_end(memory: Memory) -> None:
    writer, engine = Writer(), FakeEngine()
    view = writer.begin(session(1), session(2), session(3))
    admission = Admission(view, PeerKeeper(engine, memory), writer, linger=0.02)
    admission.start()
    began = asyncio.get_running_loop().time()
    writer.commit(gone("Session", "session-1"))
    writer.commit(gone("Session", "session-2"))
    assert set(engine.peers) == {key(1), key(2), key(3)}
    writer.commit(session(2))  # it is back
    await until_removed(engine, key(1))
    assert asyncio.get_running_loop().time() - began >= 0.02
    await asyncio.sleep(0.03)
    assert set(engine.peers) == {key(2), key(3)}
    writer.commit(gone("Session", "session-3"))
    admission.close()
    await asyncio.sleep(0.03)
    assert key(3) in engine.peers


async def test_who_is_gone_again_meanwhile_is_not_let_in(memory: Memory) -> None:
    writer, engine = Writer(), FakeEngine()
    view = writer.begin()
    admission = Admission(view, PeerKeeper(engine, memory), writer)
    admission.start()
    writer.commit(session(1), published=False)
    writer.commit(gone("Session", "session-1"), session(2), published=False)
    writer.publish()
    await until_put(engine, key(2))
    assert ("put", key(1)) not in engine.said
    admission.close()


async def test_what_a_snapshot_tells_was_published_before(memory: Memory) -> None:
    """After a start nothing is published until something changes."""
    writer, engine = Writer(), FakeEngine()
    view = writer.begin(session(1))
    writer.value = 0
    admission = Admission(view, PeerKeeper(engine, memory), writer)
    admission.start()
    assert set(engine.peers) == {key(1)}
    writer.commit(session(2), published=False)
    view.apply(snapshot(config(), gateway(), key_secret(), session(3), revision=9))
    await until_put(engine, key(3))
    await until_removed(engine, key(1))
    assert set(engine.peers) == {key(3)}
    admission.close()
