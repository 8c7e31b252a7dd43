"""Walks: where they end, and what they have met by then."""

from __future__ import annotations

from octelium.octovigil.explain.checks import CONFIGURATION, ENABLED, IDENTITY, PARTIES, POLICIES
from octelium.octovigil.explain.evaluation import ERROR, FALSE, NOT_TRIED, TRUE, UNKNOWN
from octelium.octovigil.explain.trace import place, trace
from octelium.policy.decision import Outcome, ReasonType
from tests.octovigil.explain.asking import supposed, traced
from tests.octovigil.world import START, World, allow, deny, inline, stamp


def test_nobody() -> None:
    told = traced(World(), session="")
    assert told.outcome is Outcome.UNAUTHENTICATED
    assert [(step.name, step.verdict) for step in told.steps] == [(IDENTITY, FALSE)]


def test_a_session_that_has_expired() -> None:
    world = World()
    world.session("ann-1", "ann", expiresAt=stamp(START))
    told = traced(world)
    assert told.outcome is Outcome.UNAUTHENTICATED
    assert told.steps[-1].detail == "Session ann-1 ended at 2027-01-15 08:00:00 UTC"


def test_a_session_that_went() -> None:
    world = World()
    supposition = supposed(world)
    supposition.session_uid = "gone"
    told = trace(supposition)
    assert told.steps[-1].detail == "its Session does not exist any more"


def test_anonymous_services() -> None:
    world = World()
    world.service("wiki.default", isAnonymous=True)
    told = traced(world, session="")
    assert told.outcome is Outcome.ALLOWED
    assert told.decided is None
    assert [step.name for step in told.steps][-2:] == [POLICIES, CONFIGURATION]
    rules = inline(allow("ctx.request.http.method == 'GET'", name="read"))
    world.service(
        "wiki.default", isAnonymous=True, authorization={"enableAnonymous": True, **rules}
    )
    told = traced(world, session="")
    assert told.outcome is Outcome.ALLOWED
    assert told.decided is not None
    assert place(told.decided) == "rule read of inline policy 1 of Service wiki.default"
    world.service("wiki.default", isAnonymous=True, isDisabled=True)
    assert traced(world, session="").steps[-1].name == ENABLED


def test_a_disabled_service() -> None:
    world = World()
    world.service("wiki.default", isDisabled=True)
    told = traced(world)
    assert told.outcome is Outcome.ERROR
    assert told.error == "the Service is disabled"


def test_parties_that_do_not_exist() -> None:
    world = World()
    world.user("ann", groups=["gone"])
    told = traced(world)
    assert told.steps[-1] == (PARTIES, ERROR, "Group gone of User ann does not exist", 0)
    world.session("ann-1", "ann", device="gone")
    assert traced(world).error == "the Device of Session ann-1 does not exist"
    world.remove("User", "ann")
    assert traced(world).error == "the User of Session ann-1 does not exist"
    world.remove("Namespace", "default")
    assert traced(world).error == "the Namespace of Service wiki.default does not exist"
    world.service("wiki.default", isAnonymous=True, authorization={"enableAnonymous": True})
    assert "Namespace" in traced(world, session="").error


def test_rules_up_to_the_one_that_decides() -> None:
    world = World()
    rules = [allow("false", name="a"), deny("true", name="d", priority=1), allow(priority=2)]
    world.user("ann", authorization=inline(*rules))
    told = traced(world)
    assert [rule.result.verdict for rule in told.rules] == [FALSE, TRUE, NOT_TRIED]
    assert told.reason is ReasonType.POLICY_MATCH
    assert told.decided is told.rules[1]


def test_a_rule_that_fails() -> None:
    world = World()
    world.user("ann", authorization=inline(allow("1 / 0 > 1"), allow()))
    told = traced(world)
    assert told.outcome is Outcome.ERROR
    assert told.decided is told.rules[0]
    assert told.error == "rule 1 of inline policy 1 of User ann: division by zero"


def test_configurations() -> None:
    world = World()
    world.user("ann", authorization=inline(allow()))
    config = {"name": "blue", "upstream": {"url": "http://127.0.0.1:1"}}
    rules = [
        {"condition": {"match": "ctx.request.http.headers.x == '1'"}, "configName": "blue"},
        {"condition": {"match": "ctx.request.http.headers.x == '2'"}, "eval": "{'x': 1}.y"},
    ]
    world.service("wiki.default", dynamicConfig={"configs": [config], "rules": rules})

    def configured(value: str) -> tuple[str, str, int]:
        request = {"http": {"method": "GET", "path": "/", "headers": {"x": value}}}
        told = traced(world, request)
        return told.config, told.steps[-1].detail, told.steps[-1].verdict

    assert configured("0") == ("default", "default, since no rule chooses another", TRUE)
    assert configured("1") == ("blue", "blue, chosen by dynamicConfig.rules[0]", TRUE)
    assert configured("2")[2] == ERROR
    told = traced(world, unknown=frozenset({("http", "headers")}))
    assert told.outcome is Outcome.ALLOWED
    assert told.steps[-1].verdict == UNKNOWN


def test_pinned_addresses() -> None:
    world = World()
    world.put("ClusterConfig", "default", {"ingress": {"useForwardedForHeader": True}})
    world.user("ann", authorization=inline(allow()))
    world.session("ann-1", "ann", kind="CLIENTLESS", address="2001:db8::1")
    told = traced(world, address="192.0.2.1")
    assert (told.outcome, told.reason) == (Outcome.DENIED, ReasonType.TYPE_UNKNOWN_REASON)
    assert traced(world, address="2001:db8:0::1").outcome is Outcome.ALLOWED
    assert traced(world, address="garbage").outcome is Outcome.DENIED
    world.session("ann-1", "ann", kind="CLIENT", address="2001:db8::1")
    assert traced(world, address="192.0.2.1").outcome is Outcome.ALLOWED


def test_parts_only_if_asked_for() -> None:
    world = World()
    world.user("ann", authorization=inline(allow("ctx.request.http.method == 'GET'")))
    assert traced(world).rules[0].parts
    assert not trace(supposed(world), with_parts=False).rules[0].parts
