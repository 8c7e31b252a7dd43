"""A decision in one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.octovigil.explain import checks
from octelium.octovigil.explain.trace import place
from octelium.policy.decision import Outcome, ReasonType

if TYPE_CHECKING:
    from octelium.octovigil.explain.collection import RuleTried
    from octelium.octovigil.explain.trace import Trace

_CHECKS = {
    ReasonType.SESSION_NOT_ACTIVE: "the Session is not active",
    ReasonType.SESSION_EXPIRED: "the Session has expired",
    ReasonType.ACCESS_TOKEN_EXPIRED: "the Session must be renewed: its access token has ended",
    ReasonType.SESSION_LOCKED: "the Session is locked",
    ReasonType.USER_LOCKED: "the User is locked",
    ReasonType.AUTHENTICATOR_AUTHENTICATION_REQUIRED: "an authenticator must be used first",
    ReasonType.AUTHENTICATOR_REGISTRATION_REQUIRED: "an authenticator must be registered first",
    ReasonType.DEVICE_NOT_ACTIVE: "the Device is not active",
    ReasonType.DEVICE_LOCKED: "the Device is locked",
    ReasonType.USER_DEACTIVATED: "the User is disabled",
    ReasonType.SESSION_CLIENT_TYPE_INVALID: (
        "the Service is not public and the Session not of type CLIENT"
    ),
    ReasonType.SCOPE_UNAUTHORIZED: "the Session's scopes do not cover the request",
    ReasonType.NO_POLICY_MATCH: "no rule allows it",
}


def summary(told: Trace) -> str:
    """The sentence."""
    match told.outcome:
        case None:
            return "It depends on what is not known of the request."
        case Outcome.ALLOWED:
            decided = told.decided
            if decided is None:
                return "Allowed: the Service is anonymous and asks no Policies."
            return f"Allowed: {_rule(decided)} allows."
        case Outcome.UNAUTHENTICATED:
            return f"Refused: {told.steps[-1].detail}."
        case Outcome.BAD_REQUEST:
            return f"Refused: {told.error}."
        case Outcome.ERROR:
            return f"Refused, because the decision fails: {told.error}."
    decided = told.decided
    if told.reason is ReasonType.POLICY_MATCH and decided is not None:
        return f"Refused: {_rule(decided)} denies."
    return f"Refused: {_CHECKS.get(told.reason) or _address(told)}."


def _address(told: Trace) -> str:
    step = told.steps[-1]
    assert step.name == checks.ADDRESS
    return "the client's address is not the one where the Session began"


def _rule(decided: RuleTried) -> str:
    policy, owner = decided.policy, decided.policy.owner
    text = place(decided)
    if policy.entry is None:
        return text
    via = f" through Policy {policy.inherited_from}" if policy.inherited_from else ""
    return f"{text} (attached to {owner.kind} {owner.name}{via})"
