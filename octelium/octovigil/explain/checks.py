"""The steps before any Policy is asked, each in words."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final, NamedTuple

from octelium.identity.scopes import describe_scopes
from octelium.octovigil import scoping
from octelium.octovigil.checks import REQUIRED_ACTIONS
from octelium.octovigil.explain.evaluation import ERROR, FALSE, TRUE, UNKNOWN
from octelium.policy.decision import ReasonType
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from google.protobuf.descriptor import EnumValueDescriptor

    from octelium.octovigil.explain.evaluation import Verdict
    from octelium.octovigil.triggers import Parties
    from octelium.replica.replica import SessionEntry

_SESSION_STATES: Final = core.SessionSpecState__.DESCRIPTOR.enum_types[0].values_by_number
_DEVICE_STATES: Final = core.DeviceSpecState__.DESCRIPTOR.enum_types[0].values_by_number
_TYPES: Final = core.SessionStatusType__.DESCRIPTOR.enum_types[0].values_by_number

CONFIGURATION: Final = "configuration"
POLICIES: Final = "Policies"
READING: Final = "the request can be read in one way only"
IDENTITY: Final = "the request comes from a Session"
PARTIES: Final = "everything that takes part exists"
ENABLED: Final = "the Service is enabled"
ADDRESS: Final = "client address is the Session's"


class Step(NamedTuple):
    """One step: its name, how it came out, what was looked at; `reason` for a refusal."""

    name: str
    verdict: Verdict
    detail: str
    reason: ReasonType = ReasonType.TYPE_UNKNOWN_REASON

    @property
    def passed(self) -> bool:
        """Whether the walk goes on."""
        return self.verdict in (TRUE, UNKNOWN)


def party_checks(parties: Parties, now: float) -> Iterator[Step]:
    """What must hold of Session, User and Device, in the order of a decision; all of it."""
    session, user, device = parties.session, parties.user, parties.device
    assert session is not None
    assert user is not None
    state = _name(_SESSION_STATES, session.state)
    yield _step(
        "Session is active",
        session.is_active,
        f"its state is {state}",
        ReasonType.SESSION_NOT_ACTIVE,
    )
    yield _told(
        "Session has not expired",
        now < session.expires_at,
        until(session.expires_at, now),
        ReasonType.SESSION_EXPIRED,
    )
    yield _told(
        "access token is fresh",
        now < session.access_expires_at,
        until(session.access_expires_at, now),
        ReasonType.ACCESS_TOKEN_EXPIRED,
    )
    yield _step("Session is not locked", not session.is_locked, "", ReasonType.SESSION_LOCKED)
    yield _step(
        "User is not locked", not user.is_locked, f"User {user.name}", ReasonType.USER_LOCKED
    )
    yield _authenticator(session)
    if device is not None:
        state = _name(_DEVICE_STATES, device.state)
        yield _step(
            "Device is active",
            device.is_active,
            f"the state of Device {device.name} is {state}",
            ReasonType.DEVICE_NOT_ACTIVE,
        )
        yield _step(
            "Device is not locked",
            not device.is_locked,
            f"Device {device.name}",
            ReasonType.DEVICE_LOCKED,
        )
    yield _step(
        "User is enabled", not user.is_disabled, f"User {user.name}", ReasonType.USER_DEACTIVATED
    )
    public = parties.service.is_public
    kind = _name(_TYPES, session.type)
    where = f"it is not public, and the Session of type {kind}"
    yield _step(
        "Service is public, or the Session of type CLIENT",
        public or session.type == core.SessionStatusType__.CLIENT,
        where,
        ReasonType.SESSION_CLIENT_TYPE_INVALID,
    )


def address_check(pinned: str, address: str, *, same: bool) -> Step:
    """Whether the client is where the Session began; `pinned` is that address."""
    seen = address or "not known"
    detail = f"the Session belongs to {pinned}, the client's address is {seen}"
    return _told(ADDRESS, same, detail, ReasonType.TYPE_UNKNOWN_REASON)


def scope_check(parties: Parties, request: dict[str, object] | None, *, known: bool) -> Step | None:
    """Whether the Session's scopes cover the request; None for a Session without scopes."""
    session, service = parties.session, parties.service
    assert session is not None
    if not session.scopes:
        return None
    texts = describe_scopes(session.scopes)
    detail = f"the Session is limited to {', '.join(texts)}"
    name = "scopes cover the request"
    covered = scoping.covers_service(session, service)
    if not covered and scoping.depends_on_call(service):
        if not known:
            return Step(name, UNKNOWN, detail)
        covered = scoping.covers_call(parties, request)
    return _told(name, covered, detail, ReasonType.SCOPE_UNAUTHORIZED)


def failed(name: str, problem: str) -> Step:
    """A step that fails and therefore refuses."""
    return Step(name, ERROR, problem)


def _authenticator(session: SessionEntry) -> Step:
    name = "no further authentication is asked for"
    reason = REQUIRED_ACTIONS.get(session.authenticator_action)
    if reason is None:
        return Step(name, TRUE, "")
    what = (
        "used" if "AUTHENTICATION" in reason.name.removeprefix("AUTHENTICATOR_") else "registered"
    )
    return Step(name, FALSE, f"an authenticator must be {what} first", reason)


def _step(name: str, holds: bool, detail: str, reason: ReasonType) -> Step:
    """A step whose detail is only of interest when it fails."""
    return Step(name, TRUE, "") if holds else Step(name, FALSE, detail, reason)


def _told(name: str, holds: bool, detail: str, reason: ReasonType) -> Step:
    """A step whose detail is of interest in any case."""
    return Step(name, TRUE if holds else FALSE, detail, reason)


def _name(values: Mapping[int, EnumValueDescriptor], number: int) -> str:
    known = values.get(number)
    return str(number) if known is None else known.name


def until(instant: float, now: float) -> str:
    """When something ends or ended, in Unix seconds; 0 for never set."""
    if instant <= 0:
        return "no end is set"
    moment = dt.datetime.fromtimestamp(instant, dt.UTC)
    word = "until" if now < instant else "ended at"
    return f"{word} {moment:%Y-%m-%d %H:%M:%S} UTC"
