"""Remedies: each makes the step that failed pass."""

from __future__ import annotations

from typing import Any

import pytest

from octelium.octovigil.explain.agreement import check_agreement
from octelium.octovigil.explain.edits import EditError, apply_edits
from octelium.octovigil.explain.remedies import remedies
from octelium.octovigil.explain.trace import Trace, trace
from octelium.policy.decision import Outcome
from tests.octovigil.explain.asking import traced
from tests.octovigil.world import START, World, allow, inline, stamp


def passes(told: Trace) -> list[bool]:
    """For each remedy, whether another step than before ends the walk."""
    found = []
    for move in remedies(told):
        try:
            other = trace(apply_edits(told.supposition, move.edits))
        except EditError:
            found.append(False)
            continue
        check_agreement(other)
        found.append((other.steps[-1].name, other.error) != (told.steps[-1].name, told.error))
    return found


@pytest.mark.parametrize(
    "session",
    [
        {"state": "PENDING"},
        {"expiresAt": stamp(START - 5)},
        {"set_at": START - 4000},
        {"status": {"isLocked": True}},
        {"status": {"authenticatorAction": "AUTHENTICATION_REQUIRED"}},
        {"status": {"authenticatorAction": "REGISTRATION_REQUIRED"}},
        {"status": {"scopes": [{"api": {"all": {}}}]}},
        {"device": "pending"},
        {"device": "locked"},
        {"device": "gone"},
    ],
)
def test_of_sessions_and_devices(session: dict[str, Any]) -> None:
    world = World()
    world.put("Device", "pending", {"state": "PENDING"})
    world.put("Device", "locked", {"state": "ACTIVE"}, {"isLocked": True})
    world.session("ann-1", "ann", **session)
    assert passes(traced(world))[0]


def test_a_token_without_a_length() -> None:
    world = World()
    status = {"authentication": {"setAt": stamp(START)}}
    world.session("ann-1", "ann", status=status)
    assert passes(traced(world)) == [False, True]


def test_of_users_and_services() -> None:
    world = World()
    world.put("User", "ann", {"isDisabled": True}, {"isLocked": True})
    assert passes(traced(world)) == [True]
    world.put("User", "ann", {"isDisabled": True})
    assert passes(traced(world)) == [True]
    world.put("User", "ann", {"groups": ["gone"]})
    assert passes(traced(world)) == [True]
    world.user("ann")
    world.service("wiki.default", isPublic=False)
    world.session("ann-1", "ann", kind="CLIENTLESS")
    assert passes(traced(world)) == [True, True]
    world.service("wiki.default", isDisabled=True)
    assert passes(traced(world)) == [True]


def test_of_an_address() -> None:
    world = World()
    world.put("ClusterConfig", "default", {"ingress": {"useForwardedForHeader": True}})
    world.session("ann-1", "ann", kind="CLIENTLESS", address="192.0.2.1")
    assert passes(traced(world, address="192.0.2.2")) == [True]


def test_of_policies_that_do_not_exist() -> None:
    world = World()
    world.policy("b.a")
    world.policy("c.b.a")
    world.user("ann", authorization={"policies": ["b.a", "c.b.a"]})
    told = traced(world)
    (move,) = remedies(told)
    assert [edit.value for edit in move.edits] == ["b.a", "c.b.a"]
    assert passes(told) == [True]
    world.user("ann")
    status = {"preCondition": {"matchAny": True}, "policies": ["gone"]}
    world.put("PolicyTrigger", "t", status=status)
    assert passes(traced(world)) == [True]


def test_of_what_fails_while_collecting() -> None:
    world = World()
    failing = {"match": "1 / 0 > 1"}
    rules = [{"effect": "IGNORE", "condition": failing}]
    world.policy("p", allow(), enforcementRules=rules)
    world.user("ann", authorization={"policies": ["p"]})
    assert passes(traced(world)) == [True, True]
    world.user("ann")
    status = {"preCondition": {"condition": failing}, **inline(allow())}
    world.put("PolicyTrigger", "t", status=status)
    assert passes(traced(world))[0]


def test_of_a_configuration() -> None:
    world = World()
    world.user("ann", authorization=inline(allow()))
    rule = {"condition": {"match": "1 / 0 > 1"}, "configName": "default"}
    world.service("wiki.default", dynamicConfig={"rules": [rule]})
    told = traced(world)
    assert told.failing_config == 0
    assert True in passes(told)


def test_nobody_signs_in_and_who_is_gone_signs_in_again() -> None:
    world = World()
    world.session("old", "ann", expiresAt=stamp(START - 1))
    told = traced(world, session="")
    assert [move.edits[0].name for move in remedies(told)] == ["ann-1"]
    assert passes(told) == [True]
    world.session("bob-1", "bob")
    told = traced(world, session="bob-1")
    assert told.error == "the User of Session bob-1 does not exist"
    assert passes(told) == [True]


def test_what_can_be_read_in_two_ways() -> None:
    world = World()
    world.user("ann", authorization=inline(allow("ctx.request.http.headers.a == '1'")))
    told = traced(world, repeated=frozenset({("http", "headers", "a")}))
    check_agreement(told)
    assert told.outcome is Outcome.BAD_REQUEST
    (move,) = remedies(told)
    after = trace(apply_edits(told.supposition, move.edits))
    check_agreement(after)
    assert after.outcome is Outcome.DENIED


def test_what_can_be_read_in_two_ways_and_is_not_there() -> None:
    world = World()
    world.user("ann", authorization=inline(allow("ctx.request.http.headers.a == '1'")))
    requests: list[dict[str, Any]] = [
        {"http": []},
        {"http": {}},
        {"http": {"headers": {"b": "1"}}},
        {},
    ]
    for request in requests:
        told = traced(world, request, repeated=frozenset({("http", "headers", "a")}))
        check_agreement(told)
        assert told.outcome is Outcome.BAD_REQUEST
        assert passes(told) == [True]


def test_rules_have_no_remedies() -> None:
    assert remedies(traced(World())) == []
