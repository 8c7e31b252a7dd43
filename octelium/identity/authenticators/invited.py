"""How somebody who was invited registers a passkey, and is signed in with it.

Functions within a transaction, for Sessions that an invitation has begun.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

from octelium.identity import invitations, sessions
from octelium.identity.authenticators import (
    authentications,
    ceremonies,
    owned,
    passkey_logins,
    passkeys,
    registration,
)
from octelium.identity.authenticators.ceremonies import Purpose
from octelium.identity.authenticators.errors import InvalidRequestError
from octelium.identity.authenticators.registration import Challenge
from octelium.identity.authenticators.relying_party import CHALLENGE_BYTES
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from octelium.identity.attempts import Attempt
    from octelium.identity.authenticators.callers import Caller
    from octelium.identity.authenticators.relying_party import RelyingParty
    from octelium.identity.provider_rules import AuthenticatorRules
    from octelium.identity.sessions import Locate
    from octelium.schema.pb import meta_v1_pb2 as meta
    from octelium.store.transaction import Transaction

_FIDO: Final = core.AuthenticatorStatusType__.FIDO
_ACTIVE: Final = core.AuthenticatorSpecState__.ACTIVE


def begin(
    tx: Transaction, asking: Caller, party: RelyingParty, display_name: str, now: int
) -> Challenge:
    """Ask the browser for a passkey, as often as the person tries; it is called `display_name`.

    Raises:
        RefusedError: the User has as many Authenticators as one may have.
    """
    found = _begun(tx, asking) or owned.create(tx, asking, _FIDO, display_name, now)
    challenge = secrets.token_bytes(CHALLENGE_BYTES)
    ceremonies.begin(found, asking.session, Purpose.REGISTRATION, challenge, now)
    known, settings = registration.known_ids(tx, asking), asking.config.spec.authenticator.fido
    options = party.creation_options(asking.user, challenge, known, settings, passkey=True)
    return Challenge(tx.update(found), options)


def finish(
    tx: Transaction,
    asking: Caller,
    party: RelyingParty,
    rules: AuthenticatorRules,
    ref: meta.ObjectReference,
    response: str,
    attempt: Attempt,
    locate: Locate,
    now: int,
) -> core.Session | None:
    """Take the passkey: a new Session instead of the caller's, and the invitation ends.

    None if the passkey waits for an administrator's approval.

    Raises:
        WrongResponseError: the response is not accepted; another challenge is needed.
        RefusedError: a rule of the Cluster refuses the passkey, or the invitation was revoked.
    """
    found, config = owned.own(tx, asking, ref), asking.config
    if found.status.is_registered or found.status.type != _FIDO:
        raise InvalidRequestError("the Authenticator is not one that is to be registered here")
    challenge = ceremonies.pending(found, asking.session, Purpose.REGISTRATION, now)
    settings = config.spec.authenticator.fido
    made = party.register(response, challenge, settings, passkey=True)
    registration.check_new(tx, made)
    registration.take_credential(found, made)
    ceremonies.complete(found, now)
    found.status.is_registered = True
    passkey_logins.allow(found)
    found = tx.update(found)
    attempt.concerns(authenticator=found)
    invitations.complete(tx, asking.session)
    if found.spec.state != _ACTIVE:
        return None
    info = authentications.new_info(found, passkeys.PASSKEY)
    told = info.authenticator.info.fido
    told.user_present = told.user_verified = True
    sessions.describe_downstream(info, attempt.downstream, config, locate)
    passkeys.check_rules(rules, config, found, asking.user, info, now)
    return passkeys.open_session(tx, config, found, asking.user, info, now)


def _begun(tx: Transaction, asking: Caller) -> core.Authenticator | None:
    """The one that the same Session has begun to register."""
    own = {"status.userRef": asking.user.metadata.uid}
    for one in tx.peek_all(core.Authenticator, by=own):
        begun_by = one.status.authentication_attempt.session_ref.uid
        if not one.status.is_registered and begun_by == asking.session.metadata.uid:
            return tx.get(core.Authenticator, uid=one.metadata.uid)
    return None
