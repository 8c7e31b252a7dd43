"""Open streams end when their decision turns into a refusal, and only then."""

from __future__ import annotations

import asyncio
import itertools
import logging
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from octelium.octovigil import policies, watch
from octelium.octovigil.compilation import AT_ONCE, Compilations
from octelium.policy.condition import compile_condition
from octelium.policy.decision import Decision, Outcome, ReasonType
from octelium.policy.rego.module import LARGE
from octelium.policy.request import DictRequest
from octelium.replica.arrival import FrontDoor
from tests.octovigil.world import HTTP, World, allow, deny, inline, stamp

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.octovigil.watch import StreamWatch
    from octelium.policy.rego.needed import RegoNeeded


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let streams wait for as long as a test takes."""
    monkeypatch.setattr(watch, "PATIENCE", 600.0)
    monkeypatch.setattr(watch, "CLOCK_PATIENCE", 600.0)
    monkeypatch.setattr(watch, "VOLATILE_PERIOD", 600.0)


class Stream:
    """An open stream of `ann-1` to `wiki.default`."""

    def __init__(self, world: World, path: str = "/", session: str | None = "ann-1") -> None:
        self.refusals: list[Decision] = []
        self.ended = asyncio.Event()
        token = None if session is None else world.token(session)
        form = {"http": {**HTTP["http"], "path": path}}
        self.request = DictRequest(form, token=token)
        arrival = FrontDoor("192.0.2.7", 1)
        self.decision = world.octovigil.settle(world.entry(), self.request, arrival)
        assert self.decision.allowed
        self.handle: StreamWatch = world.octovigil.watch(
            self.decision, world.entry(), self.request, arrival, self.refused
        )

    def refused(self, decision: Decision) -> None:
        self.refusals.append(decision)
        self.ended.set()

    async def end(self) -> Decision:
        await asyncio.wait_for(self.ended.wait(), 60)
        (refusal,) = self.refusals
        return refusal


async def settle() -> None:
    """Let what is due run."""
    for _ in range(20):
        await asyncio.sleep(0)


def open_world() -> World:
    world = World()
    world.user(authorization=inline(allow()))
    return world


async def test_a_deleted_session_ends_its_streams() -> None:
    world = open_world()
    stream = Stream(world)
    world.remove("Session", "ann-1")
    refusal = await stream.end()
    assert refusal.outcome is Outcome.UNAUTHENTICATED
    assert refusal.audit is not None


async def test_every_kind_of_change_is_noticed() -> None:
    changes: dict[str, Callable[[World], None]] = {
        "session": lambda world: world.session("ann-1", "ann", state="REJECTED"),
        "user": lambda world: world.user(isDisabled=True, authorization=inline(allow())),
        "policy": lambda world: world.user(),
        "service policy": lambda world: world.service("wiki.default", authorization=inline(deny())),
        "disabled service": lambda world: world.service("wiki.default", isDisabled=True),
        "deleted service": lambda world: world.remove("Service", "wiki.default"),
        "cluster": lambda world: world.put(
            "ClusterConfig", "default", {"authorization": inline(deny())}
        ),
        "trigger": lambda world: world.put(
            "PolicyTrigger",
            "t",
            status={"preCondition": {"matchAny": True}, **inline(deny())},
        ),
        "deleted user": lambda world: world.remove("User", "ann"),
    }
    for name, change in changes.items():
        world = open_world()
        stream = Stream(world)
        change(world)
        refusal = await stream.end()
        assert not refusal.allowed, name


async def test_what_does_not_refuse_does_not_end() -> None:
    world = open_world()
    stream = Stream(world)
    world.user(authorization=inline(allow("ctx.request.http.path == '/'")))
    world.service("wiki.default", port=81)
    world.session("ann-1", "ann")
    world.put("User", "bob")
    await settle()
    assert stream.refusals == []
    world.user(authorization=inline(allow("ctx.request.http.path == '/x'")))
    assert (await stream.end()).reason.type is ReasonType.NO_POLICY_MATCH


async def test_only_the_streams_concerned_end() -> None:
    world = World()
    rules = [deny("ctx.request.http.path == '/a'"), allow()]
    world.user(authorization=inline(allow()))
    a, b = Stream(world, "/a"), Stream(world, "/b")
    world.user(authorization=inline(*rules))
    await a.end()
    await settle()
    assert b.refusals == []


async def test_a_replaced_token_does_not_end_a_stream() -> None:
    world = open_world()
    stream = Stream(world)
    world.session("ann-1", "ann", status={"authentication": {
        "tokenID": "00000000-0000-0000-0000-000000000001",
        "setAt": stamp(world.now),
        "accessTokenDuration": {"hours": 1},
    }})  # fmt: skip
    await settle()
    assert stream.refusals == []
    assert world.ask().outcome is Outcome.UNAUTHENTICATED


async def test_the_end_of_the_authentication_ends_a_stream() -> None:
    world = open_world()
    stream = Stream(world)
    world.now += 3600
    assert stream.handle.timer is not None
    assert 0 < stream.handle.timer.when() - asyncio.get_running_loop().time() <= 3600.1
    stream.handle.timer._run()
    assert (await stream.end()).reason.type is ReasonType.ACCESS_TOKEN_EXPIRED


async def test_a_timer_runs_by_itself() -> None:
    world = open_world()
    world.now += 3599.98
    stream = Stream(world)
    world.now += 1
    refusal = await stream.end()
    assert refusal.reason.type is ReasonType.ACCESS_TOKEN_EXPIRED


async def test_conditions_on_the_clock_are_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "VOLATILE_PERIOD", 0.01)
    world = World()
    world.user(authorization=inline(allow("now() < timestamp('2027-01-15T09:00:00Z')")))
    world.session("ann-1", "ann", set_at=world.now + 3600)
    stream = Stream(world)
    await asyncio.sleep(0.05)
    assert stream.refusals == []
    world.now += 3600
    assert (await stream.end()).reason.type is ReasonType.NO_POLICY_MATCH


async def test_what_changed_before_the_watch_began() -> None:
    world = open_world()
    token = world.token()
    request = DictRequest(HTTP, token=token)
    arrival = FrontDoor("192.0.2.7", 1)
    decision = world.octovigil.settle(world.entry(), request, arrival)
    service = world.entry()
    world.user()
    refusals: list[Decision] = []
    handle = world.octovigil.watch(decision, service, request, arrival, refusals.append)
    assert refusals == []
    await settle()
    assert [refusal.outcome for refusal in refusals] == [Outcome.DENIED]
    handle.cancel()


async def test_cancelled_watches_hear_nothing() -> None:
    world = open_world()
    stream, late = Stream(world), Stream(world)
    stream.handle.cancel()
    stream.handle.cancel()
    world.user()
    late.handle.cancel()
    await settle()
    assert stream.refusals == late.refusals == []
    assert all(not plan.watches for plan in world.octovigil.memo.plans.values())


async def test_anonymous_streams() -> None:
    world = World()
    world.service("wiki.default", isAnonymous=True)
    stream = Stream(world, session=None)
    world.service("wiki.default", isAnonymous=True, port=81)
    await settle()
    assert stream.refusals == []
    world.service("wiki.default")
    assert (await stream.end()).outcome is Outcome.UNAUTHENTICATED


async def test_a_failing_callback_harms_no_other(caplog: pytest.LogCaptureFixture) -> None:
    world = open_world()
    streams = [Stream(world) for _ in range(3)]

    def fail(_decision: Decision) -> None:
        raise ZeroDivisionError

    streams[0].handle.callback = fail
    world.user()
    with caplog.at_level(logging.CRITICAL):
        await streams[1].end()
        await streams[2].end()


async def test_thousands_of_streams_do_not_hold_up_the_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks = itertools.count()
    # By this clock, each decision takes a millisecond.
    monkeypatch.setattr(watch, "time", SimpleNamespace(monotonic=lambda: next(looks) / 1000))
    world = open_world()
    refused: list[Decision] = []
    for _ in range(3000):
        Stream(world).handle.callback = refused.append
    world.user()
    most = 0
    while len(refused) < 3000:
        before = len(refused)
        await asyncio.sleep(0)
        most = max(most, len(refused) - before)
    assert 1 < most <= 1000 * watch._SLICE + 1


async def test_watched_plans_are_not_dropped_for_room() -> None:
    world = World(memo_limit=30_000)
    world.user(authorization=inline(allow()))
    stream = Stream(world)
    for index in range(30):
        world.session(f"s{index}", "ann")
        assert world.ask(session=f"s{index}").allowed
    world.remove("Session", "ann-1")
    assert (await stream.end()).outcome is Outcome.UNAUTHENTICATED


# --- decisions that have to wait


class Evaluator:
    """Evaluates modules when it is told to; `asked` are the paths of the requests."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.running = self.most = 0
        self.answer: asyncio.Future[object] = asyncio.get_running_loop().create_future()

    async def evaluate(self, needed: RegoNeeded, _deadline: float) -> object:
        document = needed.document.decode()
        self.asked.append(document.partition('"path":"')[2].partition('"')[0])
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            return await asyncio.shield(self.answer)
        finally:
            self.running -= 1


