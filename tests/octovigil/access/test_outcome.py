from __future__ import annotations

import pytest

from octelium.octovigil.access.domains import Verdict
from octelium.octovigil.access.formula import FALSE, TRUE, Formulas
from octelium.octovigil.access.outcome import Outcome, Outcomes
from octelium.octovigil.access.world import Workshop
from octelium.octovigil.access.world import World as Seen
from tests.octovigil.world import World, allow, deny, inline

OPEN = "ctx.request.http.method == 'GET'"


def outcome(world: World) -> Outcome:
    seen = Seen(world.replica, Workshop(world.now))
    user = world.replica.users_by_name["ann"]
    return seen.outcome(seen.asker(user), seen.offer(world.entry()))


def why(*rules: dict[str, object], **spec: object) -> str:
    world = World()
    world.policy("p", *rules, **spec)
    world.user(authorization={"policies": ["p"]})
    return outcome(world).why


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([], "no rule allows it"),
        ([allow()], "Policy p, rule 1 allows"),
        ([deny(), allow()], "Policy p, rule 1 denies"),
        ([allow(OPEN)], "Policy p, rule 1 may allow, else no rule allows it"),
        ([deny(OPEN), allow()], "Policy p, rule 1 may deny, else Policy p, rule 2 allows"),
        ([deny(OPEN, priority=-1), deny()], "Policy p, rule 2 denies"),
        ([allow(OPEN, priority=-1), allow()], "Policy p, rule 2 allows"),
        ([allow("ctx.user.spec.email + 1 == 2"), allow(priority=1)],
         "Policy p, rule 1 fails, else no rule allows it"),
        ([allow(f"{OPEN} && ctx.request.http.path == '/{n}'") for n in range(7)],
         ", ".join(f"Policy p, rule {n} may allow" for n in range(1, 6))
         + ", 2 more rules may decide, else no rule allows it"),
    ],
)  # fmt: skip
def test_reasons(rules: list[dict[str, object]], expected: str) -> None:
    assert why(*rules) == expected


def test_a_failing_enforcement_rule_refuses() -> None:
    rule = {"effect": "IGNORE", "condition": {"match": "1/0 == 1"}}
    expected = "an enforcement rule or the pre-condition of a PolicyTrigger fails"
    assert why(allow(), enforcementRules=[rule]) == expected


def test_the_same_rules_are_the_same_outcome() -> None:
    world = World()
    world.user("bob", authorization=inline(allow(OPEN)))
    seen = Seen(world.replica, Workshop(world.now))
    offer = seen.offer(world.entry())
    user = world.replica.users_by_name["bob"]
    one = seen.outcome(seen.asker(user), offer)
    assert one is seen.outcome(seen.asker(user), offer)
    assert one.verdict is Verdict.SOMETIMES
    assert [hit.rule.allows for hit in one.open_hits] == [True]
    assert one.depends_on == ['ctx.request.http.method == "GET"']


def test_limits() -> None:
    formulas = Formulas()
    outcomes = Outcomes(formulas)
    allowed = outcomes.constant("A allows", allowed=True)
    refused = outcomes.constant("B denies")
    half = formulas.named("half", "x")
    assert outcomes.limited(allowed, TRUE, "L") is allowed
    assert outcomes.limited(refused, half, "L") is refused
    assert outcomes.limited(allowed, FALSE, "L").why == "L"
    limited = outcomes.limited(allowed, half, "L")
    assert (limited.verdict, limited.why) == (Verdict.SOMETIMES, "A allows, unless L")
    assert limited is outcomes.limited(allowed, half, "L")
    assert outcomes.agree(limited, outcomes.limited(allowed, half, "M"))
    assert not outcomes.agree(limited, allowed)
    assert outcomes.agree(refused, outcomes.constant("C denies"))
