"""Keys come once, when they are due, and to one worker at a time."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from octelium.controller.work_queue import WorkQueue


class Clock:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_each_key_once() -> None:
    queue: WorkQueue[str] = WorkQueue()
    for key in ("a", "b", "a"):
        queue.add(key)
    assert {await queue.get(), await queue.get()} == {"a", "b"}
    assert queue.take() is None
    assert not queue.idle


async def test_who_is_added_while_a_worker_has_it_comes_back_afterwards() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    assert await queue.get() == "a"
    queue.add("a")
    assert queue.take() is None
    queue.done("a")
    assert await queue.get() == "a"
    queue.done("a")
    assert queue.idle


async def test_a_waiting_worker_hears_of_a_key() -> None:
    queue: WorkQueue[str] = WorkQueue()

    async def add() -> None:
        queue.add("later", 3600)
        await asyncio.sleep(0)
        queue.add("now")

    async with asyncio.TaskGroup() as group:
        got = group.create_task(queue.get())
        group.create_task(add())
    assert got.result() == "now"
    assert len(queue) == 1


async def test_a_delay_ends_by_itself() -> None:
    clock = Clock()
    queue: WorkQueue[str] = WorkQueue(clock)
    queue.add("a", 0.01)
    assert queue.take() is None
    asyncio.get_running_loop().call_soon(setattr, clock, "now", 0.01)
    assert await queue.get() == "a"


def test_the_earlier_moment_counts() -> None:
    clock = Clock()
    queue: WorkQueue[str] = WorkQueue(clock)
    queue.add("a", 10)
    queue.add("a", 5)
    queue.add("a", 20)
    clock.now = 4.9
    assert (queue.take(), queue.idle) == (None, True)
    clock.now = 5
    assert (queue.idle, queue.take()) == (False, "a")


async def test_who_waited_first_comes_first() -> None:
    clock = Clock()
    queue: WorkQueue[int] = WorkQueue(clock)
    for number in range(5):
        queue.add(number)
    assert [queue.take() for _ in range(6)] == [0, 1, 2, 3, 4, None]


@given(st.lists(st.tuples(st.sampled_from(["add", "take", "done", "tick"]), st.integers(0, 4))))
def test_nothing_is_lost_and_nothing_is_held_twice(steps: list[tuple[str, int]]) -> None:
    clock = Clock()
    queue: WorkQueue[int] = WorkQueue(clock)
    due: dict[int, float] = {}
    held: set[int] = set()
    for step, number in steps:
        if step == "add":
            queue.add(number, number)
            due[number] = min(due.get(number, float("inf")), clock.now + number)
        elif step == "tick":
            clock.now += number
        elif step == "done":
            queue.done(number)
            held.discard(number)
        else:
            free = {key for key, moment in due.items() if moment <= clock.now} - held
            key = queue.take()
            assert (key in free) if free else key is None
            if key is not None:
                assert due[key] == min(due[other] for other in free)
                del due[key]
                held.add(key)
        assert len(queue) == len(due)
