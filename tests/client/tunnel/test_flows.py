from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest

from octelium.client.tunnel.flows import Flows

if TYPE_CHECKING:
    from collections.abc import Iterator


def _bound() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    made.bind(("127.0.0.1", 0))
    return made


@pytest.fixture
def upstream() -> Iterator[socket.socket]:
    with _bound() as made:
        yield made


class Dials:
    """Connects to the upstream, and counts."""

    def __init__(self, upstream: socket.socket) -> None:
        self.upstream = upstream
        self.count = 0
        self.failure: OSError | None = None

    async def __call__(self) -> socket.socket:
        self.count += 1
        if self.failure is not None:
            raise self.failure
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        made.connect(self.upstream.getsockname())
        return made


async def _receive(one: socket.socket) -> tuple[bytes, tuple[str, int]]:
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(60):
        return await loop.sock_recvfrom(one, 2048)


async def test_each_peer_has_a_flow_of_its_own(upstream: socket.socket) -> None:
    dials, listening = Dials(upstream), _bound()
    place = listening.getsockname()
    flows = Flows(listening, dials)
    with _bound() as one, _bound() as other:
        sources = []
        for client, word in ((one, b"a"), (other, b"b"), (one, b"c")):
            client.sendto(word, place)
            data, source = await _receive(upstream)
            assert data == word
            sources.append(source)
            upstream.sendto(data.upper(), source)
            assert await _receive(client) == (word.upper(), place)
        assert sources[0] == sources[2] != sources[1]
        assert (dials.count, len(flows)) == (2, 2)
    flows.close()
    assert len(flows) == 0


async def test_datagrams_wait_for_a_flow_to_begin_within_bounds(upstream: socket.socket) -> None:
    gate = asyncio.Event()
    dials, listening = Dials(upstream), _bound()

    async def slow() -> socket.socket:
        await gate.wait()
        return await dials()

    flows = Flows(listening, slow)
    with _bound() as client:
        for number in range(40):
            client.sendto(bytes([number]), listening.getsockname())
        await asyncio.sleep(0.05)
        gate.set()
        got = [(await _receive(upstream))[0][0] for _ in range(16)]
        assert got == list(range(16))
        await asyncio.sleep(0.02)
        with pytest.raises(BlockingIOError):
            upstream.recv(1)
    flows.close()


async def test_a_flow_that_cannot_begin_is_tried_again(upstream: socket.socket) -> None:
    dials, listening = Dials(upstream), _bound()
    dials.failure = OSError("no")
    flows = Flows(listening, dials)
    with _bound() as client:
        client.sendto(b"lost", listening.getsockname())
        while dials.count == 0 or len(flows):
            await asyncio.sleep(0.005)
        dials.failure = None
        client.sendto(b"there", listening.getsockname())
        assert (await _receive(upstream))[0] == b"there"
    flows.close()


async def test_the_most_silent_gives_way(upstream: socket.socket) -> None:
    dials, listening = Dials(upstream), _bound()
    flows = Flows(listening, dials, most=2)
    with _bound() as one, _bound() as two, _bound() as three:
        for client in (one, two, three):
            client.sendto(b"x", listening.getsockname())
            await _receive(upstream)
        assert len(flows) == 2
    flows.close()


async def test_the_idle_end(upstream: socket.socket) -> None:
    dials, listening = Dials(upstream), _bound()
    flows = Flows(listening, dials, idle=0.05)
    with _bound() as client:
        client.sendto(b"x", listening.getsockname())
        await _receive(upstream)
        async with asyncio.timeout(60):
            while len(flows):
                await asyncio.sleep(0.01)
    flows.close()


async def test_who_is_not_admitted_begins_nothing(upstream: socket.socket) -> None:
    dials, listening = Dials(upstream), _bound()
    flows = Flows(listening, dials, admits=lambda address: address == "192.0.2.1")
    with _bound() as client:
        client.sendto(b"x", listening.getsockname())
        await asyncio.sleep(0.05)
    assert (dials.count, len(flows)) == (0, 0)
    flows.close()
