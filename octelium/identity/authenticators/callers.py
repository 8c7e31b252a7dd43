"""Who asks for something with Authenticators: a Session, by its refresh token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from octelium.identity import admission, sessions
from octelium.identity.authenticators import ceremonies
from octelium.identity.authenticators.errors import ProofNeededError
from octelium.identity.errors import RefusedError, UnknownUserError
from octelium.identity.invitations import is_invited
from octelium.identity.scopes import ApiCall, covers
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from octelium.identity.tokens import TokenClaims
    from octelium.store.reading import Reader
    from octelium.store.transaction import Transaction

PROVED: Final = 15 * 60
"""Seconds for which the use of an Authenticator proves who adds or removes one."""
_ACTIONS: Final = core.SessionStatusAuthenticatorAction__
_AUTHENTICATOR: Final = core.SessionStatusAuthenticationInfoType__.AUTHENTICATOR
_NAMESPACE: Final = "octelium-api"
_SERVICE: Final = f"auth.{_NAMESPACE}"
_API: Final = ApiCall("octelium.api.main.auth.v1", "MainService", "*")


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
    """Raises RefusedError for a Session that may not manage Authenticators, or not yet.

    One that still has to authenticate with an Authenticator may not: else the first factor alone
    would do to add another second one, or to remove it. One that is limited to scopes may not
    unless they cover this API.
    """
    status = asking.session.status
    if status.authenticator_action == _ACTIONS.AUTHENTICATION_REQUIRED:
        raise ProofNeededError("authenticate with one of your Authenticators first")
    if status.scopes and not covers(status.scopes, _SERVICE, _NAMESPACE, _API):
        raise RefusedError("the scopes of this Session do not let it manage Authenticators")


def require_proof(store: Reader, asking: Caller, now: int) -> None:
    """Check that whoever adds or removes an Authenticator has just used one, if there is one.

    Else a token that was stolen would do to shut its owner out. Who has none yet, and who was
    invited to make the first one, has nothing to prove it with. To have registered one proves as
    much as to have used it.

    Raises:
        ProofNeededError: the Session has neither within `PROVED` seconds.
    """
    if is_invited(asking.session):
        return
    known = _registered(store, asking.user)
    uid = asking.session.metadata.uid
    if not known or any(ceremonies.was_registered_by(one, uid, now - PROVED) for one in known):
        return
    status = asking.session.status
    for one in (status.authentication, *status.last_authentications):
        if one.set_at.seconds <= now - PROVED:
            break
        if one.info.type == _AUTHENTICATOR:
            return
    where = "" if status.is_browser else "; in a browser if this client can use none"
    raise ProofNeededError(
        f"prove first that it is you, with an Authenticator that you have{where}; this holds for "
        f"{PROVED // 60} minutes"
    )


def _registered(store: Reader, user: core.User) -> list[core.Authenticator]:
    """Those of a User that can be used somewhere."""
    own = store.peek_all(core.Authenticator, by={"status.userRef": user.metadata.uid})
    active = core.AuthenticatorSpecState__.ACTIVE
    return [one for one in own if one.status.is_registered and one.spec.state == active]
