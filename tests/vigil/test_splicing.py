"""Bytes between two sockets: all of them, in order, with both ends' ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.vigil import stalls
from octelium.vigil.splicing import _KEPT, Pipes, Splice, reset
from octelium.vigil.stalls import StallLimits, Stalls
from tests.conftest import SOAK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a TCP connection, which do not block."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        one = socket.create_connection(listener.getsockname())
        two, _ = listener.accept()
    one.setblocking(False)
    two.setblocking(False)
    return one, two


class Joined:
    """A client, an upstream and what joins them."""

    def __init__(self, pipes: Pipes, owner: str = "") -> None:
        self.client, client = pair()
        self.upstream, upstream = pair()
        self.ends: list[OSError | None] = []
        self.splice = Splice(client, upstream, pipes, self.ends.append, owner)
        self.splice.start()

    def close(self) -> None:
        self.splice.abort()
        self.client.close()
        self.upstream.close()

    async def ended(self) -> OSError | None:
        await until(lambda: self.ends)
        (error,) = self.ends
        return error


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.001)


async def read(one: socket.socket, size: int = -1) -> bytes:
    loop = asyncio.get_running_loop()
    data = b""
    while size < 0 or len(data) < size:
        piece = await asyncio.wait_for(loop.sock_recv(one, 1 << 20), 60)
        if not piece:
            break
        data += piece
    return data


@pytest.fixture(scope="module", autouse=True)
def moment() -> Iterator[None]:
    """However long a test takes, it is a moment, unless it says otherwise."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stalls, "MOMENT", 3600.0)
        yield


@pytest.fixture
def pipes() -> Iterator[Pipes]:
    made = Pipes()
    yield made
    made.close()


def opened() -> set[str]:
    """The pipes and sockets of this process."""
    found = set()
    for each in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # that of the listing itself
            found.add(str(each.readlink()))
    return {one for one in found if one.startswith(("pipe:", "socket:"))}


async def test_both_ways_and_both_ends(pipes: Pipes) -> None:
    joined, loop = Joined(pipes), asyncio.get_running_loop()
    await loop.sock_sendall(joined.client, b"question")
    assert await read(joined.upstream, 8) == b"question"
    joined.client.shutdown(socket.SHUT_WR)
    assert await read(joined.upstream) == b""
    await loop.sock_sendall(joined.upstream, b"answer")
    assert await read(joined.client, 6) == b"answer"
    assert not joined.ends
    joined.upstream.shutdown(socket.SHUT_WR)
    assert await read(joined.client) == b""
    assert await joined.ended() is None
    assert (joined.splice.received, joined.splice.sent) == (8, 6)
    joined.close()


async def test_nothing_is_kept_open(pipes: Pipes) -> None:
    before = opened()
    loop = asyncio.get_running_loop()
    for _ in range(3):
        joined = Joined(pipes)
        await loop.sock_sendall(joined.client, b"x" * 100)
        await read(joined.upstream, 100)
        joined.close()
    pipes.close()
    assert opened() <= before


async def test_connections_without_traffic_have_no_pipes(pipes: Pipes) -> None:
    many = [Joined(pipes) for _ in range(20)]
    before = opened()
    loop = asyncio.get_running_loop()
    for joined in many:
        await loop.sock_sendall(joined.client, b"x")
        await read(joined.upstream, 1)
    (one,) = opened() - before
    assert one.startswith("pipe:")
    for joined in many:
        joined.close()


def test_few_pipes_are_kept(pipes: Pipes) -> None:
    before = opened()
    taken = [pipes.take() for _ in range(_KEPT + 5)]
    for pipe in taken:
        pipes.give(pipe, empty=True)
    assert len(opened() - before) == _KEPT
    pipes.give(pipes.take(), empty=False)
    assert len(opened() - before) == _KEPT - 1


async def test_a_reader_that_stands_still_holds_the_other_side_up(pipes: Pipes) -> None:
    joined, loop = Joined(pipes), asyncio.get_running_loop()
    for one in (joined.client, joined.upstream, *joined.splice._sockets):
        for buffer in (socket.SO_SNDBUF, socket.SO_RCVBUF):  # else they may grow very large
            one.setsockopt(socket.SOL_SOCKET, buffer, 256 << 10)
    data = random.Random(1).randbytes(24 << 20)
    sending = loop.create_task(loop.sock_sendall(joined.client, data))
    last = -1
    while joined.splice.received != last:  # until nothing moves any more
        last = joined.splice.received
        await asyncio.sleep(0.05)
    assert not sending.done()
    assert last < len(data)
    await loop.sock_sendall(joined.upstream, b"meanwhile")
    assert await read(joined.client, 9) == b"meanwhile"
    assert await read(joined.upstream, len(data)) == data
    await sending
    joined.close()


@pytest.mark.parametrize("side", ["client", "upstream"])
async def test_a_side_that_breaks(pipes: Pipes, side: str) -> None:
    joined = Joined(pipes)
    broken, other = joined.client, joined.upstream
    if side == "upstream":
        broken, other = other, broken
    reset(broken)
    broken.close()
    assert isinstance(await joined.ended(), ConnectionResetError)
    with pytest.raises(ConnectionResetError):
        await read(other)
    joined.close()


async def test_a_side_that_breaks_under_load(pipes: Pipes) -> None:
    joined, loop = Joined(pipes), asyncio.get_running_loop()
    with contextlib.suppress(BlockingIOError):
        while True:
            joined.client.send(b"x" * 65536)
    await asyncio.sleep(0.01)
    reset(joined.upstream)
    joined.upstream.close()
    assert await joined.ended() is not None
    assert loop.is_running()
    pipe = pipes.take()  # one with another connection's bytes must not come back
    with pytest.raises(BlockingIOError):
        os.read(pipe[0], 1)
    pipes.give(pipe, empty=True)
    joined.close()


