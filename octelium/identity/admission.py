"""Sessions in the store: a new one within its User's limit, the one that a token belongs to."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from octelium.identity import sessions
from octelium.identity.errors import (
    SessionLimitError,
    SessionRefusedError,
    UnauthenticatedError,
)
from octelium.identity.tokens import TokenType
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from octelium.identity.sessions import Beginning
    from octelium.identity.tokens import Signer, TokenClaims
    from octelium.store.transaction import Transaction

GRACE: Final = 60
"""Seconds in which a refresh token that was replaced may come again: retries cross each other."""
SHARED: Final = "octelium-shared-tokens"
"""System label of a Session whose tokens several holders of one assertion were given."""
_STATES = core.SessionSpecState__


@dataclass(frozen=True, slots=True)
class IssuedTokens:
    """The tokens of one authentication. Lifetimes are in seconds from the authentication on."""

    access_token: str
    refresh_token: str
    expires_in: int
    refresh_token_expires_in: int
    session: core.Session


def issue(signer: Signer, session: core.Session) -> IssuedTokens:
    """The tokens of the current authentication of a stored Session."""
    current = session.status.authentication
    since = current.set_at.seconds
    access, refresh = sessions.access_expires_at(session), sessions.refresh_expires_at(session)
    uid = session.metadata.uid
    return IssuedTokens(
        access_token=signer.issue(TokenType.ACCESS, uid, current.token_id, access),
        refresh_token=signer.issue(TokenType.REFRESH, uid, current.token_id, refresh),
        expires_in=access - since,
        refresh_token_expires_in=refresh - since,
        session=session,
    )


def cluster_config(tx: Transaction) -> core.ClusterConfig:
    """The Cluster's configuration; an empty one where there is none."""
    return tx.find(core.ClusterConfig, name="default") or core.ClusterConfig()


def open_session(
    tx: Transaction, beginning: Beginning, config: core.ClusterConfig, now: int
) -> core.Session:
    """Store a new Session.

    Raises:
        SessionLimitError: the User has as many as it may have; those that are over do not count.
    """
    user = beginning.user
    most = sessions.rules(user, config).most
    own = {"status.userRef": user.metadata.uid}
    have = tx.count(core.Session, by=own)
    if have >= most:  # some may be over and not deleted yet
        have = tx.count(core.Session, by=own, where=lambda each: not sessions.is_over(each, now))
    if have >= most:
        raise SessionLimitError(
            f"User {user.metadata.name} has {have} Sessions, as many as it may have"
        )
    name = sessions.new_name(user)
    while tx.peek(core.Session, name=name) is not None:
        name = sessions.new_name(user)
    return tx.create(sessions.begin(beginning, config, name, now))


def end_previous(tx: Transaction, previous: TokenClaims | None, user: core.User, now: int) -> None:
    """End the Session of a browser in which the same person signs in again.

    `previous` is the refresh token that it had, if any; other Sessions are left alone.
    """
    session = tx.peek(core.Session, uid=previous.subject) if previous is not None else None
    if session is None or previous is None or sessions.is_over(session, now):
        return
    current = session.status.authentication.token_id
    mine = session.status.is_browser and session.status.user_ref.uid == user.metadata.uid
    if mine and hmac.compare_digest(current, previous.token_id):
        tx.delete("Session", session.metadata.uid)


def session_of_token(tx: Transaction, claims: TokenClaims, now: int) -> core.Session:
    """The Session that a verified refresh token renews or ends. It may be PENDING.

    Raises:
        UnauthenticatedError: it is gone, over, rejected or locked, or has newer tokens.
    """
    session = tx.find(core.Session, uid=claims.subject)
    if session is None:
        raise UnauthenticatedError("the token's Session does not exist")
    name = session.metadata.name
    if not hmac.compare_digest(session.status.authentication.token_id, claims.token_id):
        raise UnauthenticatedError(f"Session {name} has newer tokens")
    if sessions.is_over(session, now) or sessions.refresh_expires_at(session) <= now:
        raise UnauthenticatedError(f"Session {name} is over")
    if is_refused(session):
        raise UnauthenticatedError(f"Session {name} is rejected or locked")
    return session


def end_if_reused(tx: Transaction, claims: TokenClaims, now: int) -> core.Session | None:
    """End the Session of a refresh token that another one has replaced a while ago.

    Returns what it was; None if the token is the present one, was replaced within `GRACE`, or is
    of a Session whose tokens were handed out more than once.
    """
    session = tx.find(core.Session, uid=claims.subject)
    if session is None or SHARED in session.metadata.system_labels:
        return None
    if is_refused(session) or sessions.is_over(session, now):
        return None  # what an administrator has decided stays
    replaced_at = 0
    status = session.status
    for authentication in (status.authentication, *status.last_authentications):
        if hmac.compare_digest(authentication.token_id, claims.token_id):
            if not replaced_at or now - replaced_at <= GRACE:
                return None
            ended: core.Session = tx.delete("Session", session.metadata.uid)
            return ended
        replaced_at = authentication.set_at.seconds
    return None


def session_of_credential(
    tx: Transaction, credential: core.Credential, now: int
) -> core.Session | None:
    """The Session that a Credential authenticates again and again, if it has begun.

    Raises:
        SessionRefusedError: it is rejected or locked.
    """
    own = tx.peek_all(core.Session, by={"status.credentialRef": credential.metadata.uid})
    found = next((session for session in own if not sessions.is_over(session, now)), None)
    if found is None:
        return None
    if is_refused(found):
        raise SessionRefusedError(
            f"Session {found.metadata.name} of Credential {credential.metadata.name} "
            "is rejected or locked; delete it to begin another"
        )
    return tx.get(core.Session, uid=found.metadata.uid)


def is_refused(session: core.Session) -> bool:
    """Whether an administrator has rejected or locked a Session."""
    return session.status.is_locked or session.spec.state not in (_STATES.ACTIVE, _STATES.PENDING)
