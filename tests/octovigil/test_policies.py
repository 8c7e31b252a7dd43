from __future__ import annotations

from typing import Any

import pytest

from octelium.octovigil.policies import CompiledPolicy, Policies, broken
from octelium.policy.cel.errors import EvaluationError
from octelium.policy.cel.program import new_frame
from octelium.schema.jsonform import from_json
from octelium.schema.pb import core_v1_pb2 as core
from tests.octovigil.world import World, allow, deny, inline


def compiled(**spec: Any) -> CompiledPolicy:
    return CompiledPolicy(from_json(core.PolicySpec, spec), {}, "Policy p")


def test_rules_are_in_the_order_of_trial() -> None:
    policy = compiled(
        rules=[
            allow(name="a0"),
            allow(name="a-4", priority=-4),
            deny(name="d0"),
            deny(name="d4", priority=4),
            allow(name="a4", priority=4),
        ]
    )
    assert [rule.name for rule in policy.rules] == ["a-4", "d0", "a0", "d4", "a4"]


def test_rules_that_enforce_come_first() -> None:
    rules = [
        {"effect": "IGNORE", "condition": {"matchAny": True}},
        {"effect": "ENFORCE", "condition": {"matchAny": True}},
        {"condition": {"matchAny": True}},
    ]
    policy = compiled(enforcementRules=rules)
    assert [rule.enforces for rule in policy.enforcement] == [True, False]


def test_a_rule_of_unknown_effect_does_not_allow() -> None:
    (rule,) = compiled(rules=[{"condition": {"matchAny": True}}]).rules
    assert not rule.allows


def test_attrs_are_normalised() -> None:
    assert compiled(attrs={"level": 3, "names": ["a"]}).attrs == {"level": 3.0, "names": ["a"]}
    assert compiled().attrs == {}


def test_what_cannot_be_compiled_fails_when_it_is_reached() -> None:
    policy = compiled(rules=[allow("ctx."), {"effect": "ALLOW", "condition": {"opa": {}}}])
    for rule in policy.rules:
        with pytest.raises(EvaluationError, match=r"^(match|opa)"):
            rule.condition.test(new_frame({}))
    with pytest.raises(EvaluationError, match="why"):
        broken("why").test(new_frame({}))


def test_details_of_a_match() -> None:
    policy = CompiledPolicy(
        from_json(core.PolicySpec, {"rules": [allow(name="main", priority=-2)]}),
        {"policy": {"policyRef": {"name": "p"}}},
        "Policy p",
    )
    assert policy.rules[0].details == {
        "policyMatch": {
            "policy": {"policyRef": {"name": "p"}},
            "ruleName": "main",
            "priority": -2,
        }
    }


def test_equal_entries_are_compiled_once() -> None:
    world, policies = World(), Policies()
    world.policy("p", allow())
    world.user(authorization=inline(allow()))
    user = world.replica.users_by_name["ann"]
    first = policies.named(world.replica.policies_by_name["p"])
    mine = policies.inline(user, user.message.spec.authorization.inline_policies)
    assert policies.named(world.replica.policies_by_name["p"]) is first
    assert policies.inline(user, user.message.spec.authorization.inline_policies) is mine
    world.policy("p", deny())
    second = policies.named(world.replica.policies_by_name["p"])
    assert second is not first
    assert not second.rules[0].allows
    policies.forget("Policy", world.replica.policies_by_name["p"].uid)
    assert policies.named(world.replica.policies_by_name["p"]) is not second


def test_inline_policies_name_their_owner() -> None:
    world = World()
    world.user(authorization=inline(allow(), name="mine"))
    user = world.replica.users_by_name["ann"]
    (policy,) = Policies().inline(user, user.message.spec.authorization.inline_policies)
    assert policy.source["inlinePolicy"]["name"] == "mine"
    assert policy.source["inlinePolicy"]["resourceRef"]["kind"] == "User"
    assert policy.place == "inline policy mine of User ann"
