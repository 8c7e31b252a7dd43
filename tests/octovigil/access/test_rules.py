from __future__ import annotations

from typing import Any

from octelium.octovigil.access.rules import AccessPolicy, Attached, PolicyList
from octelium.octovigil.access.triggers import pre_condition
from octelium.schema.jsonform import from_json
from octelium.schema.pb import core_v1_pb2 as core
from tests.octovigil.world import World, allow, deny


def policy(*rules: dict[str, Any], **spec: Any) -> AccessPolicy:
    return AccessPolicy(from_json(core.PolicySpec, {"rules": list(rules), **spec}), "Policy p")


def names(policies: PolicyList) -> list[str]:
    return [unit.rule.place.removeprefix("Policy p, ") for slot in policies.slots for unit in slot]


def test_rules_are_tried_by_priority_then_those_that_deny() -> None:
    made = policy(
        allow(priority=4), allow(name="b"), deny(), allow(), deny(priority=-4), deny(name="f")
    )
    expected = ["rule 5", "rule 3", "rule 6 (f)", "rule 2 (b)", "rule 4", "rule 1"]
    assert names(PolicyList([Attached(made)])) == expected


def test_lists_keep_the_order_of_collection() -> None:
    one, two = policy(allow(name="x"), deny(name="x")), policy(allow(name="y"), deny(name="y"))
    assert names(PolicyList([Attached(one), Attached(two)])) == [
        "rule 2 (x)",
        "rule 2 (y)",
        "rule 1 (x)",
        "rule 1 (y)",
    ]


def test_priorities_out_of_bounds_keep_their_order() -> None:
    made = policy(allow(priority=2000), allow(priority=1000), deny(priority=-1000))
    assert names(PolicyList([Attached(made)])) == ["rule 3", "rule 2", "rule 1"]


def test_disabled_policies_have_no_rules() -> None:
    rule = {"effect": "IGNORE", "condition": {"matchAny": True}}
    made = PolicyList([Attached(policy(allow(), isDisabled=True, enforcementRules=[rule]))])
    assert names(made) == []
    assert made.guards == ()


def test_guards_come_in_the_order_in_which_they_are_asked() -> None:
    rule = {"effect": "IGNORE", "condition": {"matchAny": True}}
    made = policy(allow(), enforcementRules=[rule])
    world = World()
    world.put("PolicyTrigger", "t", status={"preCondition": {"matchAny": False},
                                            "policies": ["p"]})  # fmt: skip
    (trigger,) = world.replica.triggers
    check = pre_condition(trigger, 0.0)
    listed = PolicyList([Attached(made, check), Attached(made)])
    assert made.enforcement is not None
    assert listed.guards == ((check, made.enforcement), (made.enforcement,))
    assert [unit.guards for slot in listed.slots for unit in slot] == list(listed.guards)


def test_effects_of_unknown_enforcement_rules_are_left_out() -> None:
    made = policy(allow(), enforcementRules=[{"condition": {"matchAny": True}}])
    assert made.enforcement is None
