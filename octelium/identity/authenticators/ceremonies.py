"""Challenges that an Authenticator was sent: each for one Session, one purpose and one response.

They are kept with the Authenticator in the store, so a restart of the Cluster ends none.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from octelium.identity.authenticators.errors import WrongResponseError
from octelium.schema.pb import core_v1_pb2 as core
from octelium.store.metadata import reference

LIFETIME: Final = 20 * 60
"""Seconds in which a response must come."""
FIDO_LIFETIME: Final = 2 * 60
"""The same for WebAuthn, as its requests tell browsers."""
_KEPT: Final = 10
_CHALLENGE: Final = "challenge"
_PURPOSE: Final = "purpose"


class Purpose(Enum):
    """What a response is for."""

    REGISTRATION = b"registration"
    AUTHENTICATION = b"authentication"


def begin(
    authenticator: core.Authenticator,
    session: core.Session,
    purpose: Purpose,
    challenge: bytes,
    now: int,
) -> None:
    """Remember a challenge; an earlier one is void."""
    status = authenticator.status
    if status.HasField("authentication_attempt"):
        earlier = [status.authentication_attempt, *status.last_authentication_attempts][:_KEPT]
        kept = [type(one).FromString(one.SerializeToString()) for one in earlier]
        del status.last_authentication_attempts[:]
        status.last_authentication_attempts.extend(kept)
        for one in status.last_authentication_attempts:
            one.data_map.pop(_CHALLENGE, None)
    attempt = core.AuthenticatorStatusAuthenticationAttempt(session_ref=reference(session))
    attempt.created_at.seconds = now
    attempt.data_map[_PURPOSE] = purpose.value
    attempt.data_map[_CHALLENGE] = challenge
    status.authentication_attempt.CopyFrom(attempt)
    if purpose is Purpose.AUTHENTICATION:
        status.total_authentication_attempts += 1


def pending(
    authenticator: core.Authenticator, session: core.Session, purpose: Purpose, now: int
) -> bytes:
    """The challenge that a response of this Session must answer.

    Raises:
        WrongResponseError: there is none, it was answered, it is too old, or another's.
    """
    if not authenticator.status.HasField("authentication_attempt"):
        raise WrongResponseError("no challenge was sent")
    attempt = authenticator.status.authentication_attempt
    if attempt.HasField("completed_at"):
        raise WrongResponseError("the challenge was answered already")
    if attempt.session_ref.uid != session.metadata.uid:
        raise WrongResponseError("the challenge was sent to another Session")
    if attempt.data_map.get(_PURPOSE) != purpose.value:
        raise WrongResponseError(f"the challenge is not one of {purpose.name.lower()}")
    fido = authenticator.status.type == core.AuthenticatorStatusType__.FIDO
    if now - attempt.created_at.seconds >= (FIDO_LIFETIME if fido else LIFETIME):
        raise WrongResponseError("the challenge is too old")
    return attempt.data_map.get(_CHALLENGE, b"")


def was_registered_by(authenticator: core.Authenticator, session_uid: str, since: int) -> bool:
    """Whether a Session has registered it after `since`, and nothing was asked of it from then."""
    attempt = authenticator.status.authentication_attempt
    return (
        authenticator.status.is_registered
        and attempt.session_ref.uid == session_uid
        and attempt.data_map.get(_PURPOSE) == Purpose.REGISTRATION.value
        and attempt.completed_at.seconds > since
    )


def complete(authenticator: core.Authenticator, now: int) -> None:
    """The challenge has been answered, well or badly, and is void."""
    attempt = authenticator.status.authentication_attempt
    attempt.completed_at.seconds = now
    attempt.data_map.pop(_CHALLENGE, None)
