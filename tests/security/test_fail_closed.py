"""Whatever fails on the way to a decision refuses.

Each failure stands at each place where a failure could have led to a refusal, in a Cluster that
would let the request in if the failing part were left out, or taken for true, or for false.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from octelium.identity.tokens import Verifier
from octelium.octovigil import checks, scoping
from octelium.octovigil.configs import DEFAULT, ServiceConfigs
from octelium.octovigil.plan import Plan
from octelium.octovigil.planner import Planner
from octelium.policy.decision import Outcome, ReasonType
from tests.octovigil.world import World, allow, deny, inline
from tests.security.deciding import Deciding, deciding

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    Place = Callable[[World, dict[str, Any]], None]


# --- what fails


FAILURES: dict[str, dict[str, Any]] = {
    "division by zero": {"match": "1 / 0 > 1"},
    "overflow": {"match": "9223372036854775807 + int(ctx.service.status.port) > 0"},
    "double and int": {"match": "ctx.service.status.port + 1 > 3"},
    "text and number": {"match": "ctx.user.metadata.name > 1"},
    "no such overload": {"match": "size(ctx.service.status.port) > 0"},
    "field of a text": {"match": "ctx.user.metadata.name.first == 'a'"},
    "text for a bool": {"match": "ctx.user.metadata.name"},
    "number for a bool": {"match": "ctx.service.status.port"},
    "null for a bool": {"match": "dyn(null)"},
    "the text true": {"match": "dyn('true')"},
    "the number one": {"match": "dyn(1)"},
    "list for a bool": {"match": "dyn([true])"},
    "bad pattern": {"match": "'a'.matches(ctx.user.metadata.name + '(')"},
    "bad timestamp": {"match": "timestamp(ctx.user.metadata.name) > timestamp(0)"},
    "bad network": {"match": "net.isIPInRange('10.0.0.1', ctx.user.metadata.name)"},
    "bad zone": {"match": "time.isWeekdayInTZ(now(), ctx.user.metadata.name)"},
    "empty list": {"match": "[].max() == 1"},
    "bad json": {"match": "json.parse(ctx.user.metadata.name) == {}"},
    "undeclared variable": {"match": "user.metadata.name == 'ann'"},
    "unknown function": {"match": "ctx.user.metadata.name.frobnicate()"},
    "syntax": {"match": "ctx.user =="},
    "blank": {"match": "  "},
    "too long": {"match": "true || " + "'" + "x" * 10_000 + "' == ''"},
    "too dear": {
        "match": "[1,2,3,4,5,6,7,8,9].map(a, [a,a,a,a,a,a,a,a,a]).all(a, a.all(b, "
        "[1,2,3,4,5,6,7,8,9].all(c, [1,2,3,4,5,6,7,8,9].all(d, [1,2,3,4,5,6,7,8,9].all(e, "
        "[1,2,3,4,5,6,7,8,9].all(f, [1,2,3,4,5,6,7,8,9].all(g, true)))))))"
    },
    "negated": {"not": "1 / 0 > 1"},
    "negated text": {"not": "ctx.user.metadata.name"},
    "in all": {"all": {"of": [{"matchAny": True}, {"match": "1 / 0 > 1"}]}},
    "in any": {"any": {"of": [{"matchAny": False}, {"match": "1 / 0 > 1"}]}},
    "in none": {"none": {"of": [{"matchAny": False}, {"match": "1 / 0 > 1"}]}},
    "before what decides any": {"any": {"of": [{"match": "1 / 0 > 1"}, {"matchAny": True}]}},
    "before what decides all": {"all": {"of": [{"match": "1 / 0 > 1"}, {"matchAny": False}]}},
    "before what decides none": {"none": {"of": [{"match": "1 / 0 > 1"}, {"matchAny": True}]}},
    "deep in none": {"none": {"of": [{"none": {"of": [{"not": "1 / 0 > 1"}]}}]}},
    "only with the request": {"match": "int(ctx.request.http.path) > 0"},
    "not boolean with the request": {"match": "ctx.request.http.method"},
}


# --- where it stands


def _rules(*rules: dict[str, Any]) -> Callable[[World, dict[str, Any]], dict[str, Any]]:
    def make(_world: World, failing: dict[str, Any]) -> dict[str, Any]:
        return inline(*[{**rule, "condition": rule["condition"] or failing} for rule in rules])

    return make


FAILING_DENY = {"effect": "DENY", "condition": None, "priority": -1}
FAILING_ALLOW = {"effect": "ALLOW", "condition": None, "priority": -1}


def of_user(*rules: dict[str, Any]) -> Place:
    def put(world: World, failing: dict[str, Any]) -> None:
        world.user(authorization=_rules(*rules)(world, failing))

    return put


def at(kind: str) -> Place:
    """A rule of a Policy attached to a resource of this kind, in a world that is open else."""

    def put(world: World, failing: dict[str, Any]) -> None:
        world.put("Policy", "p", {"rules": [{**FAILING_DENY, "condition": failing}]})
        there: dict[str, Any] = {"authorization": {"policies": ["p"]}}
        everybody = inline(allow())
        world.user(authorization=everybody, groups=["team"] if kind == "Group" else [])
        if kind == "Service":
            world.service("wiki.default", **there)
        elif kind == "Session":
            world.session("ann-1", "ann", **there)
        elif kind == "Device":
            world.put("Device", "laptop", {"state": "ACTIVE", **there})
            world.session("ann-1", "ann", device="laptop")
        else:
            names = {"Namespace": "default", "Group": "team", "ClusterConfig": "default"}
            world.put(kind, names[kind], there, {"domain": "example.com"} if kind[0] == "C" else {})

    return put


def enforcement(effect: str, *others: dict[str, Any]) -> Place:
    def put(world: World, failing: dict[str, Any]) -> None:
        rules = [{"effect": effect, "condition": failing}, *others]
        guard = inline(deny(), enforcementRules=rules)["inlinePolicies"]
        open_to_all = inline(allow(priority=1))["inlinePolicies"]
        world.user(authorization={"inlinePolicies": [*guard, *open_to_all]})

    return put


def trigger(rule: dict[str, Any], wrap: Callable[[dict[str, Any]], dict[str, Any]]) -> Place:
    def put(world: World, failing: dict[str, Any]) -> None:
        world.user(authorization=inline(allow(priority=1)))
        status = {"preCondition": wrap({"condition": failing}), **inline(rule)}
        world.put("PolicyTrigger", "t", status=status)

    return put


def configuration(rule: Callable[[dict[str, Any]], dict[str, Any]]) -> Place:
    def put(world: World, failing: dict[str, Any]) -> None:
        world.user(authorization=inline(allow()))
        other = {"name": "other", "upstream": {"url": "http://127.0.0.1:9"}}
        rules = [rule(failing), {"condition": {"matchAny": True}, "configName": DEFAULT}]
        world.service("wiki.default", dynamicConfig={"configs": [other], "rules": rules})

    return put


IGNORED = {"effect": "IGNORE", "condition": {"matchAny": True}}

PLACES: dict[str, Place] = {
    "a rule that denies": of_user(FAILING_DENY, allow()),
    "a rule that allows, before another": of_user(FAILING_ALLOW, allow()),
    **{f"a rule at the {kind}": at(kind) for kind in (
        "Service", "Namespace", "Group", "Session", "Device", "ClusterConfig"
    )},
    "an enforcement rule that enforces": enforcement("ENFORCE", IGNORED),
    "an enforcement rule that ignores": enforcement("IGNORE"),
    "a trigger of a denial": trigger(deny(), lambda failing: failing),
    "a trigger of a permission": trigger(allow(), lambda failing: failing),
    "a trigger among any": trigger(deny(), lambda failing: {"any": {"of": [failing]}}),
    "a trigger among all": trigger(
        deny(), lambda failing: {"all": {"of": [{"matchAny": True}, failing]}}
    ),
    "the condition of a configuration": configuration(
        lambda failing: {"condition": failing, "configName": "other"}
    ),
}  # fmt: skip


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("place", PLACES)
def test_every_failure_at_every_place(place: str, failure: str) -> None:
    world = World()
    PLACES[place](world, FAILURES[failure])
    for _ in range(2):  # the second answer may be a remembered one
        decision = world.ask()
        assert decision.outcome is Outcome.ERROR
        assert decision.error
        assert decision.error.count("rule 1") <= 1
        assert decision.reason.type is ReasonType.TYPE_UNKNOWN_REASON
        assert decision.config is None
        assert decision.audit is not None


@pytest.mark.parametrize("place", PLACES)
def test_the_places_are_open_without_the_failure(place: str) -> None:
    """Otherwise the test above would show nothing."""
    for condition in ({"matchAny": True}, {"matchAny": False}):
        world = World()
        PLACES[place](world, condition)
        if world.ask().allowed:
            return
    pytest.fail("nobody gets in here, whatever the condition")


# --- other failures


@pytest.fixture
async def here() -> AsyncIterator[Deciding]:
    async with deciding() as made:
        yield made


def _missing(world: World, kind: str) -> None:
    names = {"User": "ann", "Device": "laptop", "Namespace": "default", "Group": "team"}
    world.put("Device", "laptop", {"state": "ACTIVE"})
    world.put("Group", "team")
    world.session("ann-1", "ann", device="laptop")
    world.user(groups=["team"], authorization=inline(allow()))
    world.remove(kind, names[kind])


def _missing_policy(world: World, owner: str) -> None:
    there = {"authorization": {"policies": ["gone"]}}
    world.user(authorization=inline(allow()))
    if owner == "Service":
        world.service("wiki.default", **there)
    elif owner == "Namespace":
        world.put("Namespace", "default", there)
    elif owner == "ClusterConfig":
        world.put("ClusterConfig", "default", there, {"domain": "example.com"})
    elif owner == "trigger":
        status = {"preCondition": {"matchAny": False}, "policies": ["gone"]}
        world.put("PolicyTrigger", "t", status=status)
    elif owner == "parent":
        world.policy("child.gone", allow())
        world.service("wiki.default", authorization={"policies": ["child.gone"]})


@pytest.mark.parametrize("kind", ["User", "Device", "Namespace", "Group"])
async def test_a_missing_party(here: Deciding, kind: str) -> None:
    _missing(here, kind)
    assert (await here.send()).status == 500
    assert here.received == 0


@pytest.mark.parametrize("owner", ["Service", "Namespace", "ClusterConfig", "trigger", "parent"])
async def test_a_missing_policy(here: Deciding, owner: str) -> None:
    """It might have refused; so might one that only a trigger names."""
    _missing_policy(here, owner)
    assert (await here.send()).status == 500
    assert here.received == 0


@pytest.mark.parametrize(
    "rule",
    [
        {"configName": "gone"},
        {"eval": "1 / 0"},
        {"eval": "ctx.user.nothing"},
        {"eval": "'text'"},
        {"eval": "{'upstream': {'url': 'nonsense'}}"},
        {"eval": "{'unknown': {}}"},
        {"eval": "{'parent': 'gone'}"},
        {"eval": "ctx."},
        {},
    ],
)
async def test_a_failed_configuration_is_never_another_one(
    here: Deciding, rule: dict[str, Any]
) -> None:
    here.user(authorization=inline(allow()))
    rules = [
        {"condition": {"matchAny": True}, **rule},
        {"condition": {"matchAny": True}, "configName": DEFAULT},
    ]
    here.service("wiki.default", dynamicConfig={"rules": rules})
    assert (await here.send()).status == 500
    assert here.received == 0


def test_a_rule_of_no_effect_never_allows() -> None:
    world = World()
    world.user(authorization=inline({"condition": {"matchAny": True}}))
    assert not world.ask().allowed


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (Verifier, "verify"),
        (Planner, "known"),
        (Plan, "decide"),
        (checks, "refusal"),
        (scoping, "covers_service"),
        (ServiceConfigs, "select"),
    ],
)
def test_the_code_itself_may_fail(
    monkeypatch: pytest.MonkeyPatch, owner: object, name: str
) -> None:
    """Whatever part of a decision raises whatever, nobody gets in."""

    def fail(*_args: object, **_rest: object) -> object:
        raise RuntimeError("a bug")

    world = World()
    world.user(authorization=inline(allow("ctx.request.http.path == '/'")))
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, fail)
        decision = world.ask()
    assert decision.outcome is Outcome.ERROR
    assert "a bug" not in decision.error
    assert world.ask(request={"http": {"path": "/"}, "ip": "192.0.2.1"}).outcome in {
        Outcome.ALLOWED,
        Outcome.ERROR,  # remembered, until something changes
    }


@pytest.mark.parametrize("place", PLACES)
async def test_on_the_wire(here: Deciding, place: str, caplog: pytest.LogCaptureFixture) -> None:
    PLACES[place](here, FAILURES["double and int"])
    for _ in range(2):
        reply = await here.send()
        assert reply.status == 500
        assert b"overload" not in reply.body
    assert here.received == 0
    assert "no such overload" in caplog.text
    await here.here.until(lambda: len(here.here.sink.records) == 2)
    record = here.here.sink.records[0]
    assert record.status == 500
    assert "no such overload" in record.error


async def test_on_the_wire_and_open(here: Deciding) -> None:
    here.user(authorization=inline(allow()))
    assert (await here.send()).status == 200
    assert here.received == 1
