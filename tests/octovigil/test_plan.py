from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from octelium.policy.decision import Decision, Outcome, ReasonType
from octelium.policy.request import DictRequest, NoRequest
from octelium.replica.arrival import FrontDoor, Tunnel
from tests.octovigil.world import HTTP, World, allow, deny, inline, uid_of

if TYPE_CHECKING:
    from octelium.octovigil.plan import Plan
    from octelium.policy.rego.needed import RegoNeeded


def only_plan(world: World) -> Plan:
    (plan,) = world.octovigil.memo.plans.values()
    return plan


def at(world: World, **http: Any) -> Decision:
    return world.ask(request={"http": {**HTTP["http"], **http}})


def test_values_are_told_apart() -> None:
    world = World()
    world.user(authorization=inline(allow("ctx.request.http.bodyMap.x == true")))
    values = [1, True, 1.0, "1", None, "", 0, False, [], {}, [True]]
    for _ in range(2):
        for value in values:
            assert at(world, bodyMap={"x": value}).allowed is (value is True), value
        assert not at(world, bodyMap={}).allowed
        assert not at(world).allowed
    assert len(only_plan(world).table) == len(values) + 2


def test_only_what_is_read_matters() -> None:
    world = World()
    world.user(authorization=inline(allow("ctx.request.http.method == 'GET'")))
    first = at(world, path="/a")
    assert at(world, path="/b") is first
    assert len(only_plan(world).table) == 1
    assert only_plan(world).reads == (("http", "method"),)


def test_what_the_request_cannot_change_is_settled_once() -> None:
    world = World()
    rules = [
        deny("ctx.user.spec.type == 'WORKLOAD' && ctx.request.http.path == '/'", priority=-2),
        allow("ctx.user.spec.type == 'HUMAN' || ctx.request.http.path == '/'"),
        allow("ctx.request.http.method == 'GET'"),
    ]
    world.user(authorization=inline(*rules))
    assert world.ask().allowed
    assert only_plan(world).constant is not None


def test_a_rule_that_fails_is_reached_or_not() -> None:
    world = World()
    rules = [
        allow("ctx.request.http.path == '/ok'", priority=-1),
        deny("1 / 0 > 1"),
        allow(priority=1),
    ]
    world.user(authorization=inline(*rules))
    assert at(world, path="/ok").allowed
    decision = at(world, path="/other")
    assert decision.outcome is Outcome.ERROR
    assert "division by zero" in decision.error
    assert "User ann, rule 2" in decision.error
    assert at(world, path="/ok").allowed


def test_the_clock_is_never_remembered() -> None:
    world = World()
    world.user(authorization=inline(allow("now() < timestamp('2027-01-15T08:00:10Z')")))
    assert world.ask().allowed
    assert world.ask().expires == 0.0
    world.now += 10
    assert not world.ask().allowed
    world.now -= 5
    assert world.ask().allowed


def test_a_condition_that_looks_at_everything() -> None:
    world = World()
    world.user(authorization=inline(allow("json.marshal(ctx).contains('nee' + 'dle')")))
    assert not at(world).allowed
    assert at(world, path="/needle").allowed
    assert not at(world, path="/hay").allowed
    assert only_plan(world).reads == ((),)
    world.user(authorization=inline(allow("ctx[ctx.user.metadata.name] == 1")), info={})
    assert not at(world).allowed


@pytest.mark.parametrize(
    ("match", "repeated", "refused"),
    [
        ("ctx.request.http.headers['x-team'] == 'a'", ("http", "headers", "x-team"), True),
        ("ctx.request.http.headers['x-team'] == 'a'", ("http", "headers", "other"), False),
        ("ctx.request.http.queryParams.id == 'a'", ("http", "queryParams", "id"), True),
        ("'x-team' in ctx.request.http.headers", ("http", "headers", "x-team"), True),
        ("ctx.request.http.headers.size() > 0", ("http", "headers", "other"), True),
        ("json.marshal(ctx.request) != ''", ("http", "headers", "other"), True),
        ("json.marshal(ctx) != ''", ("http", "queryParams", "other"), True),
        ("ctx.request.http.path == '/'", ("http", "headers", "x-team"), False),
        ("ctx.request.http.path == '/'", ("http", "path"), True),
        ("ctx.request.http.uri == '/'", ("http", "uri"), True),
        ("ctx.request.http.method == 'GET'", ("http", "path"), False),
        ("json.marshal(ctx.request.http) != ''", ("http", "path"), True),
        ("ctx.user.spec.type == 'HUMAN'", ("http", "headers", "x-team"), False),
    ],
)
def test_what_is_given_twice_and_read_is_refused(
    match: str, repeated: tuple[str, ...], refused: bool
) -> None:
    world = World()
    world.user(authorization=inline(deny(match, priority=1), allow()))
    form = {"http": {**HTTP["http"], "headers": {"x-team": "a"}, "queryParams": {"id": "a"}}}
    for rules in ((deny(match, priority=-1), allow()),):
        world.user(authorization=inline(*rules))
        decision = world.ask(request=form, repeated=[repeated])
        assert (decision.outcome is Outcome.BAD_REQUEST) is refused
        if refused:
            assert "two readings" in decision.error
            assert decision.audit is not None
        again = world.ask(request=form)
        assert again.outcome is not Outcome.BAD_REQUEST


