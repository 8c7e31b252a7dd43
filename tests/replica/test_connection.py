from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest

from octelium.replica.connection import Connection
from octelium.replica.errors import FeedError
from octelium.replica.frames import FrameType, frame

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

MEBIBYTE = 1024 * 1024


class End:
    """One end, and what happened to it."""

    def __init__(self, stream: socket.socket, limit: int = 16 * MEBIBYTE) -> None:
        self.received: list[bytes] = []
        self.reasons: list[str] = []
        self.on_frame: Callable[[bytes], None] = self.received.append
        self._event = asyncio.Event()
        self.connection = Connection(stream, self._received, self._closed, limit)

    def _received(self, frame_type: FrameType, payload: bytes) -> None:
        assert frame_type is FrameType.BATCH
        self.on_frame(payload)
        self._event.set()

    def _closed(self, reason: str) -> None:
        self.reasons.append(reason)
        self._event.set()

    def send(self, payload: bytes) -> None:
        self.connection.send(frame(FrameType.BATCH, payload))

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not condition():
                self._event.clear()
                await self._event.wait()


@pytest.fixture
async def pair() -> AsyncIterator[tuple[End, End]]:
    near, far = (End(stream) for stream in socket.socketpair())
    yield near, far
    near.connection.close("the test is over")
    far.connection.close("the test is over")


async def test_frames_arrive_in_order_both_ways(pair: tuple[End, End]) -> None:
    near, far = pair
    for number in range(100):
        near.send(b"%d" % number)
    far.send(b"back")
    await far.until(lambda: len(far.received) == 100)
    await near.until(lambda: near.received == [b"back"])
    assert far.received == [b"%d" % number for number in range(100)]


async def test_polling_takes_over_what_was_sent_without_an_await(pair: tuple[End, End]) -> None:
    near, far = pair
    for number in range(10):
        near.send(b"%d" % number)
        far.connection.poll()
        assert far.received[-1] == b"%d" % number


async def test_more_than_the_socket_takes_waits_and_arrives_whole(pair: tuple[End, End]) -> None:
    near, far = pair
    big = [bytes([number]) * MEBIBYTE for number in range(8)]
    for payload in big:
        near.send(payload)
    assert near.connection.queued > 0
    await far.until(lambda: len(far.received) == 8)
    assert far.received == big
    assert near.connection.queued == 0


async def test_a_series_is_made_as_it_leaves_and_what_follows_waits(
    pair: tuple[End, End],
) -> None:
    near, far = pair
    made: list[int] = []

    def series() -> Iterator[bytes]:
        for number in range(64):
            made.append(number)
            yield frame(FrameType.BATCH, b"%d" % number * 50_000)

    near.connection.send_each(series())
    near.send(b"behind")
    assert len(made) < 64
    await far.until(lambda: len(far.received) == 65)
    assert [payload[:1] for payload in far.received[:10]] == [b"%d" % n for n in range(10)]
    assert far.received[-1] == b"behind"
    assert near.connection.queued == 0


async def test_a_series_that_fails_ends_the_connection(pair: tuple[End, End]) -> None:
    near, far = pair

    def series() -> Iterator[bytes]:
        yield frame(FrameType.BATCH, b"one")
        raise FeedError("the rest cannot be made")

    near.connection.send_each(series())
    assert near.reasons == ["the rest cannot be made"]
    await far.until(lambda: bool(far.reasons))
    assert far.received == [b"one"]


async def test_a_peer_that_reads_nothing_is_dropped_and_never_waited_for() -> None:
    near_socket, far_socket = socket.socketpair()
    near = End(near_socket, limit=4 * MEBIBYTE)
    for _ in range(20):
        near.send(b"x" * MEBIBYTE)
        if not near.connection.open:
            break
    assert near.reasons
    assert "too slow" in near.reasons[0]
    near.send(b"into the void")
    near.connection.send_each(iter([b"too"]))
    assert near.connection.queued <= 6 * MEBIBYTE
    far_socket.close()


async def test_the_end_of_the_peer_is_told_after_its_last_frames(pair: tuple[End, End]) -> None:
    near, far = pair
    near.send(b"last words")
    near.connection.close("done")
    near.connection.close("again")
    await far.until(lambda: bool(far.reasons))
    assert far.received == [b"last words"]
    assert far.reasons == ["the peer ended it"]
    assert near.reasons == ["done"]


async def test_sending_to_a_peer_that_is_gone_ends_the_connection(pair: tuple[End, End]) -> None:
    near, far = pair
    far.connection.close("done")
    near.send(b"x")
    assert len(near.reasons) == 1
    assert "sending failed" in near.reasons[0]


async def test_a_broken_stream_ends_the_connection() -> None:
    near, far = socket.socketpair()
    end = End(far)
    near.send(b"\xff" * 10)
    end.connection.poll()
    assert len(end.reasons) == 1
    near.close()


async def test_a_handler_that_closes_gets_nothing_more(pair: tuple[End, End]) -> None:
    near, far = pair

    def once(payload: bytes) -> None:
        far.received.append(payload)
        far.connection.close("enough")

    far.on_frame = once
    for number in range(3):
        near.send(b"%d" % number)
    await far.until(lambda: bool(far.reasons))
    assert far.received == [b"0"]


async def test_polling_from_within_a_handler_changes_no_order(pair: tuple[End, End]) -> None:
    near, far = pair

    def nested(payload: bytes) -> None:
        far.connection.poll()
        far.received.append(payload)

    far.on_frame = nested
    for number in range(5):
        near.send(b"%d" % number)
    far.connection.poll()
    assert far.received == [b"%d" % number for number in range(5)]
