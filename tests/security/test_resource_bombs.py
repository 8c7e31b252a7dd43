"""Conditions that would take forever refuse instead, and soon enough for everybody else.

A worker decides in the thread of its event loop: a decision may not take longer than others can
wait. Time is the thread's own CPU time, which does not depend on what else the machine does.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import TYPE_CHECKING, Any

import pytest

from octelium.octovigil.configs import DEFAULT
from octelium.policy.cel.program import compile_program
from octelium.policy.decision import Decision, Outcome
from tests.octovigil.world import World, allow, deny, inline
from tests.peers.timing import best
from tests.security.bombs import CONDITIONS, REQUEST, nested
from tests.security.deciding import Deciding, deciding

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

LONGEST = 20
"""Times that one decision may take as long as `plain` does: 0.1 s where that takes 5 ms."""

HARMLESS = {"catastrophic pattern"}
"""What looks bad and is not: these are answered."""


def cpu(work: Callable[[], object]) -> float:
    """CPU seconds of this thread."""
    begun = time.thread_time()
    work()
    return time.thread_time() - begun


def count() -> None:
    """200,000 steps of Python."""
    total = 0
    for number in range(200_000):
        total += number


def plain() -> float:
    """What `count` takes on this machine, the least of three."""
    return min(cpu(count) for _ in range(3))


def share(decide: Callable[[], Decision]) -> float:
    """What a decision takes, in times of `plain`."""
    return cpu(decide) / plain()


def fresh(world: World, request: dict[str, Any] | None = None) -> Callable[[], Decision]:
    """Asks with nothing remembered but compiled expressions."""

    def decide() -> Decision:
        world.octovigil.memo.clear()
        return world.ask(request=request)

    return decide


@pytest.mark.parametrize("name", CONDITIONS)
def test_a_rule_that_would_take_forever(name: str) -> None:
    world = World()
    world.user(authorization=inline(deny(CONDITIONS[name], priority=-1), allow()))
    compile_program(CONDITIONS[name])
    decision = fresh(world, REQUEST)()
    if name in HARMLESS:
        assert decision.allowed
    else:
        assert decision.outcome is Outcome.ERROR
        assert "match:" not in decision.error  # it compiles
    assert best(lambda: share(fresh(world, REQUEST)), LONGEST) < LONGEST
    # A negation, or a place where others decide, changes nothing.
    for form in ("all", "any", "none"):
        parts = [{"matchAny": form == "all"}, {"not": CONDITIONS[name]}]
        rule = {"effect": "DENY", "condition": {form: {"of": parts}}, "priority": -1}
        world.user(authorization=inline(rule, allow()))
        decision = fresh(world, REQUEST)()
        assert (decision.outcome is Outcome.ERROR) is (name not in HARMLESS)


BOMB = nested("true", 8)


def _enforcement(world: World) -> None:
    rule = {"effect": "IGNORE", "condition": {"match": BOMB}}
    world.user(authorization=inline(deny(), allow(priority=-1), enforcementRules=[rule]))


def _trigger(world: World) -> None:
    world.user(authorization=inline(allow()))
    before = {"condition": {"match": BOMB}}
    world.put("PolicyTrigger", "t", status={"preCondition": before, **inline(deny())})


def _configuration(world: World) -> None:
    world.user(authorization=inline(allow()))
    rules = [{"condition": {"match": BOMB}, "configName": DEFAULT}]
    world.service("wiki.default", dynamicConfig={"rules": rules})


def _computed(world: World) -> None:
    world.user(authorization=inline(allow()))
    grown = f"{{'upstream': {{'url': 'http://h:80'}}, 'name': string({BOMB})}}"
    rules = [{"condition": {"matchAny": True}, "eval": grown}]
    world.service("wiki.default", dynamicConfig={"rules": rules})


def _many_rules(world: World) -> None:
    """Each of them could be afforded alone."""
    rules = [deny(f"!({nested('true', 4)})", priority=-1)] * 100
    world.user(authorization=inline(*rules, allow()))


def _many_policies(world: World) -> None:
    affordable = f"!({nested('ctx.request.http.path != string(v0)', 3)})"
    for index in range(50):
        world.policy(f"p{index}", *[deny(affordable, priority=-1)] * 10)
    names = [f"p{index}" for index in range(50)]
    world.user(authorization={"policies": names, **inline(allow())})


@pytest.mark.parametrize(
    "place", [_enforcement, _trigger, _configuration, _computed, _many_rules, _many_policies]
)
def test_other_places_of_conditions(place: Callable[[World], None]) -> None:
    world = World()
    place(world)
    assert fresh(world)().outcome is Outcome.ERROR
    assert best(lambda: share(fresh(world)), LONGEST) < LONGEST


# --- while others ask


@pytest.fixture
async def here() -> AsyncIterator[Deciding]:
    async with deciding() as made:
        yield made


@pytest.mark.parametrize("name", ["nested loops", "a repeated pattern", "a text that grows"])
async def test_others_are_answered_meanwhile(here: Deciding, name: str) -> None:
    """Bombs and ordinary requests at once: all of the latter are answered, none of the former."""
    bomb = "ctx.request.http.headers.bomb == 'yes' && " + CONDITIONS[name].replace(
        "headers.long", "uri"
    )
    here.user(authorization=inline(deny(bomb, priority=-1), allow()))
    here.service("wiki.default", authorization=inline())
    seconds: list[float] = []
    together: list[int] = []
    answered = 0

    async def others() -> None:
        for number in range(20):
            begun, before = time.thread_time(), answered
            reply = await here.send(f"/{number}", fields={"bomb": "no"})
            seconds.append(time.thread_time() - begun)
            together.append(answered - before)
            assert reply.status == 200

    async def bombs() -> None:
        nonlocal answered
        for number in range(20):
            target = "/" + "a" * 8000 + str(number)
            assert (await here.send(target, fields={"bomb": "yes"})).status == 500
            answered += 1

    await asyncio.gather(others(), bombs())
    # One request waits for one bomb at most, besides what both take themselves.
    assert max(together) <= 3
    assert statistics.median(seconds) < 2 * LONGEST * plain()
    assert here.received == 20
