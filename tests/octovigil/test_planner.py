"""Who takes part, and what of a decision is settled before there is a request."""

from __future__ import annotations

import pytest

from octelium.policy.decision import Outcome, ReasonType
from tests.octovigil.world import HTTP, World, allow, deny, inline


@pytest.mark.parametrize("missing", ["User", "Device", "Namespace", "Group"])
def test_a_missing_party_refuses(missing: str) -> None:
    names = {"User": "ann", "Device": "laptop", "Namespace": "default", "Group": "team"}
    world = World()
    world.put("Device", "laptop", {"state": "ACTIVE"})
    world.put("Group", "team")
    world.session("ann-1", "ann", device="laptop")
    world.user(groups=["team"], authorization=inline(allow()))
    assert world.ask().allowed
    world.remove(missing, names[missing])
    decision = world.ask()
    assert decision.outcome is Outcome.ERROR
    assert missing in decision.error
    if missing == "Device":
        world.put("Device", "laptop", {"state": "ACTIVE"})
    elif missing == "User":
        world.user(groups=["team"], authorization=inline(allow()))
    else:
        world.put(missing, names[missing])
    assert world.ask().allowed


def test_the_context_holds_the_parties() -> None:
    world = World()
    world.put("Device", "laptop", {"state": "ACTIVE"}, {"osType": "LINUX"})
    world.put("Group", "team", {"attrs": {"level": 3}})
    world.session("ann-1", "ann", device="laptop")
    match = " && ".join(
        [
            "ctx.service.metadata.name == 'wiki.default'",
            "ctx.service.spec.isPublic",
            "ctx.namespace.metadata.name == 'default'",
            "ctx.session.metadata.name == 'ann-1'",
            "ctx.session.status.type == 'CLIENT'",
            "timestamp(ctx.session.spec.expiresAt) > timestamp(0)",
            "ctx.user.spec.email == 'ann@example.com'",
            "ctx.user.spec.groups == ['team']",
            "ctx.groups[0].metadata.name == 'team'",
            "ctx.device.spec.state == 'ACTIVE'",
            "ctx.device.status.osType == 'LINUX'",
            "ctx.request.http.method == 'GET'",
            "ctx.request.ip == '192.0.2.7'",
            "ctx.service.status.port == 80",
        ]
    )
    world.user(groups=["team"], authorization=inline(allow(match)))
    assert world.ask().allowed
    world.put("Group", "team", {"attrs": {"level": 4}})
    assert world.ask().allowed


def test_a_session_keeps_its_former_authentications_for_conditions() -> None:
    world = World()
    world.user(authorization=inline(allow("size(ctx.session.status.lastAuthentications) == 1")))
    assert not world.ask().allowed
    former = {"lastAuthentications": [{"tokenID": "old"}]}
    world.session("ann-1", "ann", status=former)
    assert world.ask().allowed


def test_absent_parties_are_missing_data() -> None:
    world = World()
    world.user(
        authorization=inline(
            deny("ctx.device.spec.state == 'ACTIVE'", priority=-4),
            deny("ctx.groups.exists(g, true)", priority=-4),
            deny("size(ctx.groups) == 0", priority=-4),
            allow(priority=1),
            {"effect": "DENY", "condition": {"not": "has(ctx.device.spec)"}, "priority": 2},
        )
    )
    assert world.ask().allowed
    rules = [{"effect": "ALLOW", "condition": {"not": "ctx.device.status.osType == 'LINUX'"}}]
    world.user(authorization=inline(*rules))
    assert world.ask().allowed


def test_anonymous_services_ask_nobody() -> None:
    world = World()
    world.service("wiki.default", isAnonymous=True)
    for session in ("ann-1", None):
        decision = world.ask(session=session)
        assert decision.allowed
        assert decision.session is None
        assert decision.reason.type is ReasonType.TYPE_UNKNOWN_REASON
    world.put("ClusterConfig", "default", {"authorization": inline(deny(priority=-4))})
    assert world.ask(session=None).allowed


def test_anonymous_services_select_configurations_from_request_and_service() -> None:
    world = World()
    blue = {"name": "blue", "upstream": {"url": "http://127.0.0.1:1"}}
    rules = [
        {"condition": {"match": "has(ctx.namespace) || has(ctx.user)"}, "configName": "nope"},
        {"condition": {"match": "ctx.request.http.path == '/b' && ctx.service.spec.isPublic"},
         "configName": "blue"},
    ]  # fmt: skip
    world.service(
        "wiki.default", isAnonymous=True, dynamicConfig={"configs": [blue], "rules": rules}
    )
    assert world.ask(session=None).config_name == "default"
    http = {**HTTP["http"], "path": "/b"}
    assert world.ask(session=None, request={"http": http}).config_name == "blue"


