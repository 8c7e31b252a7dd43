"""What is remembered, for how long, at what size; and that it is always what is true."""

from __future__ import annotations

import asyncio
import gc
import os
import tracemalloc
from collections import Counter

from octelium.octovigil.attachments import ANY, Dependency
from octelium.octovigil.memo import Memo
from octelium.octovigil.plan import PLAN_BYTES, Plan
from octelium.octovigil.triggers import Parties
from octelium.policy.decision import Decision, Outcome
from octelium.policy.request import DictRequest
from tests.conftest import SEED
from tests.octovigil import reference
from tests.octovigil.chaos import Chaos, VirtualLoop, compared
from tests.octovigil.world import HTTP, World, allow, deny, inline, uid_of


def plan(name: str, *dependencies: Dependency) -> Plan:
    parties = Parties(World().entry())
    return Plan((name, ""), parties, False, 1e12, dependencies, lambda _decision: None)


def test_plans_are_dropped_by_what_they_depend_on() -> None:
    memo = Memo()
    a = plan("a", ("User", "1"), ("Policy", ANY))
    b = plan("b", ("User", "2"))
    for each in (a, b):
        memo.put(each)
    assert memo.invalidate([("User", "3"), ("Session", "1")]) == []
    assert memo.invalidate([("User", "2")]) == [b]
    assert memo.plans == {("a", ""): a}
    assert memo.invalidate([("Policy", "new")]) == [a]
    assert memo.plans == {}
    assert memo.bytes == 0


def test_a_new_plan_takes_the_place_of_the_old() -> None:
    memo = Memo()
    old, new = plan("a", ("User", "1")), plan("a", ("User", "2"))
    memo.put(old)
    memo.put(new)
    assert memo.plans == {("a", ""): new}
    assert memo.bytes == PLAN_BYTES
    assert memo.invalidate([("User", "1")]) == []
    memo.drop(old)
    assert memo.plans == {("a", ""): new}


def test_clearing() -> None:
    memo = Memo()
    plans = [plan(name) for name in "abc"]
    for each in plans:
        memo.put(each)
    assert memo.clear() == plans
    assert memo.bytes == 0


def test_the_limit_spares_what_was_asked() -> None:
    memo = Memo(limit=10 * PLAN_BYTES)
    plans = [plan(str(index)) for index in range(20)]
    for each in plans:
        memo.put(each)
        plans[0].asked = True
        assert memo.bytes <= memo.limit
    assert ("0", "") in memo.plans
    assert ("1", "") not in memo.plans
    assert ("19", "") in memo.plans


def test_decisions_that_are_remembered_count() -> None:
    world = World(memo_limit=64 * 1024)
    world.user(authorization=inline(allow("ctx.request.http.path.startsWith('/a')")))
    memo = world.octovigil.memo
    for index in range(2000):
        form = {"http": {**HTTP["http"], "path": f"/a/{index}/" + "x" * (index % 700)}}
        assert world.ask(request=form).allowed
        assert memo.bytes <= memo.limit
        assert memo.bytes == sum(each.bytes for each in memo.plans.values())
    assert len(memo.plans) == 1


def test_the_estimate_is_near_what_plans_take() -> None:
    former = [{"tokenID": f"t{index}", "info": {"aal": "AAL2"}} for index in range(30)]
    for number, condition in (
        (0, "ctx.user.spec.type == 'HUMAN'"),
        (40, "ctx.request.http.path.startsWith('/')"),
        (0, "json.marshal(ctx).size() > 0"),
    ):
        world = World()
        for index in range(number):
            world.policy(f"p{index}", deny("ctx.user.spec.type == 'WORKLOAD'"))
        names = [f"p{index}" for index in range(number)]
        world.user(authorization={"policies": names, **inline(allow(condition))})
        for index in range(20):
            world.session(f"s{index}", "ann", status={"lastAuthentications": former})
        tokens = [world.token(f"s{index}") for index in range(20)]
        memo = world.octovigil.memo
        for _ in range(2):  # what is compiled and shared is there before anything counts
            gc.collect()
            memo.clear()
            tracemalloc.start()
            for token in tokens:
                assert world.ask(token=token).allowed
            taken, _peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        assert len(memo.plans) == 20
        assert 0.6 < memo.bytes / taken < 2, condition


def test_decisions_of_many_rules_count() -> None:
    world = World()
    rules = [deny(f"ctx.request.http.path == '/{index}'", priority=-1) for index in range(300)]
    world.user(authorization=inline(*rules, allow()))
    memo = world.octovigil.memo
    world.ask()
    before = memo.bytes
    for index in range(300):
        assert not world.ask(request={"http": {**HTTP["http"], "path": f"/{index}"}}).allowed
        assert memo.bytes == sum(each.bytes for each in memo.plans.values())
    assert memo.bytes - before > 300 * 200
    (made,) = memo.plans.values()
    made.forget()
    assert made.bytes == made.own_bytes


