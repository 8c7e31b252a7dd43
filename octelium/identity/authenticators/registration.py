"""How an Authenticator is registered: a challenge, and the response that proves it is there.

Functions within a transaction.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from octelium.identity import sessions
from octelium.identity.authenticators import ceremonies, owned, passkey_logins, sealing, totp
from octelium.identity.authenticators.callers import require_proof, require_second_factor
from octelium.identity.authenticators.ceremonies import Purpose
from octelium.identity.authenticators.errors import (
    InvalidRequestError,
    NotOfferedError,
    WrongResponseError,
)
from octelium.identity.authenticators.relying_party import CHALLENGE_BYTES
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from octelium.identity.authenticators.callers import Caller
    from octelium.identity.authenticators.relying_party import RelyingParty
    from octelium.schema.pb import meta_v1_pb2 as meta
    from octelium.store.reading import Reader
    from octelium.store.transaction import Transaction

TYPES: Final = core.AuthenticatorStatusType__
_ACTIONS: Final = core.SessionStatusAuthenticatorAction__
_REGISTRATION: Final = (_ACTIONS.REGISTRATION_REQUIRED, _ACTIONS.REGISTRATION_RECOMMENDED)
_FIDO_DESCRIPTIONS: Final = {
    core.AuthenticatorStatusInfoFidoType__.ROAMING: "Security key",
    core.AuthenticatorStatusInfoFidoType__.PLATFORM: "Built into a device",
}


@dataclass(frozen=True, slots=True)
class Challenge:
    """What an Authenticator is asked: options of WebAuthn as JSON, or an `otpauth:` URL."""

    authenticator: core.Authenticator
    text: str = ""


@dataclass(frozen=True, slots=True)
class Response:
    """What it answers. `kind` is the type that it claims to be."""

    kind: int
    text: str


@dataclass(frozen=True, slots=True)
class Registered:
    """An Authenticator, and the Session that was to have one, with a new authentication."""

    authenticator: core.Authenticator
    renewed: core.Session | None


def begin(
    tx: Transaction,
    asking: Caller,
    party: RelyingParty,
    ref: meta.ObjectReference,
    now: int,
) -> Challenge:
    """Ask one of the caller's Authenticators to register.

    A secret for TOTP stays the same while its challenge is open, so that a page can be shown again.
    """
    require_second_factor(asking)
    require_proof(tx, asking, now)
    found = _unregistered(tx, asking, ref)
    match found.status.type:
        case TYPES.TOTP:
            return _begin_totp(tx, asking, party, found, now)
        case TYPES.FIDO:
            if not asking.session.status.is_browser:
                raise InvalidRequestError("security keys and passkeys are registered in a browser")
            challenge = secrets.token_bytes(CHALLENGE_BYTES)
            ceremonies.begin(found, asking.session, Purpose.REGISTRATION, challenge, now)
            options = party.creation_options(
                asking.user, challenge, known_ids(tx, asking), asking.config.spec.authenticator.fido
            )
            return Challenge(tx.update(found), options)
        case _:
            raise NotOfferedError("this Cluster does not offer Authenticators of this type")


def finish(
    tx: Transaction,
    asking: Caller,
    party: RelyingParty,
    ref: meta.ObjectReference,
    response: Response,
    now: int,
) -> Registered:
    """Take the response to the challenge.

    A Session that could do nothing before gets new tokens, so that whoever knows the old ones still
    can do nothing.

    Raises:
        WrongResponseError: it is not accepted. A password of TOTP may be tried again; after
            anything else a new challenge is needed, which the caller of this remembers.
    """
    require_second_factor(asking)
    found = _unregistered(tx, asking, ref)
    status = found.status
    check_kind(found, response)
    challenge = ceremonies.pending(found, asking.session, Purpose.REGISTRATION, now)
    if status.type == TYPES.TOTP:
        secret = sealing.unseal(tx, found.metadata.uid, status.info.totp.shared_secret)
        step = totp.accepted_step(secret, response.text, now, 0)
        if step is None:
            raise WrongResponseError("not the code of this moment")
        status.info.totp.last_accepted_time_step = step
        status.info.totp.last_accepted_at.seconds = now
        status.description = "Authenticator app"
    else:
        settings = asking.config.spec.authenticator.fido
        made = party.register(response.text, challenge, settings)
        check_new(tx, made)
        take_credential(found, made)
        passkey_logins.follow(tx, found)
    ceremonies.complete(found, now)
    status.is_registered = True
    session, renewed = asking.session, None
    if session.status.HasField("device_ref"):
        status.device_ref.CopyFrom(session.status.device_ref)
    action = session.status.authenticator_action
    if action in _REGISTRATION:
        session.status.authenticator_action = _ACTIONS.AUTHENTICATOR_ACTION_UNSET
        if action == _ACTIONS.REGISTRATION_REQUIRED:
            info = core.SessionStatusAuthenticationInfo()
            info.CopyFrom(session.status.authentication.info)
            sessions.renew(session, info, now)
        stored = tx.update(session)
        renewed = stored if action == _ACTIONS.REGISTRATION_REQUIRED else None
    return Registered(tx.update(found), renewed)


def check_new(store: Reader, made: core.AuthenticatorStatusInfoFido) -> None:
    """Raises WrongResponseError for a credential that somebody has registered."""
    if store.exists(core.Authenticator, by=("status.info.fido.idHash", made.id_hash.hex())):
        raise WrongResponseError("the credential is registered already")


def take_credential(found: core.Authenticator, made: core.AuthenticatorStatusInfoFido) -> None:
    """Have an Authenticator be the one of a new credential."""
    found.status.info.fido.CopyFrom(made)
    found.status.description = _FIDO_DESCRIPTIONS.get(made.type, "Passkey or security key")


def void(tx: Transaction, asking: Caller, ref: meta.ObjectReference, now: int) -> None:
    """Have a wrong response use up the challenge, but for TOTP."""
    found = owned.own(tx, asking, ref)
    status = found.status
    if status.type == TYPES.FIDO and status.HasField("authentication_attempt"):
        ceremonies.complete(found, now)
        tx.update(found)


def check_kind(authenticator: core.Authenticator, response: Response) -> None:
    """Raises InvalidRequestError for the response of another type."""
    if response.kind != authenticator.status.type:
        name = TYPES.AuthenticatorStatusType.Name(authenticator.status.type)
        raise InvalidRequestError(f"the response must be one of type {name}")


def _unregistered(tx: Transaction, asking: Caller, ref: meta.ObjectReference) -> core.Authenticator:
    found = owned.own(tx, asking, ref)
    if found.status.is_registered:
        raise InvalidRequestError("the Authenticator is registered already")
    return found


def _begin_totp(
    tx: Transaction,
    asking: Caller,
    party: RelyingParty,
    found: core.Authenticator,
    now: int,
) -> Challenge:
    uid, info = found.metadata.uid, found.status.info.totp
    try:
        ceremonies.pending(found, asking.session, Purpose.REGISTRATION, now)
        secret = sealing.unseal(tx, uid, info.shared_secret)
    except WrongResponseError:  # no challenge of this Session is open
        secret = totp.new_secret()
        info.shared_secret.CopyFrom(sealing.seal(tx, uid, secret))
        info.period_seconds, info.digits = totp.PERIOD, totp.DIGITS
        info.algorithm = core.AuthenticatorStatusInfoTotpAlgorithm__.SHA1
        ceremonies.begin(found, asking.session, Purpose.REGISTRATION, b"", now)
        found = tx.update(found)
    return Challenge(found, totp.url(secret, party.name, asking.user.metadata.name))


def known_ids(tx: Transaction, asking: Caller) -> list[bytes]:
    """Ids of the credentials that the caller's User has registered."""
    own = tx.peek_all(core.Authenticator, by={"status.userRef": asking.user.metadata.uid})
    return [
        one.status.info.fido.id
        for one in own
        if one.status.type == TYPES.FIDO and one.status.is_registered
    ]
