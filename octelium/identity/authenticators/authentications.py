"""How a Session is authenticated with an Authenticator. Functions within a transaction."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

from google.protobuf.struct_pb2 import Struct

from octelium.identity import sessions
from octelium.identity.authenticators import available, ceremonies, owned, sealing, totp, uses
from octelium.identity.authenticators.ceremonies import Purpose
from octelium.identity.authenticators.errors import CloneError, WrongResponseError
from octelium.identity.authenticators.registration import Challenge, Response, check_kind
from octelium.identity.authenticators.relying_party import CHALLENGE_BYTES, requires_verification
from octelium.identity.errors import RefusedError
from octelium.schema.pb import core_v1_pb2 as core
from octelium.store.metadata import reference

if TYPE_CHECKING:
    from octelium.identity.authenticators.callers import Caller
    from octelium.identity.authenticators.relying_party import Assertion, RelyingParty
    from octelium.identity.provider_rules import AuthenticatorRules
    from octelium.identity.sessions import Downstream, Locate
    from octelium.schema.pb import meta_v1_pb2 as meta
    from octelium.store.transaction import Transaction

TYPES: Final = core.AuthenticatorStatusType__
CLONED: Final = "cloneWarning"
"""Key in `authenticator.status.ext` of the last use of a second Authenticator with the same key."""
_ACTIONS: Final = core.SessionStatusAuthenticatorAction__
_MODES: Final = core.SessionStatusAuthenticationInfoAuthenticatorMode__
_AUTHENTICATION: Final = (_ACTIONS.AUTHENTICATION_REQUIRED, _ACTIONS.AUTHENTICATION_RECOMMENDED)
_AUTHENTICATOR: Final = core.SessionStatusAuthenticationInfoType__.AUTHENTICATOR


def begin(
    tx: Transaction,
    asking: Caller,
    party: RelyingParty,
    ref: meta.ObjectReference,
    now: int,
) -> Challenge:
    """Ask one of the Authenticators that the caller can use for a response.

    Raises:
        RefusedError: it is not one of these.
    """
    found = _usable(tx, asking, ref)
    challenge, text = b"", ""
    if found.status.type == TYPES.FIDO:
        challenge = secrets.token_bytes(CHALLENGE_BYTES)
        settings = asking.config.spec.authenticator.fido
        text = party.request_options(challenge, found.status.info.fido.id, settings)
    ceremonies.begin(found, asking.session, Purpose.AUTHENTICATION, challenge, now)
    return Challenge(tx.update(found), text)


def finish(
    tx: Transaction,
    asking: Caller,
    party: RelyingParty,
    rules: AuthenticatorRules,
    ref: meta.ObjectReference,
    response: Response,
    downstream: Downstream,
    locate: Locate,
    now: int,
) -> core.Session | RefusedError:
    """Take the response and authenticate the Session again.

    A wrong response is counted with the Authenticator, so it is returned and not raised: what is
    raised leaves no trace.
    """
    found, session = _usable(tx, asking, ref), asking.session
    check_kind(found, response)
    action = session.status.authenticator_action
    if action != _ACTIONS.AUTHENTICATION_REQUIRED:
        sessions.check_pace(session, now)
    info = new_info(found, _MODES.MFA if action in _AUTHENTICATION else _MODES.DEFAULT)
    info.aal = session.status.authentication.info.aal
    sessions.describe_downstream(info, downstream, asking.config, locate)
    try:
        challenge = ceremonies.pending(found, session, Purpose.AUTHENTICATION, now)
        check(tx, party, asking, found, response.text, challenge, info, now)
        rules.post_authenticator(asking.config, found, asking.user, session, info)
        _align_devices(session, found)
    except RefusedError as error:
        count_failure(found, error, now)
        tx.update(found)
        return error
    ceremonies.complete(found, now)
    uses.count(found, now)
    found = tx.update(found)
    sessions.renew(session, info, now)
    session.status.authenticator_action = _ACTIONS.AUTHENTICATOR_ACTION_UNSET
    if found.status.type == TYPES.FIDO and not session.status.HasField(
        "required_authenticator_ref"
    ):
        session.status.required_authenticator_ref.CopyFrom(reference(found))
    return tx.update(session)


def check(
    tx: Transaction,
    party: RelyingParty,
    asking: Caller,
    found: core.Authenticator,
    response: str,
    challenge: bytes,
    info: core.SessionStatusAuthenticationInfo,
    now: int,
) -> None:
    """Verify a response, and write what it told into `found` and `info`.

    Raises:
        WrongResponseError: it does not answer the challenge.
    """
    status = found.status
    if status.type == TYPES.TOTP:
        secret = sealing.unseal(tx, found.metadata.uid, status.info.totp.shared_secret)
        known = status.info.totp
        step = totp.accepted_step(secret, response, now, known.last_accepted_time_step)
        if step is None:
            raise WrongResponseError("not the code of this moment, or one that was used")
        known.last_accepted_time_step, known.last_accepted_at.seconds = step, now
        return
    assertion = party.verify(
        response,
        challenge,
        status.info.fido,
        asking.user,
        require_verification=requires_verification(asking.config.spec.authenticator.fido),
    )
    take_assertion(found, assertion, info)


def take_assertion(
    found: core.Authenticator,
    assertion: Assertion,
    info: core.SessionStatusAuthenticationInfo,
) -> None:
    """Remember a verified signature."""
    known, told = found.status.info.fido, info.authenticator.info.fido
    known.sign_count = assertion.sign_count
    told.user_present = True
    told.user_verified = assertion.user_verified


def new_info(
    found: core.Authenticator,
    mode: core.SessionStatusAuthenticationInfoAuthenticatorMode__.SessionStatusAuthenticationInfoAuthenticatorMode.ValueType,  # noqa: E501 - its name
) -> core.SessionStatusAuthenticationInfo:
    """How a Session is authenticated with an Authenticator."""
    info = core.SessionStatusAuthenticationInfo(type=_AUTHENTICATOR)
    info.authenticator.authenticator_ref.CopyFrom(reference(found))
    info.authenticator.type = found.status.type
    info.authenticator.mode = mode
    if found.status.type == TYPES.FIDO:
        known, told = found.status.info.fido, info.authenticator.info.fido
        told.is_hardware, told.is_software = known.is_hardware, known.is_software
        told.is_attestation_verified = known.is_attestation_verified
        told.is_passkey, told.aaguid = known.is_passkey, known.aaguid
    return info


def count_failure(found: core.Authenticator, error: RefusedError, now: int) -> None:
    """Have an Authenticator remember a response that was refused; its challenge is void."""
    found.status.failed_authentications += 1
    if found.status.HasField("authentication_attempt"):
        ceremonies.complete(found, now)
    if isinstance(error, CloneError):
        warning = Struct()
        warning.update({"at": now, "reason": error.detail})
        found.status.ext[CLONED].CopyFrom(warning)


def _usable(tx: Transaction, asking: Caller, ref: meta.ObjectReference) -> core.Authenticator:
    found = owned.own(tx, asking, ref)
    allowed = available.selection(tx, asking.session).items
    if all(one.metadata.uid != found.metadata.uid for one in allowed):
        raise RefusedError(
            "this Session cannot authenticate with this Authenticator",
            detail=f"Authenticator {found.metadata.name} is not registered, not ACTIVE, bound to "
            "another Device, of a type that the client cannot use, or the Session is bound to "
            "another",
        )
    return found


def _align_devices(session: core.Session, found: core.Authenticator) -> None:
    """Bind a Session and the Authenticator that is a part of its device to the same Device.

    One that can be carried elsewhere says nothing about where it is used.
    """
    own, its = session.status.device_ref, found.status.device_ref
    if own.uid and its.uid and own.uid != its.uid:
        raise RefusedError("the Authenticator is bound to another Device")
    built_in = found.status.type == TYPES.TPM or (
        found.status.info.fido.type == core.AuthenticatorStatusInfoFidoType__.PLATFORM
    )
    if not built_in:
        return
    if its.uid and not own.uid:
        session.status.device_ref.CopyFrom(its)
    elif own.uid and not its.uid:
        found.status.device_ref.CopyFrom(own)