def test_long_values_do_not_fill_the_memo() -> None:
    world = World()
    world.user(authorization=inline(allow("ctx.request.http.path.size() > 0")))
    world.ask()
    before = world.octovigil.memo.bytes
    world.ask(request={"http": {"path": "/" + "x" * 100_000}})
    assert world.octovigil.memo.bytes - before < 1000


def test_unknown_sessions_do_not_fill_the_memo() -> None:
    world = World()
    for index in range(50):
        world.ask(token=world.token(f"nobody-{index}"))
        world.ask(token=b"garbage")
    assert len(world.octovigil.memo.plans) == 1


def test_who_is_asked_often_is_found_at_once() -> None:
    world = World()
    world.user(authorization=inline(allow()))
    service = world.entry()
    request = DictRequest(HTTP, token=world.token())
    from octelium.replica.arrival import FrontDoor

    first = world.octovigil.settle(service, request, FrontDoor("192.0.2.7", 1))
    assert world.octovigil.settle(service, request, FrontDoor("192.0.2.8", 2)) is first
    key = (uid_of("Service", "wiki.default"), uid_of("Session", "ann-1"))
    assert list(world.octovigil.memo.plans) == [key]


# --- against fresh decisions

STEPS = int(os.environ.get("OCTELIUM_MEMO_STEPS", "5000"))
_STEPS_OF_A_WORLD = 500


async def step(chaos: Chaos, seen: Counter[str]) -> None:
    """The world changes, time passes, a stream opens or ends, or a request comes."""
    pick = chaos.random.random()
    if pick < 0.02:
        chaos.changes()
        await chaos.settle()
        return
    if pick < 0.04:
        await chaos.pass_time()
        return
    if pick < 0.045:
        chaos.close()
        return
    if pick < 0.055:
        chaos.pairs[chaos.random.randrange(len(chaos.pairs))] = chaos.pair()
    service, request, arrival = chaos.request()
    expected = reference.decide(chaos.world, service.uid, request, arrival)
    decision = chaos.world.octovigil.settle(service, request, arrival)
    assert isinstance(decision, Decision)
    if decision.outcome is Outcome.BAD_REQUEST:
        assert isinstance(request, DictRequest)
        assert request.repeated(())
        return
    assert compared(decision) == expected, decision.error
    seen[expected.outcome] += 1
    if decision.allowed and chaos.rarely(0.2) and not request.repeated(()):
        chaos.open(service, request, arrival, decision)
        seen["streams"] += 1
    memo = chaos.world.octovigil.memo
    watched = sum(plan.own_bytes for plan in memo.plans.values() if plan.watches)
    assert memo.bytes <= memo.limit + watched


def test_remembered_decisions_are_fresh_ones() -> None:
    """Every decision, and every word to an open stream, is what the rules spelled out give."""
    print(f"seed {SEED}, {STEPS} steps; OCTELIUM_SEED={SEED} repeats this run")
    seen: Counter[str] = Counter()

    async def drive(seed: int, steps: int) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        chaos = Chaos(seed, loop, triggers=True)
        for number in range(steps):
            try:
                await step(chaos, seen)
            except AssertionError as error:
                error.add_note(f"OCTELIUM_SEED={SEED}: world {seed}, step {number}")
                raise
        seen["told"] += chaos.told

    for done in range(0, STEPS, _STEPS_OF_A_WORLD):
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(drive(SEED + done, min(_STEPS_OF_A_WORLD, STEPS - done)))
    print(dict(seen))
    # The worlds are no use if they all end the same way.
    for outcome in ("ALLOWED", "DENIED", "UNAUTHENTICATED", "ERROR"):
        assert seen[outcome] > STEPS // 100, seen
    assert seen["told"] > STEPS // 1000, seen


def test_nothing_is_left_of_plans_that_went() -> None:
    world = World()
    world.policy("p", deny("ctx.request.http.path == '/x'"))
    world.user(authorization={"policies": ["p"], **inline(allow())})
    for index in range(5):
        world.session(f"s{index}", "ann")
        assert world.ask(session=f"s{index}").allowed
    memo = world.octovigil.memo
    assert len(memo._sharing) == 1
    dependency = ("Policy", uid_of("Policy", "p"))
    assert len(memo._dependents[dependency]) == 1
    world.remove("Session", "s0")
    assert len(memo.plans) == 4
    assert len(memo.invalidate([dependency])) == 4
    assert not memo.plans
    assert not memo._sharing
    assert not memo._dependents
    assert memo.bytes == 0
