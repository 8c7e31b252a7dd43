from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING

import pytest

from octelium.apiserver.rpc import ApiError
from octelium.cluster.lane import Deadline, Expired, Lane
from octelium.http.tasks import spawn
from octelium.store.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def lane() -> Iterator[Lane]:
    made = Lane("test", waiting=2, seconds=60.0)
    yield made
    made.close()


async def test_work_is_done_in_a_thread(lane: Lane) -> None:
    name = await lane.run(lambda _: threading.current_thread().name, "a")
    assert name == "test"
    assert await lane.run(lambda _: 42, "a") == 42


async def test_what_the_work_raises_is_raised(lane: Lane) -> None:
    def fail(_deadline: Deadline) -> None:
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        await lane.run(fail, "a")
    assert await lane.run(lambda _: 1, "a") == 1


async def test_one_asker_asks_one_question_at_a_time(lane: Lane) -> None:
    go = threading.Event()
    first = spawn(lane.run(lambda _: go.wait(60), "a"), name="first")
    await asyncio.sleep(0)
    with pytest.raises(Unavailable, match="your last question"):
        await lane.run(lambda _: 1, "a")
    other = spawn(lane.run(lambda _: 2, "b"), name="other")
    await asyncio.sleep(0)
    go.set()
    assert await first
    assert await other == 2
    assert await lane.run(lambda _: 3, "a") == 3


async def test_the_queue_is_bounded(lane: Lane) -> None:
    go = threading.Event()
    running = [
        spawn(lane.run(lambda _: go.wait(60), asker), name=asker) for asker in ("a", "b", "c")
    ]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable, match="too many"):
        await lane.run(lambda _: 1, "d")
    go.set()
    await asyncio.gather(*running)
    assert await lane.run(lambda _: 1, "d") == 1


async def test_the_loop_goes_on_meanwhile(lane: Lane) -> None:
    turns = 0

    def busy(deadline: Deadline) -> int:
        begun, count = turns, 0
        while turns < begun + 20:
            deadline.check()
            count += 1
        return count

    work = spawn(lane.run(busy, "a"), name="busy")
    while not work.done():
        await asyncio.sleep(0)
        turns += 1
    assert await work > 0


async def test_an_answer_that_takes_too_long() -> None:
    lane = Lane("slow", waiting=1000, seconds=0.05)
    begun, ended = threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(deadline: Deadline) -> None:
        begun.set()
        try:
            while True:
                deadline.check()
                time.sleep(0.005)
        finally:
            loop.call_soon_threadsafe(ended.set)

    number = 0
    while not begun.is_set():  # a busy machine may not begin within the time
        number += 1
        with pytest.raises(ApiError, match=r"no answer within 0\.05 seconds") as caught:
            await lane.run(slow, str(number))
        assert caught.value.code.name == "DEADLINE_EXCEEDED"
    await asyncio.wait_for(ended.wait(), 60)
    lane.close()


async def test_work_that_waited_too_long_is_not_begun() -> None:
    lane = Lane("slow", waiting=1000, seconds=0.05)
    held, go = threading.Event(), threading.Event()
    begun: list[int] = []

    def hold(_deadline: Deadline) -> None:
        held.set()
        go.wait(60)

    number = 0
    while not held.is_set():  # a busy machine may not begin within the time
        number += 1
        with pytest.raises(ApiError):
            await lane.run(hold, str(number))
    with pytest.raises(ApiError):
        await lane.run(lambda _: begun.append(1), "b")
    go.set()
    with pytest.raises(Unavailable):
        # The place of the first is taken until its work has ended.
        await lane.run(lambda _: 1, str(number))
    async with asyncio.timeout(60):
        while True:
            try:
                assert await lane.run(lambda _: 7, str(number)) == 7
                break
            except (Unavailable, ApiError):  # no place yet, or a busy machine has let it wait
                await asyncio.sleep(0)
    assert begun == []
    lane.close()


async def test_work_of_an_asker_who_left_ends(lane: Lane) -> None:
    begun = threading.Event()
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    def work(deadline: Deadline) -> None:
        begun.set()
        try:
            while True:
                deadline.check()
                time.sleep(0.005)
        finally:
            loop.call_soon_threadsafe(ended.set)

    task = spawn(lane.run(work, "a"), name="asker")
    while not begun.is_set():
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait_for(ended.wait(), 60)


def test_a_deadline() -> None:
    deadline = Deadline(100)
    assert 40 < deadline.left <= 100
    deadline.check()
    deadline.abandon()
    with pytest.raises(Expired):
        deadline.check()
    with pytest.raises(Expired):
        Deadline(-1).check()
