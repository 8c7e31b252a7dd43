"""Datagrams pass whole, for those who may; flows come and go within bounds."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest

from octelium.ingress.datagrams import LARGEST
from octelium.policy.decision import Outcome
from octelium.replica.arrival import Tunnel
from octelium.vigil.flow import Flow
from octelium.vigil.udp import IDLE, FlowLimits
from tests.conftest import SOAK
from tests.ingress.private_world import (
    ANN,
    BOB,
    L4,
    MODES,
    WIKI,
    PrivateWorld,
    connected,
    free_port,
    private,
    private_world,
)
from tests.vigil.world import contained, containers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Echo(asyncio.DatagramProtocol):
    """An upstream that repeats datagrams in capitals."""

    def __init__(self) -> None:
        self.got: list[tuple[bytes, tuple[str, int]]] = []
        self.silent = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        self.got.append((data, address))
        if not self.silent:
            self.transport.sendto(data.upper(), address)  # type: ignore[attr-defined]


async def echo_at(host: str = "127.0.0.1", port: int = 0) -> Echo:
    loop = asyncio.get_running_loop()
    _, echo = await loop.create_datagram_endpoint(Echo, local_addr=(host, port))
    return echo


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    made = await echo_at()
    yield made
    made.transport.close()


@pytest.fixture
async def here(echo: Echo) -> AsyncIterator[PrivateWorld]:
    async with private_world(limits=FlowLimits(most=6, most_each=4, most_refused=3)) as made:
        await made.serve(f"udp://127.0.0.1:{echo.port}", mode=MODES.UDP)
        yield made


class Caller:
    def __init__(self, here: PrivateWorld, source: str = ANN, to: str = WIKI) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind((source, 0))
        self.socket.connect((to, here.port))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.send(data)

    async def answer(self) -> bytes:
        loop = asyncio.get_running_loop()
        return await asyncio.wait_for(loop.sock_recv(self.socket, LARGEST), 60)

    async def says(self, data: bytes) -> bytes:
        self.send(data)
        return await self.answer()

    def hears_nothing(self) -> bool:
        try:
            self.socket.recv(10)
        except BlockingIOError:
            return True
        return False


async def test_datagrams_pass_both_ways(here: PrivateWorld, echo: Echo) -> None:
    with Caller(here) as ann, Caller(here, BOB) as bob:
        for _ in range(3):
            assert await ann.says(b"hello") == b"HELLO"
        assert await bob.says(b"x") == b"X"
        assert [arrival for _, _, arrival in here.decider.asked] == [
            Tunnel("uid-ann-1", ANN),
            Tunnel("uid-bob-1", BOB),
        ]
        assert here.infos() == [("START", 0, 0, ""), ("START", 0, 0, "")]
        assert len({address for _, address in echo.got}) == 2  # a socket for each flow
        assert len(here.udp.flows) == 2


async def test_every_size_passes_whole(here: PrivateWorld, echo: Echo) -> None:
    with Caller(here) as ann:
        for size in (1, 1500, 9000, 65_507):
            assert len(await ann.says(b"a" * size)) == size
        ann.send(b"")
        await here.until(lambda: echo.got[-1][0] == b"")


async def test_datagrams_before_the_flow_stands_are_not_lost(
    here: PrivateWorld, echo: Echo
) -> None:
    here.decider.later = True
    with Caller(here) as ann:
        for number in range(20):
            ann.send(b"%d" % number)
        await here.until(lambda: here.server.counters.datagrams == 20)
        assert echo.got == []
        here.decider.delay.set()
        await here.until(lambda: len(echo.got) == 16)  # more is dropped
        assert [data for data, _ in echo.got] == [b"%d" % number for number in range(16)]
        assert len(here.decider.asked) == 1


async def test_refused_flows_are_logged_once(here: PrivateWorld, echo: Echo) -> None:
    here.decider.verdict = Outcome.DENIED
    with Caller(here) as ann:
        for _ in range(5):
            ann.send(b"x")
        await here.until(lambda: len(here.decider.asked) == 5)
        assert len(here.sink.records) == 1
        assert not here.sink.records[0].subject.allowed
        assert ann.hears_nothing()
        assert not here.udp.flows
        here.decider.verdict = Outcome.ALLOWED
        assert await ann.says(b"x") == b"X"
    assert [data for data, _ in echo.got] == [b"x"]


async def test_what_is_remembered_of_refused_flows_is_bounded(here: PrivateWorld) -> None:
    here.decider.verdict = Outcome.DENIED
    for _ in range(10):
        with Caller(here) as ann:
            ann.send(b"x")
            await here.until(lambda: len(here.sink.records) == len(here.decider.asked) > 0)
    await here.until(lambda: len(here.decider.asked) == 10)
    assert len(here.udp._refused) == 3
    here.udp.tick(here.base.ticker.now + IDLE)
    assert not here.udp._refused


async def test_a_flow_that_loses_its_right(here: PrivateWorld) -> None:
    with Caller(here) as ann:
        assert await ann.says(b"abc") == b"ABC"
        here.decider.verdict = Outcome.DENIED
        here.decider.revoke(here.base.entry())
        assert here.infos()[-1] == ("END", 3, 3, "access ended while the flow was open")
        ann.send(b"more")
        await here.until(lambda: len(here.decider.asked) == 2)
        assert ann.hears_nothing()
        assert len(here.sink.records) == 2
        assert not here.vigil.running


async def test_a_flow_that_stands_still_ends(here: PrivateWorld) -> None:
    with Caller(here) as ann:
        assert await ann.says(b"abc") == b"ABC"
        here.udp.tick(here.base.ticker.now + IDLE - 1)
        assert len(here.udp.flows) == 1
        here.udp.tick(here.base.ticker.now + IDLE)
        assert not here.udp.flows
        assert here.infos()[-1] == ("END", 3, 3, "")
        assert await ann.says(b"again") == b"AGAIN"  # another flow


async def test_disabled_services_are_silent(here: PrivateWorld, echo: Echo) -> None:
    with Caller(here) as ann:
        assert await ann.says(b"abc") == b"ABC"
        await here.serve(f"udp://127.0.0.1:{echo.port}", mode=MODES.UDP, is_disabled=True)
        assert here.infos()[-1][3] == "the Service was disabled"
        ann.send(b"x")
        await here.until(lambda: here.server.counters.datagrams == 2)
        assert ann.hears_nothing()
        assert len(here.sink.records) == 2


async def test_addresses_of_nobody(here: PrivateWorld, echo: Echo) -> None:
    with Caller(here, "127.65.0.99") as nobody, Caller(here, to="127.64.0.99") as lost:
        nobody.send(b"x")
        lost.send(b"x")
        await here.until(lambda: here.server.counters.datagrams == 2)
    assert here.server.counters.unknown_address == here.server.counters.unknown_service == 1
    assert here.decider.asked == []
    assert echo.got == []


async def test_a_flow_ends_with_its_session(here: PrivateWorld) -> None:
    with Caller(here) as ann, Caller(here, BOB) as bob:
        assert await ann.says(b"a") == b"A"
        assert await bob.says(b"b") == b"B"
        here.feed.delete(here.sessions[ANN])
        assert len(here.udp.flows) == 1
        ann.send(b"x")
        await here.until(lambda: here.server.counters.unknown_address == 1)
        assert await bob.says(b"b") == b"B"


async def test_an_address_that_passes_to_another_session(here: PrivateWorld) -> None:
    with Caller(here) as ann:
        assert await ann.says(b"a") == b"A"
        here.feed.put(connected("eve-1", ANN))  # nothing of Ann's own Session changes
        assert not here.udp.flows
        assert await ann.says(b"b") == b"B"
    assert here.decider.asked[-1][2] == Tunnel("uid-eve-1", ANN)


async def test_a_flood_of_flows_is_bounded(echo: Echo) -> None:
    limits = FlowLimits(most=300, most_each=200, begun_each=100_000)
    number = 65_000 if SOAK else 1500
    async with private_world(limits=limits) as here:
        await here.serve(f"udp://127.0.0.1:{echo.port}", mode=MODES.UDP)
        echo.silent = True
        before = len(list(Path("/proc/self/fd").iterdir()))
        bob = Caller(here, BOB)
        bob.send(b"x")
        async with asyncio.timeout(600):
            while here.server.counters.datagrams < number:  # a queue that is full drops some
                for _ in range(50):
                    with Caller(here) as ann:
                        ann.send(b"x")
                await asyncio.sleep(0)
                here.sink.records.clear()
        assert len(here.udp.flows) <= 201
        assert len(list(Path("/proc/self/fd").iterdir())) <= before + 2 * 201 + 60
        echo.silent = False
        async with asyncio.timeout(60):
            while bob.hears_nothing():  # the upstream's queue is full for a moment
                bob.send(b"still here")
                await asyncio.sleep(0.05)
        assert sum(arrival == Tunnel("uid-bob-1", BOB) for *_, arrival in here.decider.asked) == 1
        here.udp.tick(here.base.ticker.now + IDLE)
        assert not here.udp.flows
        assert not here.udp._concerned
        assert not here.udp._by_session
        assert not here.vigil.running
        bob.socket.close()


async def test_a_session_begins_so_many_flows_a_second(echo: Echo) -> None:
    async with private_world(limits=FlowLimits(begun_each=3)) as here:
        await here.serve(f"udp://127.0.0.1:{echo.port}", mode=MODES.UDP)
        anns = [Caller(here) for _ in range(5)]
        for caller in anns[:3]:
            assert await caller.says(b"x") == b"X"
        for caller in anns[3:]:
            caller.send(b"x")
        await here.until(lambda: here.udp.dropped == 2)
        assert len(here.udp.flows) == 3
        with Caller(here, BOB) as bob:  # is another Session
            assert await bob.says(b"x") == b"X"
        assert await anns[0].says(b"y") == b"Y"
        here.udp.tick(here.base.ticker.now)
        assert await anns[3].says(b"x") == b"X"
        assert len(here.decider.asked) == 5
        for caller in anns:
            caller.socket.close()


async def test_the_oldest_flow_of_a_session_makes_room(here: PrivateWorld, echo: Echo) -> None:
    callers = [Caller(here) for _ in range(5)]
    bob = Caller(here, BOB)
    assert await bob.says(b"bob") == b"BOB"
    for caller in callers[:4]:
        assert await caller.says(b"x") == b"X"
    assert await callers[0].says(b"x") == b"X"  # the second is the oldest now
    assert await callers[4].says(b"x") == b"X"
    assert here.udp.evicted == 1
    gone = next(record for record in here.sink.records if record.method == b"END")
    assert gone.error == "another flow needed its place"
    before = len(here.decider.asked)
    assert await callers[0].says(b"x") == b"X"
    assert await bob.says(b"bob") == b"BOB"
    assert len(here.decider.asked) == before  # both still stand
    for caller in (*callers, bob):
        caller.socket.close()


async def test_the_most_crowded_session_makes_room(here: PrivateWorld) -> None:
    here.feed.put(connected("eve-1", "127.65.0.9"))
    anns = [Caller(here) for _ in range(4)]
    bobs = [Caller(here, BOB) for _ in range(2)]
    for caller in (*bobs, *anns):
        assert await caller.says(b"x") == b"X"
    with Caller(here, "127.65.0.9") as eve:
        assert await eve.says(b"x") == b"X"
    assert len(here.udp.flows) == 6
    ended = {record.client_address for record in here.sink.records if record.method == b"END"}
    assert ended == {ANN}
    for caller in (*anns, *bobs):
        caller.socket.close()


async def test_no_upstream() -> None:
    async with private_world() as here:
        await here.serve("udp://no.invalid:1", mode=MODES.UDP)
        with Caller(here) as ann:
            ann.send(b"x")
            await here.until(lambda: len(here.sink.records) == 2)
        assert "cannot be reached" in here.infos()[1][3]
        assert not here.udp.flows


async def test_an_upstream_that_is_closed_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    refused: list[Flow] = []
    failed = Flow._upstream_failed

    def fails(flow: Flow, error: OSError) -> None:
        refused.append(flow)
        failed(flow, error)

    monkeypatch.setattr(Flow, "_upstream_failed", fails)
    port = free_port()
    async with private_world() as here:
        await here.serve(f"udp://127.0.0.1:{port}", mode=MODES.UDP)
        with Caller(here) as ann:
            for count in (1, 2):
                ann.send(b"x")
                await here.until(lambda: len(refused) == count)  # noqa: B023
            again = await echo_at(port=port)
            assert await ann.says(b"there") == b"THERE"
            assert list(here.udp.flows.values()) == refused[:1]
            again.transport.close()


async def test_sessions_that_serve() -> None:
    async with private_world() as here:
        made = await here.serve("udp://wiki.internal:53", mode=MODES.UDP)
        made.spec.config.upstream.user = "alice"
        here.feed.put(made)
        one, two = await echo_at("127.65.0.21"), await echo_at("127.65.0.22")
        for name, echo in (("host-1", one), ("host-2", two)):
            address = echo.transport.get_extra_info("sockname")[0]
            serves = {"uid-wiki.default": echo.port}
            here.feed.put(connected(name, address, serves=serves, l4=L4.UDP))
        callers = [Caller(here) for _ in range(4)]
        for caller in callers:
            assert await caller.says(b"x") == b"X"
        assert len(one.got) == len(two.got) == 2
        assert one.got[0][1][0] == WIKI  # from the Service's own address
        here.feed.delete(connected("host-1"))
        assert len(here.udp.flows) == 2
        for caller in callers:
            assert await caller.says(b"y") == b"Y"
        assert len(one.got) == 2
        for caller in callers:
            caller.socket.close()
        one.transport.close()
        two.transport.close()


async def test_a_container(echo: Echo) -> None:
    async with private_world() as here:
        made = private(contained(mode=MODES.UDP), here.port)
        made.spec.is_public = False
        await here.put(made)
        with Caller(here) as ann:
            ann.send(b"x")
            await here.until(lambda: len(here.infos()) == 2)
            here.feed.put(containers(own=("127.0.0.1", echo.port)))
            assert await ann.says(b"hello") == b"HELLO"
            # A flow has no end of its own, so it ends with what it goes to, and begins anew.
            other = await echo_at()
            here.feed.put(containers(name="other.default", own=("127.0.0.1", 9)))
            assert await ann.says(b"again") == b"AGAIN"
            assert len(echo.got) == 2
            here.feed.put(containers(own=("127.0.0.1", other.port)))
            assert here.infos()[-1][3] == "the container is not ready any more"
            assert await ann.says(b"there") == b"THERE"
            assert len(other.got) == 1
            here.feed.put(containers(own="Starting"))
            assert not here.udp.flows
            ann.send(b"x")
            await here.until(lambda: here.infos()[-1][3] == "the container is starting")
            other.transport.close()


async def test_flows_elsewhere_outlive_changes_of_containers(
    here: PrivateWorld, echo: Echo
) -> None:
    with Caller(here) as ann:
        assert await ann.says(b"hello") == b"HELLO"
        here.feed.put(containers(own="Starting"))
        assert len(here.udp.flows) == 1
        assert await ann.says(b"hello") == b"HELLO"
