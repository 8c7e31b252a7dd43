"""Stories that do not agree with the decision are not told."""

from __future__ import annotations

import pytest

from octelium.octovigil.explain.agreement import check_agreement
from octelium.octovigil.explain.errors import ExplanationError
from octelium.octovigil.explain.explanation import explain_supposition
from octelium.policy.decision import Outcome, ReasonType
from tests.octovigil.explain.asking import supposed, traced
from tests.octovigil.world import World, allow, deny, inline


def open_world() -> World:
    world = World()
    world.user("ann", authorization=inline(allow("true", name="all"), deny("false", name="none")))
    return world


def test_a_true_story() -> None:
    check_agreement(traced(open_world()))


def test_another_outcome() -> None:
    story = traced(open_world())
    story.outcome = Outcome.DENIED
    with pytest.raises(ExplanationError, match=r"wiki\.default came to DENIED .* to ALLOWED"):
        check_agreement(story)


def test_another_reason() -> None:
    story = traced(open_world())
    story.reason = ReasonType.NO_POLICY_MATCH
    with pytest.raises(ExplanationError):
        check_agreement(story)


def test_another_rule() -> None:
    story = traced(open_world())
    for rule in story.rules:
        rule.decided = not rule.decided
    with pytest.raises(ExplanationError):
        check_agreement(story)


def test_another_policy() -> None:
    world = open_world()
    world.policy("p", allow("true", name="all"))
    story = traced(world)
    for rule in story.rules:
        rule.policy.entry = world.replica.policies_by_name["p"]
    with pytest.raises(ExplanationError):
        check_agreement(story)


def test_another_configuration() -> None:
    story = traced(open_world())
    story.config = "blue"
    with pytest.raises(ExplanationError):
        check_agreement(story)


def test_nothing_is_compared_with_what_depends() -> None:
    story = traced(open_world())
    story.outcome = None
    check_agreement(story)
    assert story.outcome is None


def test_conditions_that_are_too_much_together() -> None:
    world = World()
    loop = "ctx.request.items.all(a, ctx.request.items.all(b, a + b != 'x'))"
    rules = [allow(f"{loop} && false", name=f"r{index}") for index in range(40)]
    world.user("ann", authorization=inline(*rules))
    request = {"items": [str(number) for number in range(60)]}
    explanation = explain_supposition(supposed(world, request))
    assert explanation.outcome == "ERROR"
    assert "together" in explanation.steps[-1].detail
    assert "more steps" in explanation.error
    assert not any(rule.decided for rule in explanation.rules)
