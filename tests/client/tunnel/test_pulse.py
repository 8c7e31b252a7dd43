from __future__ import annotations

import asyncio
import socket
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from octelium.client.tunnel import pulse as module
from octelium.client.tunnel.device import Tunnel
from octelium.client.tunnel.pulse import ANSWER, Pulse
from octelium.client.tunnel.state import connected
from octelium.client.tunnel.tasks import begin
from tests.client.tunnel.pieces import Engines, FakeSide, state
from tests.peers.ports import reserved_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Asked:
    """A tunnel whose name server is a socket of the loopback interface, and its pulse."""

    def __init__(self) -> None:
        self.engines = Engines()
        self.tunnel = Tunnel(FakeSide(), keepalive=30, make_engine=self.engines)
        self.now = 0.0
        self.pulse = Pulse(self.tunnel, "lab.test", clock=lambda: self.now)
        self.server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.server.bind(("127.0.0.1", 0))
        self.questions: list[bytes] = []

    async def take(self) -> tuple[bytes, Any]:
        found = await asyncio.get_running_loop().sock_recvfrom(self.server, 4096)
        self.questions.append(found[0])
        return found


@pytest.fixture
async def asked(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Asked]:
    made = Asked()
    monkeypatch.setattr(module, "_DNS", made.server.getsockname()[1])
    monkeypatch.setattr(module, "_TURNS", (0.05, 0.05, 0.1))
    monkeypatch.setattr(module, "ANSWER", 60.0)
    await made.tunnel.put(replace(connected(state()), dns=("127.0.0.1",)))
    yield made
    made.pulse.close()
    made.server.close()
    await made.tunnel.close()


def test_all_questions_fit_into_the_time_for_an_answer() -> None:
    assert sum(module._TURNS) <= ANSWER + 1e-9


async def test_nobody_answers(asked: Asked) -> None:
    assert await asked.pulse.beat() is False
    assert await asked.pulse.is_beating() is False
    for _ in range(6):
        await asked.take()
    assert all(b"\x05local\x03lab\x04test\0" in each for each in asked.questions)


async def test_an_answer_to_a_later_question(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TURNS", (0.05, 60.0))
    beat = begin(asked.pulse.beat(), name="beat of a test")
    await asked.take()
    question, place = await asked.take()
    loop = asyncio.get_running_loop()
    await loop.sock_sendto(asked.server, b"\xff" * 30, place)  # of another question
    await loop.sock_sendto(asked.server, question[:2] + b"\x84\x05" + question[4:], place)
    assert await beat is True


async def test_whatever_a_gateway_says_is_an_answer(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_TURNS", (0.05,) * 1000)
    beat = begin(asked.pulse.beat(), name="beat of a test")
    await asked.take()
    asked.engines.last.traffic = (92, 0)
    assert await beat is True


async def test_an_answer_holds_for_a_moment_and_questions_are_shared(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_TURNS", (60.0,))
    both = asyncio.gather(asked.pulse.is_beating(), asked.pulse.is_beating())
    question, place = await asked.take()
    loop = asyncio.get_running_loop()
    await loop.sock_sendto(asked.server, question, place)
    assert all(await both)
    asked.now += 2.0
    assert await asked.pulse.is_beating() is True
    with pytest.raises(BlockingIOError):  # there was one question alone
        asked.server.recv(1)
    asked.now += 2.0
    monkeypatch.setattr(module, "_TURNS", (0.05,))
    assert await asked.pulse.is_beating() is False


async def test_a_refused_port_is_an_answer(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TURNS", (60.0,))
    monkeypatch.setattr(module, "_DNS", reserved_port())
    assert await asked.pulse.beat() is True


async def test_without_a_name_server_a_packet_is_acknowledged(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with `--no-dns`; a keepalive comes much later than an answer of DNS."""
    monkeypatch.setattr(module, "ANSWER", -0.45)
    bare = replace(connected(state()), dns=(), routes=("127.0.0.0/30",))
    monkeypatch.setattr(module, "_DISCARD", asked.server.getsockname()[1])
    await asked.tunnel.put(bare)
    beat = begin(asked.pulse.beat(), name="beat of a test")
    await asked.take()
    assert await asked.pulse.is_beating() is True, "it is not known yet"
    asked.tunnel.is_silent = True
    assert await asked.pulse.is_beating() is False
    monkeypatch.undo()
    asked.pulse.close()
    await asyncio.wait((beat,))


async def test_a_tunnel_that_is_closed_does_not_answer(asked: Asked) -> None:
    await asked.tunnel.close()
    assert await asked.pulse.beat() is False
