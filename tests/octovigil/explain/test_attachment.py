"""Moves about Policies and rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.octovigil.explain.attachment import (
    add_rule,
    attach_existing,
    detach,
    disable,
    remove_rule,
)
from octelium.octovigil.explain.edits import apply_edits
from octelium.octovigil.explain.trace import Trace, trace
from octelium.policy.decision import Outcome
from tests.octovigil.explain.asking import traced
from tests.octovigil.world import World, allow, deny, inline

if TYPE_CHECKING:
    from octelium.octovigil.explain.moves import Move


def after(told: Trace, move: Move) -> Trace:
    return trace(apply_edits(told.supposition, move.edits))


def test_detaching() -> None:
    world = World()
    world.policy("a", deny())
    world.policy("b.a")
    world.user("ann", authorization={"policies": ["b.a"], **inline(deny(), name="own")})
    told = traced(world)
    moves = [move for policy in told.policies for move in detach(policy)]
    assert [move.edits[0].text for move in moves] == [
        "detach Policy b.a from User ann",
        "detach Policy b.a from User ann",
        "remove inline policy own of User ann",
    ]
    assert [policy.place for policy in after(told, moves[1]).policies] == [
        "inline policy own of User ann"
    ]
    assert [policy.place for policy in after(told, moves[2]).policies] == [
        "Policy b.a",
        "Policy a",
    ]


def test_detaching_from_a_trigger() -> None:
    world = World()
    world.policy("p", deny())
    status = {"preCondition": {"matchAny": True}, "policies": ["p"], **inline(deny())}
    world.put("PolicyTrigger", "t", status=status)
    told = traced(world)
    assert len(told.policies) == 2
    for policy in told.policies:
        (move,) = detach(policy)
        assert len(after(told, move).policies) == 1


def test_disabling_and_removing_rules() -> None:
    world = World()
    world.policy("p", deny(name="d"), allow("false"))
    world.user("ann", authorization={"policies": ["p"], **inline(deny(name="e"))})
    told = traced(world)
    for rule in told.rules[:2]:
        (move,) = disable(rule.policy)
        assert after(told, move).policies[told.policies.index(rule.policy)].why_not == (
            "it is disabled"
        )
        (move,) = remove_rule(rule)
        names = [other.rule.name for other in after(told, move).rules]
        assert names == [other.rule.name for other in told.rules if other is not rule]


def test_rules_for_this_user_and_this_service() -> None:
    world = World()
    world.user("bob")
    world.session("bob-1", "bob")
    told = traced(world)
    moves = list(add_rule(told, allows=True, priority=-2))
    assert [move.edits[0].text.partition(" an inline ")[0] for move in moves] == [
        "add to Service wiki.default",
        "add to User ann",
        "add to Session ann-1",
        "add to Namespace default",
    ]
    for move in moves:
        allowed = after(told, move)
        assert allowed.outcome is Outcome.ALLOWED
        assert allowed.decided is not None
        assert allowed.decided.rule.priority == -2
        edits = move.edits
        bob = traced(world, session="bob-1").supposition
        assert not apply_edits(bob, edits).decide().allowed


def test_a_rule_for_nobody_known() -> None:
    world = World()
    world.service("wiki.default", isAnonymous=True, authorization={"enableAnonymous": True})
    told = traced(world, session="")
    for move in add_rule(told, allows=True, priority=0):
        assert after(told, move).outcome is Outcome.ALLOWED


def test_policies_that_would_allow_are_attached() -> None:
    world = World()
    world.policy("denies", deny())
    world.policy("disabled", allow(), isDisabled=True)
    world.policy("fails", allow("1 / 0 > 1"))
    world.policy("fits", allow("attrs.x == 1 && ctx.request.http.method == 'GET'"), attrs={"x": 1})
    world.policy("known", allow("ctx.request.http.method == 'GET'"), deny())
    world.policy("unfit", allow("ctx.request.http.method == 'PUT'"))
    world.user("ann", authorization={"policies": ["known"]})
    told = traced(world)
    assert told.evaluator is not None
    moves = list(attach_existing(told, told.evaluator))
    assert [move.edits[0].text for move in moves] == ["attach Policy fits to User ann"]
    world.put("User", "ann", {"type": "HUMAN"}, isSystem=True)
    told = traced(world)
    assert told.evaluator is not None
    assert list(attach_existing(told, told.evaluator)) == []
