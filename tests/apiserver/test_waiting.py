from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octelium.apiserver.waiting import Waiting
from octelium.http.tasks import spawn

if TYPE_CHECKING:
    from collections.abc import Sequence


class Room:
    """Waits in places without end; says who was turned out."""

    def __init__(self, waiting: Waiting) -> None:
        self.waiting = waiting
        self.out: list[int] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def enter(self, number: int, caller: str) -> None:
        entered = asyncio.Event()

        async def wait() -> None:
            try:
                async with self.waiting.place(caller):
                    entered.set()
                    await asyncio.Event().wait()
            except TimeoutError:
                self.out.append(number)

        self._tasks.append(spawn(wait(), name="waiting"))
        await entered.wait()

    async def settle(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def enter_all(waiting: Waiting, callers: Sequence[str]) -> list[int]:
    room = Room(waiting)
    for number, caller in enumerate(callers):
        await room.enter(number, caller)
    await room.settle()
    out = room.out
    await room.close()
    assert len(waiting) == 0
    return out


async def test_the_longest_silent_one_makes_room() -> None:
    assert await enter_all(Waiting(4, 60), "abcdef") == [0, 1]


async def test_who_has_many_places_makes_room_for_himself() -> None:
    assert await enter_all(Waiting(8, 60), "abbbbc") == [1, 2]


async def test_nobody_waits_for_ever() -> None:
    waiting = Waiting(4, 0.01)
    with pytest.raises(TimeoutError):
        async with waiting.place("a"):
            await asyncio.Event().wait()
    assert len(waiting) == 0


async def test_who_is_done_gives_the_place_back() -> None:
    waiting = Waiting(1, 60)
    for _ in range(3):
        async with waiting.place("a"):
            assert len(waiting) == 1
    assert len(waiting) == 0


async def test_who_makes_room_at_the_moment_when_its_time_is_over() -> None:
    waiting = Waiting(1, 60)
    room = Room(waiting)
    await room.enter(0, "a")
    (deadline,) = waiting._all
    deadline.reschedule(asyncio.get_running_loop().time())
    await asyncio.sleep(0)
    assert deadline.expired()
    assert len(waiting) == 1  # it has not left yet
    async with waiting.place("b"):
        assert len(waiting) == 1
        await room.settle()
        assert room.out == [0]
        assert len(waiting) == 1
    await room.close()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from("abc"), max_size=40), st.integers(1, 9))
def test_there_are_never_too_many(callers: list[str], most: int) -> None:
    share = max(1, most // 4)

    def model() -> list[int]:
        inside: list[tuple[int, str]] = []
        out = []
        for number, caller in enumerate(callers):
            own = [one for one in inside if one[1] == caller]
            gone = own[0] if len(own) >= share else inside[0] if len(inside) >= most else None
            if gone is not None:
                inside.remove(gone)
                out.append(gone[0])
            inside.append((number, caller))
            assert len(inside) <= most
        return out

    assert asyncio.run(enter_all(Waiting(most, 60), callers)) == model()
