"""Decisions that wait until a thread has compiled what they need."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.http.tasks import spawn
from octelium.octovigil import configs, policies, triggers, watch
from octelium.octovigil.compilation import (
    AT_ONCE,
    CompilationNeeded,
    Compilations,
    cost,
    demand,
)
from octelium.policy.condition import compile_condition
from octelium.policy.decision import Decision, Outcome
from octelium.policy.rego.module import LARGE
from octelium.policy.request import DictRequest
from octelium.replica.arrival import FrontDoor
from tests.octovigil.world import HTTP, World, allow, deny, inline

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from octelium.policy.rego.needed import RegoNeeded


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
        assert going.wait(60)
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


async def test_open_streams_wait_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "PATIENCE", 600.0)  # however slow this machine is
    world.user(authorization=inline(allow()))
    decision = decide(world)
    assert isinstance(decision, Decision)
    ended = asyncio.get_running_loop().create_future()
    request = DictRequest(HTTP, token=world.token())
    world.octovigil.watch(
        decision, world.entry(), request, FrontDoor("192.0.2.7", 1), ended.set_result
    )
    world.user(authorization=inline(*many(), allow()))
    async with asyncio.timeout(60):
        while not world.octovigil.memo.plans:
            await asyncio.sleep(0.001)
    assert not ended.done()
    world.user(authorization=inline(*many("y"), deny()))
    async with asyncio.timeout(60):
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


async def test_nothing_is_begun_after_the_end() -> None:
    compilations = Compilations()
    compilations.close()
    with pytest.raises(RuntimeError):
        await compilations.finish(CompilationNeeded([(1, 1, lambda: None)]))


async def test_a_resource_is_compiled_once_for_all_who_need_it() -> None:
    compilations = Compilations()
    done: list[str] = []
    going = threading.Event()

    def work(name: str) -> tuple[str, int, Callable[[], object]]:
        def compile_entry() -> None:
            assert going.wait(60)
            done.append(name)

        return name, AT_ONCE, compile_entry

    needs = [CompilationNeeded([work("shared"), work(f"own-{index}")]) for index in range(20)]
    waiting = [spawn(compilations.finish(needed), name="compiling") for needed in needs]
    await asyncio.sleep(0)
    going.set()
    await asyncio.gather(*waiting)
    assert sorted(done) == sorted(["shared", *(f"own-{index}" for index in range(20))])
    compilations.close()


@pytest.mark.parametrize(
    "expression",
    [
        "ctx.a.matches('(.{1,100}){1,8}')",
        "ctx.a.matches('(.\\x7b1,100})')",
        "ctx.a.matches('(.\\1731,100})')",
        "ctx.a.matches('(.\\u007b1,100})')",
        r"ctx.a.matches(r'\pL')",
        r"regex.match(`\PN{9}`, input.ctx.a)",
        r"glob.match(`{a,b}`, [], input.ctx.a)",
    ],
)
def test_large_automata_are_not_compiled_at_once(expression: str) -> None:
    assert cost(expression.encode()) > AT_ONCE


@pytest.mark.parametrize(
    ("cheap", "dear"),
    [
        ("ctx.a.contains('^/api')", "ctx.a.matches('^/api/')"),
        ("ctx.list.size(a, a > 00)", "ctx.list.all(a, a > 00)"),
        ("ctx.list .size(a,a > 00)", "ctx.list.\n map (a,a>00)"),
        ("ctx.abc in ['a a a a a']", "ctx.abc in ['a','a','a']"),
        ("ctx.abc < 1000000 + 2", "1 < 2 || 1 < 3 || ctx"),
    ],
)
def test_what_takes_longer_costs_more(cheap: str, dear: str) -> None:
    assert len(cheap.encode()) <= cost(cheap.encode()) < cost(dear.encode()) < AT_ONCE


@given(data=st.binary(max_size=200))
def test_every_byte_costs(data: bytes) -> None:
    assert len(data) <= cost(data) <= cost(data + b",")


async def test_regular_expressions_are_compiled_in_a_thread(
    world: World, threads: list[int]
) -> None:
    pattern = "ctx.request.http.path.matches('(.{{1,100}}){{1,8}}{}')"
    world.user(authorization=inline(*(allow(pattern.format(index)) for index in range(5))))
    assert not (await awaited(decide(world))).allowed
    assert threading.get_ident() not in threads


def test_modules_without_patterns_are_not_taken_for_such() -> None:
    module = b'package octelium.condition\nmatch if { input.ctx.user.metadata.name == "ann" }'
    assert cost(module) == len(module)


async def test_few_small_regular_expressions_are_compiled_at_once(world: World) -> None:
    world.user(authorization=inline(allow("ctx.request.http.path.matches('^/api/[a-z]+$')")))
    assert isinstance(decide(world), Decision)


class Answering:
    """An evaluator whose results come when `going` is set."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.going = asyncio.Event()

    async def evaluate(self, _needed: RegoNeeded, _deadline: float) -> object:
        self.asked.set()
        await self.going.wait()
        return True


async def test_what_a_decision_needs_after_a_module_is_compiled_in_a_thread(
    threads: list[int],
) -> None:
    rego = Answering()
    world = World(rego=rego)
    module = f"package octelium.condition\nmatch if true\n#{'x' * LARGE}"
    rule = {"effect": "ALLOW", "condition": {"opa": {"inline": module}}}
    world.policy("p", rule)
    world.user(authorization={"policies": ["p"]})
    waiting = spawn(awaited(decide(world)), name="decision")
    await rego.asked.wait()
    del threads[:]
    world.policy("many", *many())
    world.user(authorization={"policies": ["p", "many"]})
    rego.going.set()
    assert (await waiting).allowed
    assert len(threads) == AT_ONCE // 20
    assert threading.get_ident() not in threads
    world.octovigil.close()
