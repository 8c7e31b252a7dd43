"""The steps before Policies, in words and in order."""

from __future__ import annotations

from typing import Any

import pytest

from octelium.octovigil.checks import refusal
from octelium.octovigil.explain.checks import address_check, party_checks, scope_check, until
from octelium.octovigil.explain.evaluation import FALSE, TRUE, UNKNOWN
from octelium.policy.decision import ReasonType
from tests.octovigil.explain.asking import traced
from tests.octovigil.world import START, World


def steps(world: World, **rest: Any) -> list[tuple[str, str]]:
    return [(step.name, step.detail) for step in traced(world, **rest).steps]


def test_every_step_has_words() -> None:
    world = World()
    world.put("Device", "d", {"state": "ACTIVE"})
    status: dict[str, Any] = {"scopes": [{"service": {"all": {}}}]}
    world.session("ann-1", "ann", device="d", status=status)
    assert steps(world) == [
        ("the request comes from a Session", "Session ann-1 of User ann"),
        ("Session is active", ""),
        ("Session has not expired", "until 2027-01-16 08:00:00 UTC"),
        ("access token is fresh", "until 2027-01-15 09:00:00 UTC"),
        ("Session is not locked", ""),
        ("User is not locked", ""),
        ("no further authentication is asked for", ""),
        ("Device is active", ""),
        ("Device is not locked", ""),
        ("User is enabled", ""),
        ("Service is public, or the Session of type CLIENT", ""),
        ("scopes cover the request", "the Session is limited to service:*"),
        ("Policies", "no rule matches, and what no rule allows is refused"),
    ]


@pytest.mark.parametrize(
    "reason",
    sorted(
        set(ReasonType)
        - {
            ReasonType.TYPE_UNKNOWN_REASON,
            ReasonType.SCOPE_UNAUTHORIZED,
            ReasonType.POLICY_MATCH,
            ReasonType.NO_POLICY_MATCH,
            ReasonType.SESSION_EXPIRED,  # such a Session is nobody's
        }
    ),
)
def test_each_refusal_is_that_of_the_decision_point(reason: ReasonType) -> None:
    world = World()
    session: dict[str, Any] = {}
    user: dict[str, Any] = {}
    device: dict[str, Any] = {"spec": {"state": "ACTIVE"}, "status": {}}
    match reason:
        case ReasonType.SESSION_NOT_ACTIVE:
            session["state"] = "REJECTED"
        case ReasonType.ACCESS_TOKEN_EXPIRED:
            session["set_at"] = START - 4000
        case ReasonType.SESSION_LOCKED:
            session["status"] = {"isLocked": True}
        case ReasonType.USER_LOCKED:
            user["status"] = {"isLocked": True}
        case ReasonType.AUTHENTICATOR_AUTHENTICATION_REQUIRED:
            session["status"] = {"authenticatorAction": "AUTHENTICATION_REQUIRED"}
        case ReasonType.AUTHENTICATOR_REGISTRATION_REQUIRED:
            session["status"] = {"authenticatorAction": "REGISTRATION_REQUIRED"}
        case ReasonType.DEVICE_NOT_ACTIVE:
            device["spec"] = {"state": "PENDING"}
        case ReasonType.DEVICE_LOCKED:
            device["status"] = {"isLocked": True}
        case ReasonType.USER_DEACTIVATED:
            user["spec"] = {"isDisabled": True}
        case _:
            session["kind"] = "CLIENTLESS"
            world.service("wiki.default", isPublic=False)
    world.put("User", "ann", user.get("spec", {}), user.get("status"))
    world.put("Device", "d", device["spec"], device["status"])
    world.session("ann-1", "ann", device="d", **session)
    told = traced(world)
    assert told.reason is reason
    assert told.steps[-1].verdict == FALSE
    found = refusal(told.parties, world.now)
    assert found is not None
    assert found.type is reason
    others = [step for step in party_checks(told.parties, world.now) if step.verdict != TRUE]
    assert [step.reason for step in others] == [reason]


def test_addresses() -> None:
    step = address_check("192.0.2.1", "", same=True)
    assert (step.verdict, step.passed) == (TRUE, True)
    assert "not known" in step.detail
    assert address_check("192.0.2.1", "192.0.2.2", same=False).verdict == FALSE


def test_scopes_of_calls() -> None:
    world = World()
    world.put("Namespace", "octelium-api")
    world.service("api.octelium-api", mode="GRPC", status={"managedService": {"type": "apiserver"}})
    call = {"package": "p.v1", "service": "S", "method": "List"}
    scope = {"api": {"filter": {"packages": ["p.v1"], "services": ["*"], "methods": ["List"]}}}
    world.session("ann-1", "ann", status={"scopes": [scope]})
    told = traced(world, {"grpc": call}, service="api.octelium-api")
    assert told.reason is ReasonType.NO_POLICY_MATCH
    told = traced(world, {"grpc": {**call, "method": "Get"}}, service="api.octelium-api")
    assert told.reason is ReasonType.SCOPE_UNAUTHORIZED
    told = traced(world, {"grpc": call}, service="api.octelium-api", unknown=frozenset({()}))
    assert told.outcome is None
    step = scope_check(told.parties, None, known=False)
    assert step is not None
    assert step.verdict == UNKNOWN
    world.session("ann-1", "ann")
    assert scope_check(traced(world).parties, None, known=True) is None


def test_instants_in_words() -> None:
    assert until(START + 60, START) == "until 2027-01-15 08:01:00 UTC"
    assert until(START, START) == "ended at 2027-01-15 08:00:00 UTC"
    assert until(0, START) == "no end is set"
