from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

from octelium.gateway.health import Prober

if TYPE_CHECKING:
    from collections.abc import Callable

TARGET = "127.0.0.1"


class Link:
    """Sockets whose other end is the test's."""

    def __init__(self, answer: Callable[[bytes], list[bytes]] = lambda data: [data]) -> None:
        self.answer = answer
        self.sources: list[str | None] = []
        self.failure: OSError | None = None
        self.refusal: OSError | None = None
        self.answers = True

    async def dial(self, kind: str, family: int, source: str | None = None) -> socket.socket:
        assert (kind, family) == ("udp", socket.AF_INET)
        self.sources.append(source)
        if self.failure is not None:
            raise self.failure
        if not self.answers:
            await asyncio.Event().wait()
        return _Cable(self)


class _Cable(socket.socket):
    """Answers what is sent."""

    def __init__(self, link: Link) -> None:
        ours, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._link = link
        super().__init__(fileno=ours.detach())

    def connect(self, address: object, /) -> None:
        assert address == (TARGET, 9)
        if self._link.refusal is not None:
            raise self._link.refusal

    def send(self, data: bytes, /, *_: object) -> int:  # type: ignore[override]  # of bytes alone
        for each in self._link.answer(data):
            self._theirs.send(each)
        return len(data)

    def close(self) -> None:
        self._theirs.close()
        super().close()


class Echo:
    heard = 0


def prober(link: Link, echo: Echo | None = None, patience: float = 0.3) -> Prober:
    return Prober(link, echo or Echo(), ("127.0.0.2", TARGET), patience)


async def test_what_comes_back_shows_that_traffic_flows() -> None:
    link = Link()
    assert await prober(link, patience=60).trouble() == ""
    assert link.sources == ["127.0.0.2"]


async def test_a_datagram_that_is_lost_is_sent_again() -> None:
    sent: list[bytes] = []

    def answer(data: bytes) -> list[bytes]:
        sent.append(data)
        return [] if len(sent) == 1 else [data]

    assert await prober(Link(answer), patience=60).trouble() == ""
    assert len(sent) >= 2


async def test_an_answer_of_another_time_is_none() -> None:
    link = Link(lambda _: [b"of another time."])
    assert await prober(link).trouble() == "packets to clients do not leave the engine"


async def test_it_is_told_which_way_is_shut() -> None:
    echo = Echo()
    silent = Link(lambda _: [])
    assert await prober(silent, echo).trouble() == "packets to clients do not leave the engine"

    def swallow(_: bytes) -> list[bytes]:
        echo.heard += 1
        return []

    found = await prober(Link(swallow), echo).trouble()
    assert found == "packets of clients do not come in by the engine"


async def test_a_link_process_that_is_silent_or_refuses_is_trouble() -> None:
    link = Link()
    link.answers = False
    assert await prober(link).trouble() == "the link process does not answer"
    link.failure = OSError(24, "Too many open files")
    assert "Too many open files" in await prober(link).trouble()


async def test_a_network_without_a_way_to_clients_is_trouble() -> None:
    link = Link()
    link.refusal = OSError(101, "Network is unreachable")
    found = await prober(link).trouble()
    assert found.startswith("the private network has no way to clients")
