"""What must hold of Session, User and Device, in the order of the reasons."""

from __future__ import annotations

import math
from typing import Any

import pytest

from octelium.octovigil.checks import is_elsewhere, next_change, refusal
from octelium.octovigil.triggers import Parties
from octelium.policy.decision import Outcome, ReasonType
from tests.octovigil.world import START, World, allow, inline, stamp


def world(
    session: dict[str, Any] | None = None,
    user: dict[str, Any] | None = None,
    device: dict[str, Any] | None = None,
) -> World:
    made = World()
    if device is not None:
        spec = {"state": device.get("state", "ACTIVE")}
        made.put("Device", "laptop", spec, {"isLocked": device.get("locked", False)})
    details = session or {}
    made.session("ann-1", "ann", device="" if device is None else "laptop", **details)
    status = {"isLocked": (user or {}).get("locked", False)}
    spec = {
        "type": "HUMAN",
        "isDisabled": (user or {}).get("disabled", False),
        "authorization": inline(allow()),
    }
    made.put("User", "ann", spec, status)
    return made


PENDING_AND_LOCKED = {"state": "PENDING", "locked": True}
LOCKED = {"status": {"isLocked": True}}


@pytest.mark.parametrize(
    ("session", "user", "device", "reason"),
    [
        ({"state": "PENDING"}, {}, None, ReasonType.SESSION_NOT_ACTIVE),
        ({"state": "REJECTED"}, {}, None, ReasonType.SESSION_NOT_ACTIVE),
        ({"state": "STATE_UNKNOWN"}, {}, None, ReasonType.SESSION_NOT_ACTIVE),
        ({"set_at": START - 3601}, {}, None, ReasonType.ACCESS_TOKEN_EXPIRED),
        (LOCKED, {}, None, ReasonType.SESSION_LOCKED),
        ({}, {"locked": True}, None, ReasonType.USER_LOCKED),
        (
            {"status": {"authenticatorAction": "AUTHENTICATION_REQUIRED"}},
            {},
            None,
            ReasonType.AUTHENTICATOR_AUTHENTICATION_REQUIRED,
        ),
        (
            {"status": {"authenticatorAction": "REGISTRATION_REQUIRED"}},
            {},
            None,
            ReasonType.AUTHENTICATOR_REGISTRATION_REQUIRED,
        ),
        ({}, {}, {"state": "PENDING"}, ReasonType.DEVICE_NOT_ACTIVE),
        ({}, {}, {"state": "REJECTED"}, ReasonType.DEVICE_NOT_ACTIVE),
        ({}, {}, {"locked": True}, ReasonType.DEVICE_LOCKED),
        ({}, {"disabled": True}, None, ReasonType.USER_DEACTIVATED),
        # Of several the first in this order is told.
        (
            {"state": "PENDING", "set_at": START - 7200, **LOCKED},
            {"locked": True, "disabled": True},
            {"state": "PENDING", "locked": True},
            ReasonType.SESSION_NOT_ACTIVE,
        ),
        (
            {"set_at": START - 7200, **LOCKED},
            {"locked": True},
            None,
            ReasonType.ACCESS_TOKEN_EXPIRED,
        ),
        (LOCKED, {"locked": True}, None, ReasonType.SESSION_LOCKED),
        ({}, {"locked": True, "disabled": True}, {"locked": True}, ReasonType.USER_LOCKED),
        (
            {},
            {"disabled": True},
            {"state": "PENDING", "locked": True},
            ReasonType.DEVICE_NOT_ACTIVE,
        ),
        ({}, {"disabled": True}, {"locked": True}, ReasonType.DEVICE_LOCKED),
    ],
)
@pytest.mark.parametrize("tunnel", [False, True])
def test_refusals(
    session: dict[str, Any],
    user: dict[str, Any],
    device: dict[str, Any] | None,
    reason: ReasonType,
    tunnel: bool,
) -> None:
    decision = world(session, user, device).ask(tunnel=tunnel)
    assert decision.outcome is Outcome.DENIED
    assert decision.reason.type is reason
    assert decision.session is not None
    if reason is ReasonType.SESSION_NOT_ACTIVE and session["state"] != "STATE_UNKNOWN":
        assert decision.reason.details == {"sessionNotActive": {"state": session["state"]}}


@pytest.mark.parametrize(
    ("session", "user", "device"),
    [
        ({}, {}, None),
        ({}, {}, {}),
        ({"status": {"authenticatorAction": "AUTHENTICATION_RECOMMENDED"}}, {}, None),
        ({"status": {"authenticatorAction": "REGISTRATION_RECOMMENDED"}}, {}, {}),
        ({"set_at": START - 3599}, {}, None),
    ],
)
def test_what_passes(
    session: dict[str, Any], user: dict[str, Any], device: dict[str, Any] | None
) -> None:
    assert world(session, user, device).ask().allowed


def test_only_clients_reach_services_that_are_not_public() -> None:
    made = world({"kind": "CLIENTLESS"})
    made.service("box.default", isPublic=None)
    decision = made.ask("box.default", tunnel=True)
    assert decision.reason.type is ReasonType.SESSION_CLIENT_TYPE_INVALID
    made.session("ann-1", "ann", kind="CLIENT")
    assert made.ask("box.default", tunnel=True).allowed


def test_an_expired_session_is_a_reason_of_its_own() -> None:
    made = world({"expiresAt": stamp(START)})
    replica = made.replica
    parties = Parties(
        made.entry(),
        session=next(iter(replica.sessions.values())),
        user=replica.users_by_name["ann"],
    )
    found = refusal(parties, START)
    assert found is not None
    assert found.type is ReasonType.SESSION_EXPIRED
    assert refusal(parties, START - 1) is None


def test_when_time_alone_changes_something() -> None:
    made = world()
    parties = Parties(made.entry(), session=next(iter(made.replica.sessions.values())))
    assert next_change(parties, START) == START + 3600
    assert next_change(parties, START + 3600) == START + 86400
    assert next_change(parties, START + 86400) == math.inf
    assert next_change(Parties(made.entry()), START) == math.inf


def test_the_passing_of_time_is_noticed() -> None:
    made = world({"expiresAt": stamp(START + 7200)})
    assert made.ask(tunnel=True).allowed
    made.now = START + 3599.9
    assert made.ask(tunnel=True).allowed
    made.now = START + 3600
    assert made.ask(tunnel=True).reason.type is ReasonType.ACCESS_TOKEN_EXPIRED
    made.now = START + 7200
    assert made.ask(tunnel=True).outcome is Outcome.UNAUTHENTICATED


@pytest.mark.parametrize(
    ("address", "elsewhere"),
    [
        ("", False),
        ("192.0.2.1", False),
        ("192.0.2.2", True),
        ("2001:db8::1", True),
        ("nonsense", True),
    ],
)
def test_a_client_that_is_elsewhere(address: str, elsewhere: bool) -> None:
    assert is_elsewhere("192.0.2.1", address) is elsewhere


def test_an_address_may_be_written_in_several_ways() -> None:
    assert not is_elsewhere("2001:db8::1", "2001:DB8:0::1")
