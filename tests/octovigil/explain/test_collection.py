"""Which Policies are listed, where they are attached, and why one does not apply."""

from __future__ import annotations

from typing import Any

from octelium.octovigil.explain.evaluation import FALSE, TRUE
from octelium.policy.decision import Outcome, ReasonType
from tests.octovigil.explain.asking import traced
from tests.octovigil.world import START, World, allow, deny, inline, stamp, uid_of


def listed(world: World, **rest: Any) -> list[tuple[str, str, str]]:
    return [
        (policy.place, f"{policy.owner.kind} {policy.owner.name}", policy.why_not)
        for policy in traced(world, **rest).policies
    ]


def test_the_order_of_collection() -> None:
    world = World()
    for name in ("s", "n", "u", "g", "e", "d", "c"):
        world.policy(name)
    world.service("wiki.default", authorization={"policies": ["s"], **inline(name="own")})
    world.put("Namespace", "default", {"authorization": {"policies": ["n"]}})
    world.put("Group", "ops", {"authorization": {"policies": ["g"]}})
    world.put("Device", "d", {"state": "ACTIVE", "authorization": {"policies": ["d"]}})
    world.user("ann", groups=["ops"], authorization={"policies": ["u"]})
    world.session("ann-1", "ann", device="d", authorization={"policies": ["e"]})
    spec = {"authorization": {"policies": ["c"], **inline()}}
    world.put("ClusterConfig", "default", spec)
    assert listed(world) == [
        ("Policy s", "Service wiki.default", ""),
        ("inline policy own of Service wiki.default", "Service wiki.default", ""),
        ("Policy n", "Namespace default", ""),
        ("Policy u", "User ann", ""),
        ("Policy g", "Group ops", ""),
        ("Policy e", "Session ann-1", ""),
        ("Policy d", "Device d", ""),
        ("Policy c", "ClusterConfig default", ""),
        ("inline policy 1 of ClusterConfig default", "ClusterConfig default", ""),
    ]


def test_ancestors_come_along_and_count_once() -> None:
    world = World()
    world.policy("a", allow())
    world.policy("b.a")
    world.user("ann", authorization={"policies": ["b.a", "a"]})
    told = traced(world)
    assert [(policy.place, policy.inherited_from) for policy in told.policies] == [
        ("Policy b.a", ""),
        ("Policy a", "b.a"),
        ("Policy a", ""),
    ]
    assert [policy.why_not for policy in told.policies] == ["", "", "counted already, at User ann"]
    assert len(told.rules) == 1


def test_why_a_policy_does_not_apply() -> None:
    world = World()
    world.policy("off", deny(), isDisabled=True)
    world.policy(
        "never",
        deny(),
        enforcementRules=[
            {"effect": "IGNORE", "condition": {"match": "ctx.user.metadata.name == 'ann'"}},
            {"effect": "ENFORCE", "condition": {"matchAny": False}},
        ],
    )
    world.user("ann", authorization={"policies": ["off", "never"]})
    status = {"preCondition": {"notBefore": stamp(START + 60)}, **inline(deny())}
    world.put("PolicyTrigger", "t", status=status)
    assert [why for _, _, why in listed(world)] == [
        "it is disabled",
        "ignored by enforcement rule 1",
        "the pre-condition of PolicyTrigger t does not hold",
    ]
    never = traced(world).policies[1]
    assert [(rule.index, rule.result.verdict, rule.decided) for rule in never.enforcement] == [
        (1, FALSE, False),
        (0, TRUE, True),
    ]
    assert [part.text for part in never.enforcement[1].parts] == ["ctx.user.metadata.name"]
    world.now += 60
    assert listed(world)[2][2] == ""


def test_a_policy_that_does_not_exist() -> None:
    world = World()
    world.policy("b.a")
    world.user("ann", authorization={"policies": ["b.a"]})
    told = traced(world)
    assert told.outcome is Outcome.ERROR
    assert told.error == "Policy a, attached to User ann, does not exist"
    assert told.missing == ("Policy", "a", "User")


def test_failures_while_collecting() -> None:
    world = World()
    rules = [{"effect": "ENFORCE", "condition": {"match": "1 / 0 > 1"}}]
    world.policy("p", allow(), enforcementRules=rules)
    world.user("ann", authorization={"policies": ["p"]})
    told = traced(world)
    assert told.error == "Policy p, enforcement rule 1: division by zero"
    assert told.failing is told.policies[0]
    assert not told.failed_by_trigger
    world.user("ann")
    condition = {"condition": {"match": "1 / 0 > 1"}}
    world.put("PolicyTrigger", "t", status={"preCondition": condition, **inline(allow())})
    told = traced(world)
    assert told.error == "pre-condition of PolicyTrigger t: division by zero"
    assert told.failed_by_trigger


def test_what_is_not_known_leaves_policies_open() -> None:
    world = World()
    ignoring = [{"effect": "IGNORE", "condition": {"match": "ctx.request.http.headers.x == '1'"}}]
    world.policy("p", allow(), enforcementRules=ignoring)
    world.user("ann", authorization={"policies": ["p"]})
    condition = {"condition": {"match": "ctx.request.http.headers.x == '1'"}}
    world.put("PolicyTrigger", "t", status={"preCondition": condition, **inline(deny())})
    told = traced(world, unknown=frozenset({("http", "headers")}))
    assert told.outcome is None
    assert [policy.why_not for policy in told.policies] == [
        "enforcement rule 1 depends on what is not known",
        "the pre-condition of PolicyTrigger t depends on what is not known",
    ]


def test_rules_are_tried_by_priority_and_those_that_deny_first() -> None:
    world = World()
    rules = [
        allow("false", name="a0"),
        deny("false", name="d0"),
        allow("false", name="a-1", priority=-1),
    ]
    world.user("ann", authorization=inline(*rules, attrs={"x": 1}))
    told = traced(world)
    assert [rule.rule.name for rule in told.rules] == ["a-1", "d0", "a0"]
    assert told.policies[0].attrs == {"x": 1.0}
    assert told.reason is ReasonType.NO_POLICY_MATCH
    assert uid_of("User", "ann") == told.policies[0].owner.uid
