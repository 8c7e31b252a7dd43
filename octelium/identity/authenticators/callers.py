"""Who asks for something with Authenticators: a Session, by its refresh token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from octelium.identity import admission, sessions
from octelium.identity.errors import RefusedError, UnknownUserError
from octelium.identity.invitations import is_invited
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from octelium.identity.tokens import TokenClaims
    from octelium.store.transaction import Transaction

_ACTIONS = core.SessionStatusAuthenticatorAction__


@dataclass(frozen=True, slots=True)
class Caller:
    """A Session that may be PENDING or need an Authenticator, its User, and the configuration."""

    session: core.Session
    user: core.User
    config: core.ClusterConfig

    @property
    def is_human(self) -> bool:
        """Whether a person asks."""
        return self.user.spec.type == core.UserSpecType__.HUMAN


def caller(tx: Transaction, claims: TokenClaims, now: int, *, invited: bool = False) -> Caller:
    """The Session of a verified refresh token.

    One that an invitation has begun can do nothing but what is for `invited` ones; others cannot
    do that.

    Raises:
        UnauthenticatedError: there is none, or it is over, rejected or locked.
        RefusedError: its User is barred, or it is of the other sort.
    """
    session = admission.session_of_token(tx, claims, now)
    user = tx.find(core.User, uid=session.status.user_ref.uid)
    if user is None:
        raise UnknownUserError(f"the User of Session {session.metadata.name} is gone")
    if sessions.is_user_barred(user):
        raise RefusedError(f"User {user.metadata.name} is disabled or locked")
    if is_invited(session) != invited:
        if invited:
            raise RefusedError("this Session has not come of an invitation")
        raise RefusedError("register the passkey that you were invited to make first")
    return Caller(session, user, admission.cluster_config(tx))


def require_second_factor(asking: Caller) -> None:
    """Raises RefusedError for a Session that still has to authenticate with an Authenticator.

    Else the first factor alone would do to add another second one, or to remove it.
    """
    if asking.session.status.authenticator_action == _ACTIONS.AUTHENTICATION_REQUIRED:
        raise RefusedError("authenticate with one of your Authenticators first")
