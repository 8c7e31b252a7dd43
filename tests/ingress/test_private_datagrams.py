from __future__ import annotations

import asyncio
import select
import socket
from typing import TYPE_CHECKING, Any

import pytest

from octelium.ingress import private_datagrams
from octelium.ingress.counters import PrivateCounters
from octelium.ingress.private_datagrams import PrivateDatagrams
from octelium.replica.arrival import Tunnel
from tests.ingress.private_world import (
    ANN,
    MODES,
    WIKI,
    LoopbackSockets,
    connected,
    free_port,
    private,
)
from tests.vigil.world import Freshness, service, world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


class Mode:
    """Remembers datagrams, and answers them in capitals."""

    def __init__(self) -> None:
        self.got: list[tuple[Tunnel, tuple[str, int], tuple[str, int], bytes]] = []

    def datagram(
        self,
        service: Any,
        arrival: Tunnel,
        place: tuple[str, int],
        sender: tuple[str, int],
        data: bytes,
        reply: Callable[[bytes], None],
    ) -> None:
        assert service.uid == "uid-wiki.default"
        self.got.append((arrival, place, sender, data))
        reply(data.upper())


class Room:
    """A socket of the private network, and a caller."""

    def __init__(self, replica: Any, port: int, listener: socket.socket) -> None:
        self.port = port
        self.listener = listener
        self.mode = Mode()
        self.counters = PrivateCounters()
        self.freshness = Freshness()
        self.datagrams = PrivateDatagrams(
            replica, self.freshness, {MODES.UDP: self.mode}, self.counters, 5.0
        )

    def send(self, *pieces: bytes, source: str = ANN, to: str = WIKI) -> socket.socket:
        caller = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        caller.bind((source, 0))
        caller.settimeout(60)
        caller.connect((to, self.port))
        for piece in pieces:
            caller.send(piece)
            self.take()
        return caller

    def take(self, port: int | None = None) -> None:
        """What was sent: even over loopback it may come a moment later."""
        assert select.select([self.listener], [], [], 60)[0]
        self.datagrams.take(self.port if port is None else port, self.listener)


@pytest.fixture
async def room() -> AsyncIterator[Room]:
    async with world() as base:
        port = free_port()
        base.feed.put(
            private(service("wiki.default", mode=MODES.UDP), port), connected("ann-1", ANN)
        )
        with await LoopbackSockets().listen("udp", socket.AF_INET, port) as listener:
            yield Room(base.replica, port, listener)


async def test_both_addresses_tell_who_calls_whom(room: Room) -> None:
    with room.send(b"abc") as caller:
        assert room.mode.got == [
            (Tunnel("uid-ann-1", ANN), (WIKI, room.port), caller.getsockname(), b"abc")
        ]
        assert caller.recv(9) == b"ABC"
    with pytest.raises(BlockingIOError):
        room.datagrams.take(room.port, room.listener)
    assert room.counters.datagrams == 1


async def test_addresses_of_nobody(room: Room) -> None:
    room.send(b"x", source="127.65.0.99").close()
    room.send(b"x", to="127.64.0.99").close()
    with room.send() as caller:
        caller.send(b"x")
        room.take(room.port + 1)
    assert room.mode.got == []
    assert (room.counters.unknown_address, room.counters.unknown_service) == (1, 2)


async def test_datagrams_wait_in_their_order_for_the_replica(room: Room) -> None:
    room.freshness.fresh = False
    with room.send(b"1", b"2"):
        room.freshness.fresh = True
    with room.send(b"3"):  # not before those that wait
        assert room.mode.got == []
        room.freshness.caught_up.set()
        async with asyncio.timeout(60):
            while len(room.mode.got) < 3:
                await asyncio.sleep(0)
    assert [one[3] for one in room.mode.got] == [b"1", b"2", b"3"]
    assert room.counters.behind == 3


async def test_a_replica_that_does_not_catch_up(room: Room) -> None:
    room.freshness.fresh = room.freshness.in_time = False
    with room.send(b"1", b"2"):
        room.freshness.caught_up.set()
        async with asyncio.timeout(60):
            while not room.counters.refused_behind:
                await asyncio.sleep(0)
    assert room.mode.got == []
    assert room.counters.refused_behind == 2


async def test_only_so_many_wait(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private_datagrams, "_MOST_HELD", 2)
    room.freshness.fresh = False
    with room.send(b"1", b"2", b"3"):
        assert (room.counters.behind, room.counters.over_limit) == (2, 1)
        room.freshness.caught_up.set()
        async with asyncio.timeout(60):
            while len(room.mode.got) < 2:
                await asyncio.sleep(0)