def test_a_repeated_header_that_a_configuration_reads() -> None:
    world = World()
    world.user(authorization=inline(allow()))
    rules = [{"condition": {"match": "ctx.request.http.headers.canary == 'yes'"}, "configName": ""}]
    world.service("wiki.default", dynamicConfig={"rules": rules})
    decision = world.ask(repeated=[("http", "headers", "canary")])
    assert decision.outcome is Outcome.BAD_REQUEST


def test_streams_without_a_request() -> None:
    world = World()
    world.user(authorization=inline(deny("has(ctx.request.http.path)"), allow()))
    world.service("box.default", mode="TCP", isPublic=None)
    tunnel = Tunnel(uid_of("Session", "ann-1"), "100.65.0.2")
    decide = world.octovigil.settle
    assert decide(world.entry("box.default"), NoRequest(), tunnel).allowed
    world.user(authorization=inline(allow("!has(ctx.request.http)")))
    # There is no request at all, so the expression finds nothing there, and is false.
    assert not decide(world.entry("box.default"), NoRequest(), tunnel).allowed
    assert decide(world.entry("box.default"), DictRequest({"ssh": {}}), tunnel).allowed


def test_a_request_that_is_no_json_is_refused() -> None:
    world = World()
    world.user(authorization=inline(allow("ctx.request.http.path != ''")))
    decision = at(world, path=b"bytes")
    assert decision.outcome is Outcome.ERROR


def test_a_request_that_fails_is_refused() -> None:
    class Failing(DictRequest):
        def read(self, path: tuple[str, ...]) -> object:
            raise ZeroDivisionError

    world = World()
    world.user(authorization=inline(allow("ctx.request.http.path != ''")))
    made = Failing({}, token=world.token())
    decision = world.octovigil.settle(
        world.entry(), made, Tunnel(uid_of("Session", "ann-1"), "100.65.0.2")
    )
    assert decision.outcome is Outcome.ERROR
    assert decision.audit is not None


@pytest.mark.parametrize(
    ("pinned", "address", "refused"),
    [
        ("192.0.2.7", "192.0.2.7", False),
        ("192.0.2.7", "192.0.2.8", True),
        ("192.0.2.7", "", False),
        ("", "192.0.2.8", False),
        ("2001:db8::1", "2001:0db8:0:0::1", False),
        ("2001:db8::1", "2001:db8::2", True),
        ("192.0.2.7", "garbage", True),
    ],
)
@pytest.mark.parametrize("kind", ["CLIENT", "CLIENTLESS"])
@pytest.mark.parametrize("enabled", [True, False])
def test_sessions_of_browsers_are_pinned_to_their_address(
    pinned: str, address: str, refused: bool, kind: str, enabled: bool
) -> None:
    world = World()
    world.user(authorization=inline(allow()))
    world.session("ann-1", "ann", kind=kind, address=pinned)
    world.put("ClusterConfig", "default", {"ingress": {"useForwardedForHeader": enabled}})
    decision = world.ask(client_address=address)
    if refused and enabled and kind == "CLIENTLESS":
        assert decision.outcome is Outcome.DENIED
        assert decision.reason.type is ReasonType.TYPE_UNKNOWN_REASON
        assert decision.reason.json() == {}
    else:
        assert decision.allowed


def test_decisions_are_shared() -> None:
    world = World()
    world.user(authorization=inline(allow("ctx.request.http.path != '/x'")))
    assert at(world, path="/a") is at(world, path="/b")
    assert at(world, path="/x") is at(world, path="/x")


def test_many_failures_are_told_and_not_all_kept() -> None:
    world = World()
    world.user(authorization=inline(allow("int(ctx.request.http.path) > 1")))
    for index in range(500):
        assert at(world, path=f"/{index}").outcome is Outcome.ERROR
    world.user(authorization=inline(allow("{}[ctx.request.http.path] == 1")))
    for index in range(500):
        assert not at(world, path=f"/{index}").allowed
    assert len(only_plan(world)._made) <= 256


async def test_what_takes_long_is_asked_for_in_the_name_of_the_user() -> None:
    asked: list[str] = []

    class Evaluating:
        async def evaluate(self, needed: RegoNeeded, deadline: float) -> object:
            asked.append(needed.results.asker)
            return True

    module = """package octelium.condition
    match if {
        count([1 | some a in numbers.range(1, 99); some b in numbers.range(1, 99)]) > 0
        input.ctx.request.http.path != ""
    }"""
    rule = {"effect": "ALLOW", "condition": {"opa": {"inline": module}}}
    world = World(rego=Evaluating())
    world.user(authorization=inline(rule))
    token = world.token("ann-1")
    decision = world.octovigil.decide(
        world.entry(), DictRequest(HTTP, token=token), FrontDoor("192.0.2.7", 40000)
    )
    assert not isinstance(decision, Decision)
    assert (await decision).allowed
    assert asked == [uid_of("User", "ann")]
