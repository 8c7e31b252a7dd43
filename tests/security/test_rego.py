"""Rego in decisions: what it says, what it costs others, and that no failure of it allows."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from octelium.octovigil.rego import evaluator as evaluators
from octelium.octovigil.rego import rounds
from octelium.octovigil.rego.evaluator import Evaluator
from octelium.octovigil.rego.process import HelperProcess
from octelium.policy.decision import Decision, Outcome, ReasonType
from octelium.policy.request import DictRequest
from octelium.replica.arrival import FrontDoor
from tests.octovigil.world import HTTP, START, World, allow, deny, inline
from tests.peers.timing import best_awaited, within
from tests.security.deciding import deciding

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

    from octelium.octovigil.rego.frames import Answer, Question

PACKAGE = "package octelium.condition\n"
ARRIVAL = FrontDoor("192.0.2.7", 40000)

SLOW = """
pairs := [1 | some a in numbers.range(1, 120); some b in numbers.range(1, 120)]
"""
"""Takes too long to be evaluated at once; not long by itself."""
ENDLESS = """
endless if count([1 | some a in numbers.range(1, 9000); some b in numbers.range(1, 9000)]) > 0
"""


def opa(rules: str, effect: str = "ALLOW", **rest: Any) -> dict[str, Any]:
    return {"effect": effect, "condition": {"opa": {"inline": PACKAGE + rules}}, **rest}


def opened(*rules: dict[str, Any], **options: Any) -> World:
    world = World(**options)
    world.user(authorization=inline(*rules))
    return world


def at(path: str, **headers: str) -> dict[str, Any]:
    fields = {**HTTP["http"]["headers"], **headers}
    return {**HTTP, "http": {**HTTP["http"], "path": path, "headers": fields}}


def ask(world: World, request: dict[str, Any] | None = None) -> Decision | Awaitable[Decision]:
    made = DictRequest(HTTP if request is None else request, token=world.token())
    return world.octovigil.decide(world.entry(), made, ARRIVAL)


async def decided(world: World, request: dict[str, Any] | None = None) -> Decision:
    decision = ask(world, request)
    return decision if isinstance(decision, Decision) else await decision


@pytest.fixture
async def evaluator(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Evaluator]:
    """With time for everything on a slow machine, too: modules without an end run out of steps."""
    for name in ("DEADLINE", "STARTING", "PENALTY"):
        monkeypatch.setattr(evaluators, name, 60.0)
    for module in (evaluators, rounds):
        monkeypatch.setattr(module, "BUDGET", 300.0)
    made = Evaluator()
    yield made
    made.close()


# --- what it says


@pytest.mark.parametrize(
    ("rules", "outcome"),
    [
        ([opa("match if input.ctx.user.spec.email == 'ann@example.com'")], Outcome.ALLOWED),
        ([opa("match if input.ctx.user.spec.email == 'x'")], Outcome.DENIED),
        ([opa("match if false")], Outcome.DENIED),
        ([opa("match := false")], Outcome.DENIED),
        ([opa("match := 1")], Outcome.ERROR),
        ([opa("match := 'true'")], Outcome.ERROR),
        ([opa("match if 1 / 0")], Outcome.ERROR),
        ([opa("match if count(input.ctx.user.spec.email.x.y) > 0")], Outcome.DENIED),
        ([opa("match if startswith(input.ctx.service.spec, 'x')")], Outcome.ERROR),
        ([opa("match if unsafe")], Outcome.ERROR),
        ([opa("match { true }")], Outcome.ERROR),
        ([opa("match if http.send({})", "DENY"), allow()], Outcome.ERROR),
        ([opa("match if not no.such(1)", "DENY"), allow()], Outcome.ERROR),
        ([allow(priority=-1), opa("match if 1 / 0", "DENY")], Outcome.ALLOWED),
        ([opa("match if input.ctx.request.http.path == '/'", "DENY"), allow()], Outcome.DENIED),
        ([opa("match if input.ctx.request.http.path == '/a'", "DENY"), allow()], Outcome.ALLOWED),
        ([opa("match if input.ctx.service.spec.port + 1 > 3"), deny()], Outcome.DENIED),
    ],
)
def test_rules(rules: list[dict[str, Any]], outcome: Outcome) -> None:
    for rule in rules:
        part = rule["condition"].get("opa")
        if part is not None:
            part["inline"] = part["inline"].replace("'", '"')
    world = opened(*rules)
    assert world.ask().outcome is outcome


def test_combined_conditions() -> None:
    yes = {"opa": {"inline": f"{PACKAGE}match if true"}}
    no = {"opa": {"inline": f"{PACKAGE}match if false"}}
    fails = {"opa": {"inline": f"{PACKAGE}match if 1 / 0"}}
    for condition, outcome in (
        ({"all": {"of": [yes, {"match": "true"}]}}, Outcome.ALLOWED),
        ({"all": {"of": [no, fails]}}, Outcome.DENIED),
        ({"any": {"of": [no, yes, fails]}}, Outcome.ALLOWED),
        ({"any": {"of": [no, fails]}}, Outcome.ERROR),
        ({"none": {"of": [no]}}, Outcome.ALLOWED),
        ({"none": {"of": [no, fails]}}, Outcome.ERROR),
    ):
        world = opened({"effect": "ALLOW", "condition": condition})
        assert world.ask().outcome is outcome


def test_everything_that_a_condition_serves() -> None:
    rego = {"opa": {"inline": f'{PACKAGE}match if input.ctx.request.http.path == "/x"'}}
    world = World()
    enforcement = [{"effect": "IGNORE", "condition": rego}]
    world.user(authorization=inline(deny(), allow(priority=1), enforcementRules=enforcement))
    world.service("wiki.default", authorization=inline(allow(priority=2)))
    assert world.ask(request=at("/x")).allowed
    assert world.ask(request=at("/y")).outcome is Outcome.DENIED
    broken = [{"effect": "IGNORE", "condition": {"opa": {"inline": f"{PACKAGE}match if 1 / 0"}}}]
    world.user(authorization=inline(allow(), enforcementRules=broken))
    assert world.ask().outcome is Outcome.ERROR


def test_attrs_are_those_of_the_policy() -> None:
    world = World()
    world.policy("limit", opa("match if input.attrs.level > 2"), attrs={"level": 3})
    world.user(authorization={"policies": ["limit"]})
    assert world.ask().allowed
    world.policy("limit", opa("match if input.attrs.level > 2"), attrs={"level": 2})
    assert not world.ask().allowed
    world.policy("limit", opa("match if input.attrs == {}"))
    assert world.ask().allowed


def test_a_computed_configuration() -> None:
    text = """package octelium.eval
