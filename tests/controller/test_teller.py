"""What is told: changes, once, and none of what nobody asks for."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING

from octelium.controller.status import ContainerEvent, ContainerStatus
from octelium.controller.teller import MOST, Teller
from octelium.http.tasks import spawn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from octelium.controller.managed import Key

KEY = ("uid", "")
READY = ContainerStatus(*KEY, ready=True)
EVENT = ContainerEvent("Pod a", "Warning", "BackOff", "again", 1, 1)


class World:
    """States that a test sets, and what was told of them."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.states: dict[Key, ContainerStatus] = {}
        self.told: list[Sequence[ContainerStatus]] = []
        self.teller = Teller(
            self.states.get, self.told.append, every=0, events_every=10, now=lambda: self.now
        )

    def set(self, state: ContainerStatus) -> int:
        self.states[state.key] = state
        self.teller.mark(state.key)
        return self.teller.flush()


def test_a_state_is_told_once() -> None:
    world = World()
    assert world.set(READY) == 1
    assert world.set(READY) == 0
    assert world.set(dataclasses.replace(READY, ready=False)) == 1
    assert [one.ready for told in world.told for one in told] == [True, False]


def test_what_counts_no_more_is_told_anew() -> None:
    world = World()
    assert world.set(READY) == 1
    world.teller.anew(KEY)
    assert world.teller.flush() == 1
    assert [*world.told[-1]] == [READY]
    assert world.teller.flush() == 0


def test_many_are_told_together() -> None:
    world = World()
    for number in range(5):
        state = ContainerStatus(f"uid-{number}", "")
        world.states[state.key] = state
        world.teller.mark(state.key)
    assert world.teller.flush() == 5
    assert len(world.told) == 1


def test_no_more_than_a_report_holds_are_told_at_once() -> None:
    world = World()
    for number in range(2 * MOST + 1):
        state = ContainerStatus(f"uid-{number}", "")
        world.states[state.key] = state
        world.teller.mark(state.key)
    assert [world.teller.flush() for _ in range(4)] == [MOST, MOST, 1, 0]
    assert len({one.key for told in world.told for one in told}) == 2 * MOST + 1


async def test_whoever_has_nothing_new_does_not_keep_others_from_being_told() -> None:
    world = World()
    told = asyncio.Event()
    teller = Teller(world.states.get, lambda _: told.set(), every=0)
    for number in range(3 * MOST):
        teller.mark((f"gone-{number}", ""))
    world.states[KEY] = READY
    teller.mark(KEY)
    task = spawn(teller.run(), name="teller")
    await told.wait()
    task.cancel()
    await asyncio.wait([task])


def test_new_events_alone_wait_a_while_and_are_not_lost() -> None:
    world = World()
    world.set(READY)
    more = dataclasses.replace(READY, events=(EVENT,))
    assert world.set(more) == 0
    world.now += 9
    assert world.teller.flush() == 0
    world.now += 2
    assert world.teller.flush() == 1
    assert world.told[-1] == [more]
    world.now += 1
    assert world.set(dataclasses.replace(more, ready=False)) == 1


def test_everything_is_told_to_who_has_forgotten() -> None:
    world = World()
    world.set(READY)
    world.teller.again([KEY])
    assert world.teller.flush() == 1


def test_of_what_is_not_to_be_told_nothing_is_kept() -> None:
    world = World()
    world.set(READY)
    del world.states[KEY]
    world.teller.mark(KEY)
    assert world.teller.flush() == 0
    assert world.set(READY) == 1


async def test_it_tells_by_itself() -> None:
    world = World()
    told = asyncio.Event()
    teller = Teller(world.states.get, lambda _: told.set(), every=0, events_every=0.01)
    task = spawn(teller.run(), name="teller")
    world.states[KEY] = READY
    teller.mark(KEY)
    await told.wait()
    told.clear()
    world.states[KEY] = dataclasses.replace(READY, events=(EVENT,))
    teller.mark(KEY)
    await told.wait()
    task.cancel()
    await asyncio.wait([task])
