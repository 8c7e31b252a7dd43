"""Decisions that wait until a thread has compiled what they need."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from octelium.http.tasks import spawn
from octelium.octovigil import configs, policies, triggers
from octelium.octovigil.compilation import (
    AT_ONCE,
    CompilationNeeded,
    Compilations,
    demand,
)
from octelium.policy.condition import compile_condition
from octelium.policy.decision import Decision, Outcome
from octelium.policy.request import DictRequest
from octelium.replica.arrival import FrontDoor
from tests.octovigil.world import HTTP, World, allow, deny, inline

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.octovigil.close()


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The threads in which conditions were compiled."""
    seen: list[int] = []

    def compiled(*args: Any) -> Any:
        seen.append(threading.get_ident())
        return compile_condition(*args)

    for module in (configs, policies, triggers):
        monkeypatch.setattr(module, "compile_condition", compiled)
    return seen


def decide(world: World, session: str = "ann-1") -> Decision | Awaitable[Decision]:
    request = DictRequest(HTTP, token=world.token(session))
    return world.octovigil.decide(world.entry(), request, FrontDoor("192.0.2.7", 1))


async def awaited(made: Decision | Awaitable[Decision]) -> Decision:
    assert not isinstance(made, Decision)
    return await made


def many(name: str = "x") -> list[dict[str, Any]]:
    """Rules that deny nothing, and are too many to be compiled at once."""
    texts = (f"ctx.user.spec.email == '{name}-{index}'" for index in range(AT_ONCE // 20))
    return [deny(text, priority=-1) for text in texts]


def _policy(world: World) -> None:
    world.policy("parent", *many())
    world.policy("child.parent")
    world.user(authorization={"policies": ["child.parent"], **inline(allow())})


def _inline(world: World) -> None:
    world.user(authorization=inline(*many(), allow()))


def _trigger(world: World) -> None:
    world.user(authorization=inline(allow()))
    before = {"condition": {"match": "ctx.user.spec.email != 'x'"}}
    world.put("PolicyTrigger", "t", status={"preCondition": before, **inline(*many())})


def _condition_of_a_trigger(world: World) -> None:
    world.user()
    texts = (rule["condition"] for rule in many())
    before = {"condition": {"none": {"of": list(texts)}}}
    world.put("PolicyTrigger", "t", status={"preCondition": before, **inline(allow())})


def _configuration(world: World) -> None:
    world.user(authorization=inline(allow()))
    rules = [{"condition": rule["condition"], "configName": "default"} for rule in many()]
    world.service("wiki.default", dynamicConfig={"rules": rules})


def _anonymous(world: World) -> None:
    world.service(
        "wiki.default",
        isAnonymous=True,
        authorization={"enableAnonymous": True, **inline(*many(), allow())},
    )


PLACES = [_policy, _inline, _trigger, _condition_of_a_trigger, _configuration, _anonymous]


@pytest.mark.parametrize("place", PLACES)
async def test_much_is_compiled_in_a_thread(
    place: Callable[[World], None], world: World, threads: list[int]
) -> None:
    place(world)
    decision = await awaited(decide(world))
    assert decision.allowed, decision
    elsewhere = {thread for thread in threads if thread != threading.get_ident()}
    assert len(elsewhere) == 1
    assert threads.count(threading.get_ident()) < 5
    del threads[:]
    assert decide(world) is decision
    world.octovigil.memo.clear()
    assert isinstance(decide(world), Decision)
    assert not threads


@pytest.mark.parametrize("place", PLACES)
def test_who_cannot_wait_compiles_at_once(
    place: Callable[[World], None], world: World, threads: list[int]
) -> None:
    place(world)
    assert world.ask().allowed
    assert set(threads) == {threading.get_ident()}


async def test_little_is_compiled_at_once(world: World, threads: list[int]) -> None:
    world.policy("p", deny("ctx.user.spec.email == 'x'", priority=-1))
    world.user(authorization={"policies": ["p"], **inline(allow())})
    assert isinstance(decide(world), Decision)
    assert set(threads) == {threading.get_ident()}


async def test_the_same_is_compiled_once(world: World, threads: list[int]) -> None:
    _policy(world)
    waiting = [spawn(awaited(decide(world)), name="decision") for _ in range(5)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    decisions = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(decisions[0], asyncio.CancelledError)
    assert all(isinstance(made, Decision) and made.allowed for made in decisions[1:])
    assert len(threads) == AT_ONCE // 20 + 1  # and the one of the User


async def test_the_decision_is_that_of_the_moment(world: World) -> None:
    _inline(world)
    waiting = decide(world)
    world.user(authorization=inline(*many("y"), deny()))
    assert (await awaited(waiting)).outcome is Outcome.DENIED
    _inline(world)
    waiting = decide(world)
    world.remove("Service", "wiki.default")
    assert (await awaited(waiting)).outcome is Outcome.ERROR


async def test_the_loop_turns_meanwhile(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    _inline(world)
    going = threading.Event()

    def compiled(*args: Any) -> Any:
        assert going.wait(30)
        return compile_condition(*args)

    monkeypatch.setattr(policies, "compile_condition", compiled)
    waiting = spawn(awaited(decide(world)), name="decision")
    for _ in range(10):
        await asyncio.sleep(0)
    assert not waiting.done()
    world.service("other.default", authorization=inline(allow()))
    going.set()
    assert (await waiting).allowed


async def test_a_failure_refuses(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    _inline(world)

    def compiled(*_args: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(policies, "compile_condition", compiled)
    decision = await awaited(decide(world))
    assert decision.outcome is Outcome.ERROR
    assert "MemoryError" in decision.error


async def test_open_streams_wait_too(world: World) -> None:
    world.user(authorization=inline(allow()))
    decision = decide(world)
    assert isinstance(decision, Decision)
    ended = asyncio.get_running_loop().create_future()
    request = DictRequest(HTTP, token=world.token())
    world.octovigil.watch(
        decision, world.entry(), request, FrontDoor("192.0.2.7", 1), ended.set_result
    )
    world.user(authorization=inline(*many(), allow()))
    for _ in range(200):
        await asyncio.sleep(0.001)
        if world.octovigil.memo.plans:
            break
    assert not ended.done()
    world.user(authorization=inline(*many("y"), deny()))
    async with asyncio.timeout(30):
        assert (await ended).outcome is Outcome.DENIED


def test_demand() -> None:
    done: list[int] = []
    small = [(index, AT_ONCE // 2, lambda index=index: done.append(index)) for index in (1, 2)]
    demand([])
    demand(small)
    with pytest.raises(CompilationNeeded) as caught:
        demand([*small, (3, 1, lambda: done.append(3))])
    assert caught.value.key == (1, 2, 3)
    assert not done
    caught.value.run()
    assert done == [1, 2, 3]


async def test_nothing_is_begun_after_the_end() -> None:
    compilations = Compilations()
    compilations.close()
    with pytest.raises(RuntimeError):
        await compilations.finish(CompilationNeeded([(1, 1, lambda: None)]))