def slow_rule(version: int = 0) -> dict[str, Any]:
    """A Policy whose decisions have to be obtained elsewhere, each anew."""
    module = f"""package octelium.condition
    match if {{ time.now_ns() > {version}; input.ctx.request.http.path != "" }}
    #{"x" * LARGE}"""
    return {"effect": "ALLOW", "condition": {"opa": {"inline": module}}}


def long(rule: dict[str, Any]) -> list[dict[str, Any]]:
    """Rules that a thread has to compile."""
    count = AT_ONCE // 20
    rules = [deny(f"ctx.request.http.path == '/no-{index}'", priority=-1) for index in range(count)]
    return [rule, *rules]


class Slow:
    """Streams of `eve` wait for modules; those of `ann` never do."""

    def __init__(self, streams: int) -> None:
        self.evaluator = Evaluator()
        self.world = world = World(rego=self.evaluator)
        world.policy("fast", *long(allow()))
        world.policy("slow", slow_rule())
        world.user("ann", authorization={"policies": ["fast"]})
        world.user("eve", authorization={"policies": ["slow"]})
        world.session("eve-1", "eve")
        self.ended: list[str] = []
        self.ann = [self.open("ann", index) for index in range(streams)]
        self.eve = [self.open("eve", index) for index in range(streams)]

    def open(self, who: str, index: int) -> Stream:
        """A stream that notes when it ends."""
        stream = Stream(self.world, f"/{who}-{index}", f"{who}-1")
        refused = stream.refused

        def note(decision: Decision) -> None:
            self.ended.append(who)
            refused(decision)

        stream.handle.callback = note
        return stream

    @staticmethod
    def _is_undecided(stream: Stream) -> bool:
        handle = stream.handle
        return handle.limit is None or handle.compiling is not None

    async def stall(self) -> None:
        """Change Eve's Policy, so that all her streams wait for the evaluator."""
        self.world.policy("slow", slow_rule(1))
        async with asyncio.timeout(60):
            while any(self._is_undecided(stream) for stream in self.eve):
                await asyncio.sleep(0)
        await settle()
        assert self.evaluator.running
        assert not self.ended


