from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.schema.errors import Invalid

if TYPE_CHECKING:
    from tests.schema.validation.world import World


def policy(name: str, spec: str = "{}") -> str:
    return f"kind: Policy\nmetadata: {{name: {name}}}\nspec: {spec}\n"


def test_a_child_is_created_below_an_existing_policy(world: World) -> None:
    assert world.refusal(policy("eu.staff")).problem == "there is no Policy 'staff'"
    world.apply(policy("staff") + "---\n" + policy("eu.staff") + "---\n" + policy("de.eu.staff"))
    assert world.refusal(policy("de.us.staff")).problem == "there is no Policy 'us.staff'"


def test_a_child_outlives_its_parent_in_updates(world: World) -> None:
    world.apply(policy("staff") + "---\n" + policy("eu.staff"))
    del world.resources["Policy", "staff"]
    world.apply(policy("eu.staff"))


def test_a_policy_is_bounded_as_a_whole(world: World) -> None:
    rule = f"{{effect: ALLOW, condition: {{match: {'a' * 9000}}}}}"
    refused = world.refusal(policy("big", f"{{rules: [{', '.join([rule] * 12)}]}}"))
    assert refused.path == "spec"
    assert "at most 100000" in refused.remedy


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ("{rules: [{effect: EFFECT_UNKNOWN, condition: {matchAny: true}}]}",
         "spec.rules[0].effect"),
        ("{enforcementRules: [{condition: {matchAny: true}}]}", "spec.enforcementRules[0].effect"),
        ("{enforcementRules: [{effect: ENFORCE}]}", "spec.enforcementRules[0].condition"),
        ("{enforcementRules: [{effect: ENFORCE, condition: {}}]}",
         "spec.enforcementRules[0].condition"),
        ("{rules: [" + ", ".join(["{effect: DENY, condition: {matchAny: true}}"] * 101) + "]}",
         "spec.rules"),
    ],
)  # fmt: skip
def test_bad_policies(world: World, spec: str, path: str) -> None:
    assert world.refusal(policy("staff", spec)).path == path


def test_inline_policies_meet_the_same_rules(world: World) -> None:
    refused = world.refusal(
        "kind: Group\nmetadata: {name: gg}\n"
        "spec: {authorization: {inlinePolicies: [{spec: {rules: [{effect: ALLOW}]}}]}}\n"
    )
    assert refused.path == "spec.authorization.inlinePolicies[0].spec.rules[0].condition"
    many = ", ".join(["{spec: {}}"] * 101)
    refused = world.refusal(
        "kind: Group\nmetadata: {name: gg}\n"
        f"spec: {{authorization: {{inlinePolicies: [{many}]}}}}\n"
    )
    assert refused.path == "spec.authorization.inlinePolicies"


def test_priorities(world: World) -> None:
    for priority in (-4, 0, 4):
        rule = f"{{effect: ALLOW, priority: {priority}, condition: {{matchAny: true}}}}"
        world.apply(policy("staff", f"{{rules: [{rule}]}}"))
    with pytest.raises(Invalid):
        world.apply(
            policy("staff", "{rules: [{effect: ALLOW, priority: 5, condition: {matchAny: true}}]}")
        )
