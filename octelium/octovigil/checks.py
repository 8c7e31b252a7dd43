"""What must hold of Session, User and Device before any Policy is asked.

https://octelium.com/docs/octelium/latest/management/core/session describes the states. The order
decides which reason the access log shows.
"""

from __future__ import annotations

import math
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from octelium.policy.decision import Reason, ReasonType
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from octelium.octovigil.triggers import Parties

_STATES: Final = core.SessionSpecState__.DESCRIPTOR.enum_types[0].values_by_number
REQUIRED_ACTIONS: Final = {
    int(
        core.SessionStatusAuthenticatorAction__.AUTHENTICATION_REQUIRED
    ): ReasonType.AUTHENTICATOR_AUTHENTICATION_REQUIRED,
    int(
        core.SessionStatusAuthenticatorAction__.REGISTRATION_REQUIRED
    ): ReasonType.AUTHENTICATOR_REGISTRATION_REQUIRED,
}
"""Why a Session is refused that has to use, or to register, an Authenticator first."""


def refusal(parties: Parties, now: float) -> Reason | None:
    """Why these parties are refused whatever the Policies say, or None. `now` in Unix seconds."""
    session, user, device = parties.session, parties.user, parties.device
    assert session is not None
    assert user is not None
    if not session.is_active:
        return _not_active(session.state)
    reason: ReasonType | None = None
    if session.expires_at <= now:
        reason = ReasonType.SESSION_EXPIRED
    elif session.access_expires_at <= now:
        reason = ReasonType.ACCESS_TOKEN_EXPIRED
    elif session.is_locked:
        reason = ReasonType.SESSION_LOCKED
    elif user.is_locked:
        reason = ReasonType.USER_LOCKED
    elif session.authenticator_action in REQUIRED_ACTIONS:
        reason = REQUIRED_ACTIONS[session.authenticator_action]
    elif device is not None and not device.is_active:
        reason = ReasonType.DEVICE_NOT_ACTIVE
    elif device is not None and device.is_locked:
        reason = ReasonType.DEVICE_LOCKED
    elif user.is_disabled:
        reason = ReasonType.USER_DEACTIVATED
    elif not parties.service.is_public and session.type != core.SessionStatusType__.CLIENT:
        reason = ReasonType.SESSION_CLIENT_TYPE_INVALID
    return None if reason is None else Reason(reason)


def next_change(parties: Parties, now: float) -> float:
    """When the passing of time alone may change `refusal`, in Unix seconds."""
    session = parties.session
    if session is None:
        return math.inf
    instants = (session.expires_at, session.access_expires_at)
    return min((instant for instant in instants if instant > now), default=math.inf)


def _not_active(state: int) -> Reason:
    known = _STATES.get(state)
    details = {"state": known.name} if state and known is not None else {}
    return Reason(ReasonType.SESSION_NOT_ACTIVE, {"sessionNotActive": details})


def is_elsewhere(pinned: str, address: str) -> bool:
    """Whether a client's address differs from the one that its Session is tied to.

    Not if either is unknown; if they cannot be compared, it does.
    """
    if not address or pinned == address:
        return False
    try:
        return ip_address(pinned) != ip_address(address)
    except ValueError:
        return True