@pytest.mark.parametrize("streams", [250])
async def test_the_slow_keep_nobody_waiting(streams: int, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []

    def compile_counted(condition: Any, *rest: Any) -> Any:
        compiled.append(condition.match)
        return compile_condition(condition, *rest)

    slow = Slow(streams)
    await slow.stall()
    monkeypatch.setattr(policies, "compile_condition", compile_counted)
    # Ann's Policy takes compiling, which is done once for all her streams.
    slow.world.policy("fast", *long(deny()))
    for stream in slow.ann:
        assert (await stream.end()).reason.type is ReasonType.POLICY_MATCH
    assert slow.ended == ["ann"] * streams
    assert len(compiled) == AT_ONCE // 20 + 1
    assert slow.evaluator.most <= watch.MAX_WAITED_FOR_EACH
    # What needs no module is decided at once on those who wait for one.
    asked = len(slow.evaluator.asked)
    slow.world.remove("Session", "eve-1")
    for stream in slow.eve:
        assert (await stream.end()).outcome is Outcome.UNAUTHENTICATED
    await settle()
    assert len(slow.evaluator.asked) == asked
    assert not slow.evaluator.running
    assert not slow.evaluator.answer.done()


@pytest.mark.parametrize(
    "change",
    [
        lambda world: world.user("eve", isDisabled=True, authorization={"policies": ["slow"]}),
        lambda world: world.session("eve-1", "eve", state="REJECTED"),
        lambda world: world.policy("slow", deny()),
        lambda world: world.policy("slow", slow_rule(2), deny(priority=-1)),
        lambda world: world.service("wiki.default", isDisabled=True),
    ],
)
async def test_changes_reach_those_who_wait(change: Callable[[World], None]) -> None:
    slow = Slow(3)
    await slow.stall()
    change(slow.world)
    for stream in slow.eve:
        assert not (await stream.end()).allowed
    assert not slow.evaluator.answer.done()


async def test_changes_reach_those_who_wait_for_compiling(monkeypatch: pytest.MonkeyPatch) -> None:
    world = open_world()
    stream = Stream(world)
    going: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def finish(*_args: object) -> None:
        await going

    monkeypatch.setattr(Compilations, "finish", finish)
    world.user(authorization=inline(*long(allow())))
    await settle()
    assert not stream.refusals
    world.session("ann-1", "ann", state="REJECTED")
    assert not (await stream.end()).allowed
    assert not going.done()
    going.set_result(None)


async def test_what_is_obtained_is_decided_on_the_resources_of_that_moment() -> None:
    slow = Slow(3)
    await slow.stall()
    slow.world.policy("slow", allow())
    await settle()
    assert not slow.ended
    assert all(stream.handle.plan is not None for stream in slow.eve)
    slow.world.policy("slow", slow_rule(3))
    await settle()
    slow.evaluator.answer.set_result(False)
    for stream in slow.eve:
        assert (await stream.end()).reason.type is ReasonType.NO_POLICY_MATCH
    assert len(slow.ended) == 3


async def test_who_goes_on_waits_again() -> None:
    slow = Slow(5)
    await slow.stall()
    slow.evaluator.answer.set_result(True)
    async with asyncio.timeout(60):
        while any(stream.handle.limit is not None for stream in slow.eve):
            await asyncio.sleep(0)
    assert not slow.ended
    assert sorted(slow.evaluator.asked) == sorted(f"/eve-{index}" for index in range(5))
    slow.world.remove("Session", "eve-1")
    for stream in slow.eve:
        await stream.end()


async def test_everybody_has_a_turn() -> None:
    slow = Slow(50)
    for name in ("bob", "joe"):
        slow.world.user(name, authorization={"policies": ["slow"]})
        slow.world.session(f"{name}-1", name)
        slow.open(name, 0)
    await slow.stall()
    assert {"/bob-0", "/joe-0"} <= set(slow.evaluator.asked[:4])
    assert slow.evaluator.most == 2 + watch.MAX_WAITED_FOR_EACH


async def test_nobody_waits_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "PATIENCE", 0.05)
    slow = Slow(4)
    slow.world.policy("slow", slow_rule(1))
    for stream in slow.eve:
        refusal = await stream.end()
        assert refusal.outcome is Outcome.ERROR
        assert "too long" in refusal.error
        assert refusal.audit is not None
    await settle()
    assert not slow.evaluator.running
    assert not any(stream.refusals for stream in slow.ann)