async def fill(joined: Joined) -> None:
    """Have the upstream send until nothing moves any more, or the stream ends."""
    blocked = 0
    async with asyncio.timeout(60):
        while (blocked < 10 or not joined.splice._back._writing) and not joined.ends:
            try:
                joined.upstream.send(b"x" * 65536)
                blocked = 0
            except BlockingIOError:
                blocked += 1
                await asyncio.sleep(0.005)
            except ConnectionResetError:
                await joined.ended()


async def stuck(pipes: Pipes, owner: str) -> Joined:
    """A stream whose client reads nothing."""
    joined = Joined(pipes, owner)
    await fill(joined)
    return joined


async def test_an_owner_ends_its_own_streams_that_stand_still() -> None:
    pipes = Pipes(Stalls(StallLimits(8, 2)))
    bob, first, second = [await stuck(pipes, owner) for owner in ("bob", "ann", "ann")]
    assert pipes.stalls.count == 3
    moved, loop = first.splice.sent, asyncio.get_running_loop()
    more = loop.create_task(loop.sock_sendall(first.upstream, bytes(32 << 20)))
    await read(first.client, 16 << 20)
    more.cancel()
    await asyncio.wait([more])
    assert first.splice.sent > moved
    await fill(first)  # it moved: the other one stands still longer now
    third = await stuck(pipes, "ann")
    assert "others needed its place" in str(await second.ended())
    with pytest.raises(ConnectionResetError):
        await read(second.client)
    assert [one.ends for one in (first, third, bob)] == [[], [], []]
    assert (pipes.stalls.count, pipes.stalls.ended) == (3, 1)
    for joined in (bob, first, second, third):
        joined.close()
    assert pipes.stalls.count == 0
    assert pipes.stalls._shares == {}
    pipes.close()


async def test_where_all_have_too_many_who_has_most_ends_one() -> None:
    pipes = Pipes(Stalls(StallLimits(3, 3)))
    owners = ("ann", "ann", "bob", "cid")
    streams = [await stuck(pipes, owner) for owner in owners]
    await streams[0].ended()
    assert [one.ends for one in streams[1:]] == [[], [], []]
    for joined in streams:
        joined.close()
    assert pipes.stalls.count == 0
    pipes.close()


async def test_half_a_share_is_for_a_moment_only(monkeypatch: pytest.MonkeyPatch) -> None:
    pipes = Pipes(Stalls(StallLimits(8, 4)))
    streams = [await stuck(pipes, "ann") for _ in range(3)]
    assert not any(joined.ends for joined in streams)
    monkeypatch.setattr(stalls, "MOMENT", 0.0)
    streams.append(await stuck(pipes, "ann"))
    for joined in streams[:2]:
        await joined.ended()
    assert not any(joined.ends for joined in streams[2:])
    assert pipes.stalls.count == 2
    for joined in streams:
        joined.close()
    pipes.close()


async def test_what_moves_again_does_not_count(pipes: Pipes) -> None:
    joined = await stuck(pipes, "ann")
    assert pipes.stalls.count == 1
    loop = asyncio.get_running_loop()
    draining = loop.create_task(read(joined.client))
    await until(lambda: pipes.stalls.count == 0)
    joined.upstream.shutdown(socket.SHUT_WR)
    joined.client.shutdown(socket.SHUT_WR)
    assert len(await draining) == joined.splice.sent
    assert await joined.ended() is None
    joined.close()


async def test_aborting_tells_both_peers(pipes: Pipes) -> None:
    joined = Joined(pipes)
    joined.splice.abort()
    for one in (joined.client, joined.upstream):
        with pytest.raises(ConnectionResetError):
            await read(one)
    assert not joined.ends
    joined.close()


async def test_without_descriptors_for_a_pipe(
    pipes: Pipes, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined, loop = Joined(pipes), asyncio.get_running_loop()

    def take() -> tuple[int, int]:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(pipes, "take", take)
    await loop.sock_sendall(joined.client, b"x")
    assert isinstance(await joined.ended(), OSError)
    joined.close()


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 700_000)), max_size=8), st.booleans())
def test_all_bytes_in_order(pieces: list[tuple[bool, int]], client_first: bool) -> None:
    """Pieces of any size either way, then both ends in either order."""
    if not SOAK:
        pieces = pieces[:4]

    async def run() -> None:
        pipes = Pipes()
        joined, loop = Joined(pipes), asyncio.get_running_loop()
        sides = (joined.client, joined.upstream)
        sent = [b"", b""]
        for number, (way, size) in enumerate(pieces):
            sent[way] += random.Random(number).randbytes(size)

        async def send(way: int) -> None:
            if sent[way]:
                await loop.sock_sendall(sides[way], sent[way])
            if (way == 0) is client_first:
                sides[way].shutdown(socket.SHUT_WR)

        async def receive(way: int) -> None:
            got = await read(sides[1 - way], len(sent[way]) or 0) if sent[way] else b""
            assert got == sent[way]

        await asyncio.gather(send(0), send(1), receive(0), receive(1))
        last = 1 if client_first else 0
        sides[last].shutdown(socket.SHUT_WR)
        assert await joined.ended() is None
        assert (joined.splice.received, joined.splice.sent) == (len(sent[0]), len(sent[1]))
        joined.close()
        pipes.close()

    asyncio.run(run())
