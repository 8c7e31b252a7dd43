"""When the addresses of a peer go over to its new key."""

from __future__ import annotations

import asyncio

import pytest

from octelium.tunnel.engines.handover import (
    FIRST,
    INITIATION,
    LONGEST,
    QUIET,
    RESPONSE,
    SILENT,
    Handover,
    Handovers,
)
from octelium.tunnel.engines.interface import PeerStats

OLD, NEW, NEXT = b"o" * 32, b"n" * 32, b"x" * 32
PATIENCE = 60


def stats(received: int, handshake: float = 1.0) -> PeerStats:
    return PeerStats(None, handshake, received, 0)


NONE = stats(0, handshake=0.0)


def test_traffic_in_the_new_session_is_what_counts() -> None:
    handover = Handover(OLD, begun=10.0)
    for look, received in enumerate((100, 200, 300, 400)):
        shaken = stats(RESPONSE) if look > 1 else NONE
        assert not handover.is_due(stats(received), shaken, 10.0 + look / 1000)
    assert handover.is_due(stats(500), stats(RESPONSE + 32), 10.01)


def test_a_session_in_which_nothing_comes_any_more_is_over_with_the_handshake() -> None:
    handover = Handover(OLD, begun=10.0, received=100, heard=10.0)
    assert not handover.is_due(stats(200), NONE, 10.005)
    assert not handover.is_due(stats(200), NONE, 10.02)
    assert handover.is_due(stats(200), stats(RESPONSE), 10.02)
    handover = Handover(OLD, begun=10.0, received=100, heard=10.0)
    assert not handover.is_due(stats(200), stats(RESPONSE), 10.005)
    assert not handover.is_due(stats(200), stats(RESPONSE), 10.005 + SILENT - 0.001)
    assert handover.is_due(stats(200), stats(RESPONSE), 10.006 + SILENT)


def test_who_begins_a_handshake_has_no_session_left() -> None:
    handover = Handover(OLD, begun=10.0, received=90)
    assert not handover.is_due(stats(100), stats(INITIATION - 1, handshake=0.0), 10.0)
    assert handover.is_due(stats(200), stats(INITIATION, handshake=0.0), 10.001)


def test_it_ends_some_time() -> None:
    handover = Handover(OLD, begun=10.0)
    assert not handover.is_due(stats(1), stats(RESPONSE), 10.1)
    assert not handover.is_due(stats(2), stats(RESPONSE), 10.1 + QUIET - 0.01)
    assert handover.is_due(stats(3), stats(RESPONSE), 10.1 + QUIET)
    handover = Handover(OLD, begun=10.0)
    assert not handover.is_due(stats(1), NONE, 10.0 + LONGEST - 0.01)
    assert handover.is_due(stats(2), None, 10.0 + LONGEST)


class Program:
    """What a program tells, and is asked for."""

    def __init__(self) -> None:
        self.found: dict[bytes, PeerStats] = {OLD: stats(100), NEW: NONE}
        self.grows = True
        self.asked: list[bytes] = []
        self.finished: list[tuple[bytes, bytes]] = []
        self.changed = asyncio.Event()
        self.handovers = Handovers(self.stats, self.shake, self.finish)

    def stats(self) -> dict[bytes, PeerStats]:
        if self.grows:
            self.found[OLD] = stats(self.found[OLD].received + 1)
        return self.found

    def shake(self, new: bytes) -> None:
        self.asked.append(new)
        self.changed.set()

    def finish(self, old: bytes, new: bytes) -> None:
        self.finished.append((old, new))
        self.changed.set()

    async def until(self, what: str) -> None:
        async with asyncio.timeout(PATIENCE):
            while not getattr(self, what):
                self.changed.clear()
                await self.changed.wait()


async def test_addresses_stay_while_the_old_session_is_used() -> None:
    program = Program()
    program.handovers.begin(OLD, NEW)
    await program.until("asked")
    assert (program.asked, program.finished) == ([NEW], [])
    assert NEW in program.handovers
    program.found[NEW] = stats(RESPONSE + 32)
    await program.until("finished")
    assert program.finished == [(OLD, NEW)]
    assert NEW not in program.handovers
    program.handovers.close()


async def test_where_nothing_comes_the_handshake_begins_with_the_addresses() -> None:
    program = Program()
    program.grows = False
    loop = asyncio.get_running_loop()
    began = loop.time()
    program.handovers.begin(OLD, NEW)
    await program.until("asked")
    assert (program.asked, program.finished) == ([NEW], [(OLD, NEW)])
    assert loop.time() - began >= FIRST
    program.handovers.close()


@pytest.mark.parametrize("how", ["drop", "close"])
async def test_one_that_is_given_up_is_asked_for_no_more(how: str) -> None:
    program = Program()
    program.handovers.begin(OLD, NEW)
    if how == "drop":
        assert program.handovers.drop(NEW) == OLD
        assert program.handovers.drop(NEW) is None
    else:
        program.handovers.close()
    assert NEW not in program.handovers
    program.grows = False
    program.found = {NEXT: stats(RESPONSE + 1), NEW: stats(RESPONSE + 1)}
    other = Program()
    other.grows = False
    other.handovers.begin(OLD, NEXT)
    await other.until("asked")
    assert (program.asked, program.finished) == ([], [])
    other.handovers.close()