result := {"upstream": {"url": sprintf("http://%s.internal", [input.ctx.request.http.method])}} if {
    input.ctx.request.http.path == "/"
}"""
    world = opened(allow())
    rule = {"condition": {"matchAny": True}, "opa": text}
    world.service("wiki.default", dynamicConfig={"rules": [rule]})
    decision = world.ask()
    assert decision.config is not None
    assert decision.config.upstream.url == "http://GET.internal"
    # No other configuration, which may carry other credentials, takes its place.
    other = world.ask(request=at("/other"))
    assert other.outcome is Outcome.ERROR
    assert "result is undefined" in other.error
    for wrong in ("[1]", '{"upstream": {"url": "nonsense"}}', "1 / 0"):
        rule = {**rule, "opa": f"package octelium.eval\nresult := {wrong}"}
        world.service("wiki.default", dynamicConfig={"rules": [rule]})
        assert world.ask().outcome is Outcome.ERROR


# --- the memo


def test_what_is_remembered() -> None:
    world = opened(opa('match if input.ctx.request.http.path == "/"'))
    first = world.ask(request=at("/", a="1"))
    assert world.ask(request=at("/", a="2")) is first
    assert world.ask(request=at("/x")).outcome is Outcome.DENIED
    world.user(authorization=inline(opa('match if input.ctx.request.http.path == "/x"')))
    assert world.ask(request=at("/x")).allowed
    assert world.ask().outcome is Outcome.DENIED


def test_a_module_that_looks_at_the_whole_request() -> None:
    world = opened(opa("match if count(input.ctx.request.http.headers) == 1"))
    assert world.ask().allowed
    assert not world.ask(request=at("/", a="1")).allowed
    # A header given twice has two readings.
    repeated = [("http", "headers", "a")]
    assert world.ask(request=at("/", a="1"), repeated=repeated).outcome is Outcome.BAD_REQUEST


def test_time_is_that_of_the_request_and_nothing_is_remembered() -> None:
    end = int(START + 100) * 1_000_000_000
    world = opened(opa(f"match if time.now_ns() < {end}"))
    assert world.ask().allowed
    world.now += 99
    assert world.ask().allowed
    world.now += 2
    assert world.ask().outcome is Outcome.DENIED


# --- what takes long


async def test_a_slow_module_is_waited_for(evaluator: Evaluator) -> None:
    world = opened(opa(f"match if count(pairs) > 0{SLOW}"), rego=evaluator)
    pending = ask(world)
    assert not isinstance(pending, Decision)
    decision = await pending
    assert decision.allowed
    assert decision.reason.type is ReasonType.POLICY_MATCH
    # It is remembered as any other.
    assert ask(world) is decision
    refusing = opened(
        opa(f"match if count(pairs) == 0{SLOW}"),
        opa(f"match if count(pairs) > 5{SLOW}", "DENY", priority=1),
        allow(priority=2),
        rego=evaluator,
    )
    assert (await decided(refusing)).reason.type is ReasonType.POLICY_MATCH
    assert not (await decided(refusing)).allowed


async def test_a_large_module_is_waited_for(evaluator: Evaluator) -> None:
    text = 'match if input.ctx.request.http.path == "/"\n#' + "x" * 9000
    world = opened(opa(text), rego=evaluator)
    assert (await decided(world)).allowed
    assert not (await decided(world, at("/x"))).allowed
    broken = opened(opa("match if unsafe\n#" + "x" * 9000), rego=evaluator)
    decision = await decided(broken)
    assert decision.outcome is Outcome.ERROR
    assert "unsafe" in decision.error


async def test_what_changes_meanwhile_counts(evaluator: Evaluator) -> None:
    world = opened(opa(f"match if count(pairs) > 0{SLOW}"), rego=evaluator)
    pending = ask(world)
    assert not isinstance(pending, Decision)
    world.user(authorization=inline(deny(priority=-1), opa(f"match if count(pairs) > 0{SLOW}")))
    assert (await pending).outcome is Outcome.DENIED
    world.user(authorization=inline(opa(f"match if count(pairs) > 1{SLOW}")))
    pending = ask(world)
    assert not isinstance(pending, Decision)
    world.remove("Session", "ann-1")
    assert (await pending).outcome is Outcome.UNAUTHENTICATED
    world.session("ann-1", "ann")
    pending = ask(world)
    assert not isinstance(pending, Decision)
    world.remove("Service", "wiki.default")
    assert (await pending).outcome is Outcome.ERROR


async def test_without_a_process_slow_modules_fail() -> None:
    world = opened(opa(f"match if count(pairs) > 0{SLOW}"))
    decision = await decided(world)
    assert decision.outcome is Outcome.ERROR
    assert "Policy" in decision.error or "policy" in decision.error
    denying = opened(opa(f"match if count(pairs) > 0{SLOW}", "DENY"), allow())
    assert (await decided(denying)).outcome is Outcome.ERROR


async def test_failures_of_the_process_are_not_remembered(
    evaluator: Evaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = opened(opa(f"match if count(pairs) > 0{SLOW}"), rego=evaluator)
    assert (await decided(world)).allowed
    pid = evaluator.pid
    assert pid is not None
    world.octovigil.memo.clear()
    os.kill(pid, signal.SIGSTOP)
    pending = ask(world)
    assert not isinstance(pending, Decision)
    asked, ask_process = threading.Event(), HelperProcess.ask

    def asking(process: HelperProcess, question: Question, deadline: float) -> Answer:
        asked.set()
        return ask_process(process, question, deadline)

    monkeypatch.setattr(HelperProcess, "ask", asking)
    waiting = asyncio.ensure_future(pending)  # noqa: TID251 - a test
    assert await asyncio.to_thread(asked.wait, 60)
    os.kill(pid, signal.SIGKILL)
    decision = await waiting
    assert decision.outcome is Outcome.ERROR
    assert "failed" in decision.error
    assert decision.session is not None
    assert (await decided(world)).allowed
    assert evaluator.pid != pid

    def broken(*_args: object) -> object:
        raise ZeroDivisionError

    monkeypatch.setattr(evaluator, "evaluate", broken)
    world.octovigil.memo.clear()
    assert (await decided(world)).outcome is Outcome.ERROR
    monkeypatch.undo()
    assert (await decided(world)).allowed


async def test_a_full_queue_refuses(evaluator: Evaluator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluators, "MAX_WAITING", 0)
    world = opened(opa(f"match if count(pairs) > 0{SLOW}"), rego=evaluator)
    decision = await decided(world)
    assert decision.outcome is Outcome.ERROR
    assert "too many" in decision.error


async def test_an_endless_module_refuses_and_lets_others_pass(evaluator: Evaluator) -> None:
    world = opened(opa(f"match if endless{ENDLESS}", "DENY"), allow(), rego=evaluator)
    world.user("bob", authorization=inline(opa(f"match if count(pairs) > 0{SLOW}")))
    world.session("bob-1", "bob")
    quick = opened(allow('ctx.request.http.path == "/"'))
    assert quick.ask().allowed
    pending = ask(world)
    assert not isinstance(pending, Decision)
    refusal = asyncio.ensure_future(pending)  # noqa: TID251 - a test
    gaps: list[float] = []
    while not refusal.done():
        begun = time.thread_time()  # a busy machine takes time, too
        quick.octovigil.memo.clear()
        assert quick.ask().allowed
        await asyncio.sleep(0)
        gaps.append(time.thread_time() - begun)
    assert (await refusal).outcome is Outcome.ERROR
    gaps.sort()
    assert gaps[int(len(gaps) * 0.99)] < 0.05

    # At once, now that it is known.
    async def refused_again() -> float:
        begun = time.monotonic()
        again = await decided(world, at("/other"))
        assert again.outcome is Outcome.ERROR
        return time.monotonic() - begun

    assert await best_awaited(refused_again, 0.05) < 0.05
    made = DictRequest(HTTP, token=world.token("bob-1"))
    other = world.octovigil.decide(world.entry(), made, ARRIVAL)
    assert not isinstance(other, Decision)
    assert (await other).allowed


# --- open streams


async def test_open_streams_are_decided_again(evaluator: Evaluator) -> None:
    rules = f"match if {{ count(pairs) > 0; input.ctx.user.spec.email != 'x' }}{SLOW}"
    world = opened(opa(rules.replace("'", '"')), rego=evaluator)
    request = DictRequest(HTTP, token=world.token())
    decision = await decided(world)
    refusals: list[Decision] = []
    streams = [
        world.octovigil.watch(decision, world.entry(), request, ARRIVAL, refusals.append)
        for _ in range(20)
    ]
    world.user(authorization=inline(opa(rules.replace("'", '"'))), attrs={"x": 1})
    plan = None
    async with asyncio.timeout(60):
        while plan is None or len(plan.watches) < 20:
            await asyncio.sleep(0.01)
            plan = streams[0].plan
    assert not refusals
    streams[0].cancel()
    world.user(authorization=inline(opa(rules.replace("'", '"'))), email="x")
    async with asyncio.timeout(60):
        while len(refusals) < 19:
            await asyncio.sleep(0.01)
    assert all(refusal.outcome is Outcome.DENIED for refusal in refusals)


async def test_open_streams_end_when_nothing_can_be_evaluated(evaluator: Evaluator) -> None:
    world = opened(opa(f"match if count(pairs) > 0{SLOW}"), rego=evaluator)
    decision = await decided(world)
    ended: asyncio.Future[Decision] = asyncio.get_running_loop().create_future()
    request = DictRequest(HTTP, token=world.token())
    world.octovigil.watch(decision, world.entry(), request, ARRIVAL, ended.set_result)
    evaluator.close()
    world.user(authorization=inline(opa(f"match if count(pairs) > 1{SLOW}")))
    assert (await asyncio.wait_for(ended, 60)).outcome is Outcome.ERROR


# --- through the real data plane


async def test_requests_over_the_wire(evaluator: Evaluator) -> None:
    async with deciding(rego=evaluator) as world:
        world.user(authorization=inline(opa('match if input.ctx.request.http.path == "/a"')))
        assert (await world.send("/a")).status == 200
        assert (await world.send("/b")).status == 403
        world.user(
            authorization=inline(
                opa(
                    "match if { count(pairs) > 0; input.ctx.request.http.path == '/c' }".replace(
                        "'", '"'
                    )
                    + SLOW
                )
            )
        )
        assert (await world.send("/c")).status == 200
        assert (await world.send("/c", method="POST", body=b"x" * 100_000)).status == 200
        assert (await world.send("/a")).status == 403
        received = world.received
        world.user(authorization=inline(opa(f"match if endless{ENDLESS}", "DENY"), allow()))
        assert (await world.send("/c")).status == 500
        assert (await world.send("/d")).status == 500
        assert world.received == received


async def test_others_are_answered_while_a_module_hangs(evaluator: Evaluator) -> None:
    async with deciding(rego=evaluator) as world:
        world.user(authorization=inline(opa(f"match if endless{ENDLESS}", "DENY"), allow()))
        world.user("bob", authorization=inline(allow()))
        world.session("bob-1", "bob")
        assert (await world.send("/", session="bob-1")).status == 200
        hanging = asyncio.ensure_future(world.send("/"))  # noqa: TID251 - a test
        times: list[float] = []
        while not hanging.done() or len(times) < 10:
            begun = time.thread_time()
            assert (await world.send("/", session="bob-1")).status == 200
            times.append(time.thread_time() - begun)
        assert (await hanging).status == 500
        times.sort()
        assert times[len(times) * 9 // 10] < 0.05


@pytest.mark.parametrize("call", ["time.now_ns()", 'time["now_ns"]()', 'time["now\\u005fns"]()'])
async def test_what_a_long_module_allows_for_a_while_ends(call: str) -> None:
    rules = f"match if {call} < {(int(START) + 60) * 10**9}\n#" + "x" * 4000
    world = opened(opa(rules))
    assert world.ask().outcome is Outcome.ALLOWED
    world.now += 3000
    assert world.ask().outcome is Outcome.DENIED


@pytest.mark.parametrize(
    "rule", ["xN == yN", "{xN} == {yN}", "xN < yN", 'sprintf("%v", [xN]) == ""', "yN in {xN}"]
)
@pytest.mark.parametrize("levels", [16, 30])
def test_values_within_values_hold_nobody_up(rule: str, levels: int) -> None:
    steps = [
        f"{name}{level} := [{name}{level - 1}, {name}{level - 1}]"
        for level in range(1, levels + 1)
        for name in "xy"
    ]
    body = "\n".join(["x0 := [1]", "y0 := [1]", *steps, rule.replace("N", str(levels))])
    world = opened(opa(f"match if {{\n{body}\n}}"))
    assert ask(World()) is not None  # what is imported for the first decision does not count
    with within(2):  # 2 ** 30 comparisons would take minutes
        pending = ask(world)
    if isinstance(pending, Decision):
        assert pending.outcome is Outcome.ERROR
    else:
        # Somebody else's, and the rest of it as limited.
        assert asyncio.iscoroutine(pending)
        pending.close()
