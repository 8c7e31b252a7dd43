"""Invitations: links for one use, by which a person without a passkey gets one.

Functions within a transaction. The store keeps a hash of a link's token, so that nobody who reads
it can use one. A User has one invitation at most: a newer one makes the earlier void, with what
that has begun. Who claims it, within `LIFETIME`, gets a browser's Session that can do nothing but
register a passkey, again within `LIFETIME`.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING, Final

from octelium.identity import admission, sessions
from octelium.identity.errors import AuthenticationError, RefusedError
from octelium.identity.sessions import Beginning
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import invitation_v1_pb2 as stored
from octelium.store.metadata import reference

if TYPE_CHECKING:
    from octelium.identity.attempts import Attempt
    from octelium.identity.sessions import Locate
    from octelium.identity.tokens import TokenClaims
    from octelium.store.reading import Reader
    from octelium.store.transaction import Transaction

LIFETIME: Final = 15 * 60
"""Seconds in which a link is claimed, and then again seconds in which the passkey is made."""
TOKEN_BYTES: Final = 32
INVITED: Final = "octelium-invitation"
"""System label of a Session that an invitation has begun, and of the passkeys that came of one."""
_HUMAN: Final = core.UserSpecType__.HUMAN
_REGISTER: Final = core.SessionStatusAuthenticatorAction__.REGISTRATION_REQUIRED
_INTERNAL: Final = core.SessionStatusAuthenticationInfoType__.INTERNAL
_CLIENTLESS: Final = core.SessionStatusType__.CLIENTLESS


class NotInvitableError(AuthenticationError):
    """A User who cannot be invited; the text says why."""

    code = "FAILED_PRECONDITION"


class NoUserError(NotInvitableError):
    """There is no such User."""

    code = "NOT_FOUND"


class InvitationError(RefusedError):
    """A link that leads nowhere. Why, is for the log alone: whoever has it may have found it."""

    def __init__(self, detail: str) -> None:
        super().__init__("the invitation is not good, or not any longer", detail=detail)


def new_token() -> str:
    """What only the invited person has."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def hash_of(token: str) -> bytes:
    """What the store keeps of a token."""
    return hashlib.sha256(token.encode()).digest()


def is_invited(session: core.Session) -> bool:
    """Whether a Session has come of an invitation, and can do nothing but register a passkey."""
    return INVITED in session.metadata.system_labels


def user_named(tx: Transaction, name: str) -> core.User:
    """The User of a name or uid. Raises NoUserError."""
    if not name:
        raise NoUserError("which User is meant? give a name or uid")
    found = tx.find(core.User, name=name) or tx.find(core.User, uid=name)
    if found is None:
        raise NoUserError(f"core.v1.User {name[:140]} does not exist")
    return found


def make(tx: Transaction, user: core.User, token: str, now: int) -> stored.Invitation:
    """Invite a User, whatever came of earlier invitations.

    Raises:
        NotInvitableError: the User is no person, or may not sign in.
    """
    name = user.metadata.name
    if user.spec.type != _HUMAN:
        raise NotInvitableError(
            f"User {name} is no HUMAN: only people are invited; others sign in with a Credential"
        )
    if sessions.is_user_barred(user):
        raise NotInvitableError(f"User {name} is disabled or locked: enable the User first")
    revoke(tx, user)
    made = stored.Invitation()
    made.metadata.name = user.metadata.uid
    made.spec.expires_at.seconds = now + LIFETIME
    made.status.user_ref.CopyFrom(reference(user))
    made.status.token_hash = hash_of(token)
    return tx.create(made)


def revoke(tx: Transaction, user: core.User) -> bool:
    """Void a User's invitation, with the Session that it has begun; whether there was one."""
    found = tx.peek(stored.Invitation, name=user.metadata.uid)
    if found is None:
        return False
    tx.delete(stored.Invitation, found.metadata.uid)
    begun = found.status.session_ref.uid
    session = tx.peek(core.Session, uid=begun) if begun else None
    if session is not None and is_invited(session):
        tx.delete("Session", begun)
    return True


def open_invitation(
    store: Reader, token: str, attempt: Attempt, now: int
) -> tuple[stored.Invitation, core.User]:
    """The invitation of a token that can be claimed, and its User.

    Raises:
        InvitationError: there is none.
        RefusedError: the User may not sign in.
    """
    by = {"status.tokenHash": hash_of(token).hex()}
    known = next(iter(store.peek_all(stored.Invitation, by=by)), None)
    if known is None:
        raise InvitationError("no such invitation: used, replaced, revoked, or never made")
    user = store.find(core.User, uid=known.status.user_ref.uid)
    if user is None:
        raise InvitationError(f"User {known.status.user_ref.name} is gone")
    attempt.concerns(user=user)
    if known.spec.expires_at.seconds <= now:
        raise InvitationError("expired")
    if known.status.HasField("session_ref"):
        attempt.session = known.status.session_ref
        raise InvitationError("claimed before, in the browser of another Session")
    if user.spec.type != _HUMAN or sessions.is_user_barred(user):
        raise RefusedError(f"User {user.metadata.name} is disabled or locked, or no HUMAN")
    return store.get(stored.Invitation, uid=known.metadata.uid), user


def claim(
    tx: Transaction,
    token: str,
    previous: TokenClaims | None,
    attempt: Attempt,
    locate: Locate,
    now: int,
) -> core.Session:
    """Use up an invitation: a browser's Session that has to register a passkey first.

    `previous` is the refresh token that the browser has; its Session ends if it is of the same
    User.

    Raises:
        InvitationError, RefusedError: as `open_invitation`.
        SessionLimitError: the User has as many Sessions as it may have; the link stays good.
    """
    invitation, user = open_invitation(tx, token, attempt, now)
    config = admission.cluster_config(tx)
    info = core.SessionStatusAuthenticationInfo(type=_INTERNAL)
    sessions.describe_downstream(info, attempt.downstream, config, locate)
    admission.end_previous(tx, previous, user, now)
    beginning = Beginning(user=user, type=_CLIENTLESS, info=info, is_browser=True)
    session = admission.open_session(tx, beginning, config, now)
    session.metadata.system_labels[INVITED] = invitation.metadata.uid
    session.spec.expires_at.seconds = now + LIFETIME
    session.spec.state = core.SessionSpecState__.ACTIVE  # others are for the one that follows
    session.status.authenticator_action = _REGISTER
    session = tx.update(session)
    invitation.spec.expires_at.seconds = now + LIFETIME
    invitation.status.session_ref.CopyFrom(reference(session))
    tx.update(invitation)
    return session


def complete(tx: Transaction, session: core.Session) -> None:
    """End an invitation whose passkey is registered, and the Session that it had begun."""
    uid = session.metadata.system_labels[INVITED]
    if tx.peek(stored.Invitation, uid=uid) is None:
        raise InvitationError("the invitation was revoked, or replaced by another")
    tx.delete(stored.Invitation, uid)
    tx.delete("Session", session.metadata.uid)


def end_expired(tx: Transaction, now: float) -> int:
    """Delete the invitations that are over; how many there were."""
    over = [
        found.metadata.uid
        for found in tx.peek_all(stored.Invitation)
        if found.spec.expires_at.seconds <= now
    ]
    for uid in over:
        tx.delete(stored.Invitation, uid)
    return len(over)