def test_anonymous_services_under_policies() -> None:
    world = World()
    world.policy("read", allow("ctx.request.http.method == 'GET'"))
    world.user(authorization=inline(allow()))
    policies = {"enableAnonymous": True}
    world.service("wiki.default", isAnonymous=True, authorization=policies)
    decision = world.ask(session=None)
    assert decision.outcome is Outcome.DENIED
    assert decision.reason.type is ReasonType.NO_POLICY_MATCH
    world.service(
        "wiki.default", isAnonymous=True, authorization={**policies, "policies": ["read"]}
    )
    assert world.ask(session=None).allowed
    post = {"http": {**HTTP["http"], "method": "POST"}}
    assert world.ask(session=None, request=post).outcome is Outcome.DENIED
    # Nobody's own Policies count, and nobody is in the context.
    world.service("wiki.default", isAnonymous=True, authorization=policies)
    world.put("Namespace", "default", {"authorization": inline(allow("has(ctx.user)"))})
    assert world.ask().outcome is Outcome.DENIED
    seen = "ctx.namespace.metadata.name == 'default'"
    world.put("Namespace", "default", {"authorization": inline(allow(seen))})
    assert world.ask(session=None).allowed
    world.remove("Namespace", "default")
    assert world.ask(session=None).outcome is Outcome.ERROR


def test_disabled_services_are_refused() -> None:
    world = World()
    world.user(authorization=inline(allow()))
    world.service("wiki.default", isDisabled=True)
    assert world.ask().outcome is Outcome.ERROR
    world.service("wiki.default", isDisabled=True, isAnonymous=True)
    assert world.ask(session=None).outcome is Outcome.ERROR


def test_rules_that_cost_too_much_refuse() -> None:
    world = World()
    ten = "[0,1,2,3,4,5,6,7,8,9]"
    text = "true"
    for variable in "abcdef":
        text = f"{ten}.all({variable}, {text})"
    for match in (text, f"ctx.request.http.path == '/' && {text}", f"{text} || true"):
        world.user(authorization=inline(deny(match), allow(priority=1)))
        assert world.ask().outcome is Outcome.ERROR, match


def test_many_dear_rules_share_one_budget() -> None:
    world = World()
    hundred = "[" + ",".join(["0"] * 100) + "]"
    match = f"{hundred}.all(a, {hundred}.all(b, a == b && ctx.user.metadata.name != ''))"
    world.user(authorization=inline(*[deny(f"!({match})", priority=-1)] * 20, allow()))
    assert world.ask().outcome is Outcome.ERROR


def test_what_a_plan_cannot_afford_is_left_to_the_decisions() -> None:
    """No refusal comes of it: a decision has four times the steps that a plan has."""
    digits = "[0,1,2,3,4,5,6,7,8,9]"
    costly = f"{digits}.all(a, {digits}.all(b, {digits}.all(c, a + b + c >= 0)))"
    affordable = " && ".join([f"({costly})"] * 3)
    world = World()
    world.user(authorization=inline(allow(affordable)))
    assert world.ask().allowed
    enforced = {"effect": "ENFORCE", "condition": {"match": affordable}}
    world.user(authorization=inline(allow(), enforcementRules=[enforced]))
    assert world.ask().allowed
    before = {"condition": {"match": affordable}}
    world.user(authorization=inline(deny(priority=1)))
    world.put("PolicyTrigger", "t", status={"preCondition": before, **inline(allow())})
    assert world.ask().allowed
    world.remove("PolicyTrigger", "t")
    world.user(authorization=inline(allow()))
    rules = [{"condition": {"match": affordable}, "configName": "blue"}]
    blue = {"name": "blue", "upstream": {"url": "http://127.0.0.1:1"}}
    world.service("wiki.default", dynamicConfig={"configs": [blue], "rules": rules})
    assert world.ask().config_name == "blue"
    world.service("wiki.default")
    world.user(authorization=inline(allow(" && ".join([f"({costly})"] * 20))))
    assert world.ask().outcome is Outcome.ERROR