async def test_the_clock_gives_more_time_than_a_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "PATIENCE", 60.0)
    slow = Slow(1)
    (stream,) = slow.eve
    now = asyncio.get_running_loop().time()
    assert stream.handle.timer is not None
    stream.handle.timer._run()
    await settle()
    assert stream.handle.limit is not None
    assert stream.handle.limit.when() > now + 500
    slow.world.policy("slow", slow_rule(1))
    await settle()
    assert stream.handle.limit is not None
    assert now + 30 < stream.handle.limit.when() < now + 120
    assert slow.evaluator.asked == ["/eve-0"]


async def test_cancelled_watches_leave_their_turns_to_others() -> None:
    slow = Slow(6)
    await slow.stall()
    for stream in slow.eve[:-1]:
        stream.handle.cancel()
    async with asyncio.timeout(60):
        while "/eve-5" not in slow.evaluator.asked or slow.evaluator.running > 1:
            await asyncio.sleep(0)
    assert slow.evaluator.running == 1
    slow.eve[-1].handle.cancel()
    await settle()
    assert not slow.evaluator.running
    assert not slow.ended


async def test_what_cannot_be_compiled_ends_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    world = open_world()
    stream = Stream(world)

    def fail(*_args: object) -> object:
        raise MemoryError

    monkeypatch.setattr(policies, "compile_condition", fail)
    world.user(authorization=inline(*long(allow())))
    refusal = await stream.end()
    assert refusal.outcome is Outcome.ERROR
    assert "MemoryError" in refusal.error


async def test_a_decision_that_still_holds_is_not_made_twice() -> None:
    slow = Slow(2)
    await settle()
    assert not slow.evaluator.asked
    assert all(stream.handle.plan is not None for stream in (*slow.ann, *slow.eve))


async def test_who_has_many_streams_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_SLICE", -1.0)  # one decision each time round
    world = World()
    ended: list[str] = []
    for name in ("eve", "ann"):
        world.user(name, authorization=inline(allow()))
        world.session(f"{name}-1", name)
    for name, count in (("eve", 500), ("ann", 2)):
        for _ in range(count):
            stream = Stream(world, "/", f"{name}-1")
            stream.handle.callback = lambda _decision, name=name: ended.append(name)
    world.user("eve")
    world.remove("Session", "ann-1")
    async with asyncio.timeout(60):
        while len(ended) < 502:
            await asyncio.sleep(0)
    assert [index for index, name in enumerate(ended) if name == "ann"] == [1, 3]


async def test_nothing_stops_when_a_decision_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    world = open_world()
    streams = [Stream(world, "/bad"), Stream(world, "/good")]
    decide = streams[0].handle.watcher._decide

    def failing(service: Any, uid: str, request: Any) -> Any:
        if request is streams[0].request:
            raise ZeroDivisionError
        return decide(service, uid, request)

    monkeypatch.setattr(streams[0].handle.watcher, "_decide", failing)
    world.session("ann-1", "ann")
    assert (await streams[0].end()).outcome is Outcome.ERROR
    world.remove("Session", "ann-1")
    assert (await streams[1].end()).outcome is Outcome.UNAUTHENTICATED
