from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

from octelium.gateway.health import Prober
from tests.gateway.world import FakeEngine

if TYPE_CHECKING:
    from collections.abc import Callable


class Loopback:
    """Sockets of the loopback interface; whoever dials one has asked for a probe."""

    def __init__(self, dialled: Callable[[], None] = lambda: None) -> None:
        self.dialled = dialled
        self.sources: list[str | None] = []
        self.failure: OSError | None = None
        self.answers = True

    async def dial(self, kind: str, family: int, source: str | None = None) -> socket.socket:
        self.sources.append(source)
        if self.failure is not None:
            raise self.failure
        if not self.answers:
            await asyncio.Event().wait()
        self.dialled()
        return socket.socket(family, {"udp": socket.SOCK_DGRAM}[kind])


def prober(link: Loopback, engine: FakeEngine, target: str = "127.0.0.1") -> Prober:
    return Prober(link, engine, ("127.0.0.2", target), patience=0.05)


async def test_a_probe_is_well_once_the_engine_has_counted_it() -> None:
    engine = FakeEngine()
    link = Loopback(lambda: engine.events.update(no_route=1))
    probe = prober(link, engine)
    assert await probe.trouble() == ""
    assert await probe.trouble() == ""
    assert (probe.sent, link.sources) == (2, ["127.0.0.2"] * 2)


async def test_a_probe_that_the_engine_does_not_see_is_trouble() -> None:
    engine = FakeEngine()
    engine.events["no_route"] = 7
    probe = prober(Loopback(), engine)
    assert await probe.trouble() == "packets to clients do not reach the engine"
    assert probe.sent == 0


async def test_an_engine_that_counts_nothing_is_believed() -> None:
    engine = FakeEngine()
    del engine.events["no_route"]
    assert await prober(Loopback(), engine).trouble() == ""


async def test_a_link_process_that_is_silent_or_refuses_is_trouble() -> None:
    link, engine = Loopback(), FakeEngine()
    link.answers = False
    assert await prober(link, engine).trouble() == "the link process does not answer"
    link.failure = OSError(24, "Too many open files")
    assert "Too many open files" in await prober(link, engine).trouble()


async def test_a_network_without_a_way_to_clients_is_trouble() -> None:
    found = await prober(Loopback(), FakeEngine(), target="255.255.255.255").trouble()
    assert found.startswith("the private network has no way to clients")
