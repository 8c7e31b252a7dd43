from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import pytest

from octelium.http.handshakes import Handshakes, handshakes

if TYPE_CHECKING:
    from collections.abc import Callable


class Loop:
    """What is to be called soon, and a clock that each step moves by one."""

    def __init__(self) -> None:
        self.now = 0.0
        self.soon: list[Callable[[], None]] = []
        self.done: list[str] = []
        self.handshakes = Handshakes(self.soon.append, lambda: self.now)

    def step(self, name: str) -> None:
        self.now += 1
        self.done.append(name)

    def add(self, *names: str) -> None:
        for name in names:
            self.handshakes.add(partial(self.step, name))

    def turn(self, other: float = 0) -> str:
        """One turn, in which other work takes some time first; which steps were made."""
        self.now += other
        self.done.clear()
        (run,) = self.soon
        self.soon.clear()
        run()
        return "".join(self.done)


def test_one_in_each_turn() -> None:
    loop = Loop()
    loop.add("a", "b", "c")
    assert [loop.turn(), loop.turn(), loop.turn()] == ["a", "b", "c"]
    assert not loop.soon
    loop.add("d")
    assert loop.turn() == "d"


def test_a_third_of_the_time() -> None:
    loop = Loop()
    loop.add(*"abcdefghi")
    assert loop.turn(other=2) == "a"
    assert loop.turn(other=8) == "bcde"
    assert loop.turn() == "f"
    assert loop.turn(other=100) == "ghi"
    assert not loop.soon


def test_time_without_handshakes_does_not_count() -> None:
    loop = Loop()
    loop.now = 1000
    loop.add("a", "b")
    assert loop.turn() == "a"


def test_steps_that_fail_or_add() -> None:
    loop = Loop()

    def fail() -> None:
        loop.add("later")
        raise RuntimeError("broken")

    loop.handshakes.add(fail)
    loop.add("a")
    with pytest.raises(RuntimeError, match="broken"):
        loop.turn()
    assert [loop.turn(), loop.turn()] == ["a", "later"]
    assert not loop.soon


async def test_one_queue_for_a_loop() -> None:
    found = handshakes()
    assert found is not None
    assert found is handshakes()
    assert await asyncio.to_thread(handshakes) is None
