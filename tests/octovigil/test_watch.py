"""Open streams end when their decision turns into a refusal, and only then."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from octelium.octovigil import watch
from octelium.policy.decision import Decision, Outcome, ReasonType
from octelium.policy.request import DictRequest
from octelium.replica.arrival import FrontDoor
from tests.octovigil.world import HTTP, World, allow, deny, inline, stamp

if TYPE_CHECKING:
    import pytest

    from octelium.octovigil.watch import StreamWatch

if TYPE_CHECKING:
    from collections.abc import Callable


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
        await asyncio.wait_for(self.ended.wait(), 5)
        (refusal,) = self.refusals
        return refusal


async def settle() -> None:
    """Let what is due run."""
    for _ in range(5):
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


async def test_thousands_of_streams_do_not_hold_up_the_loop() -> None:
    world = open_world()
    streams = [Stream(world) for _ in range(3000)]
    loop = asyncio.get_running_loop()
    world.user()
    longest, last = 0.0, loop.time()
    while not all(stream.refusals for stream in streams):
        await asyncio.sleep(0)
        now = loop.time()
        longest, last = max(longest, now - last), now
    assert longest < 0.25


async def test_watched_plans_are_not_dropped_for_room() -> None:
    world = World(memo_limit=30_000)
    world.user(authorization=inline(allow()))
    stream = Stream(world)
    for index in range(30):
        world.session(f"s{index}", "ann")
        assert world.ask(session=f"s{index}").allowed
    world.remove("Session", "ann-1")
    assert (await stream.end()).outcome is Outcome.UNAUTHENTICATED
