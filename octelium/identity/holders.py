"""Whose a token is, for pages and messages: looking at tokens changes nothing."""

from __future__ import annotations

import hmac
from enum import Enum
from typing import TYPE_CHECKING

from octelium.identity import sessions
from octelium.identity.errors import UnauthenticatedError
from octelium.identity.tokens import TokenType
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.identity.keys import Keyring
    from octelium.identity.tokens import TokenClaims
    from octelium.store.resources import Resources

_STATES = core.SessionSpecState__


class Barrier(Enum):
    """What an administrator has done to somebody who holds a genuine token."""

    SESSION = "the Session is rejected or locked"
    USER = "the User is disabled or locked"


class Holders:
    """The Sessions that have tokens."""

    def __init__(self, resources: Resources, keyring: Keyring, clock: Callable[[], float]) -> None:
        self._resources = resources
        self._keyring = keyring
        self._clock = clock

    def browser_session(self, refresh_token: str) -> core.Session | None:
        """The browser's Session whose present refresh token this is; None for any other text.

        It may be PENDING, need an Authenticator first, or have an access token that is over; its
        User is neither disabled nor locked. What is returned is shared and must not be written to.
        """
        session, barrier = self._browser(refresh_token)
        return session if barrier is None else None

    def barrier(self, refresh_token: str) -> Barrier | None:
        """Why the browser's Session of this present refresh token is of no use, if it is not.

        None for any other text: only who has been signed in is told.
        """
        return self._browser(refresh_token)[1]

    def holder_of_access_token(self, token: str) -> core.Session | None:
        """The Session whose present access token this is; None for any other text.

        It may be suspended, rejected or locked: this is for telling people about themselves, and
        gives no right. What is returned is shared and must not be written to.
        """
        claims = self._keyring.verifier.verify(token, TokenType.ACCESS)
        return None if claims is None else self._present(claims)

    def _browser(self, refresh_token: str) -> tuple[core.Session | None, Barrier | None]:
        claims = self._keyring.verifier.verify(refresh_token, TokenType.REFRESH)
        session = None if claims is None else self._present(claims)
        if session is None or not session.status.is_browser:
            return None, None
        user = self._resources.peek(core.User, uid=session.status.user_ref.uid)
        if user is None:
            return None, None
        if sessions.is_user_barred(user):
            return session, Barrier.USER
        good = session.spec.state in (_STATES.ACTIVE, _STATES.PENDING)
        barred = session.status.is_locked or not good
        return session, Barrier.SESSION if barred else None

    def _claims(self, token: str, token_type: TokenType) -> TokenClaims:
        claims = self._keyring.verifier.verify(token, token_type)
        if claims is None:
            raise UnauthenticatedError(f"no valid token of type {token_type.name} was given")
        return claims

    def _present(self, claims: TokenClaims) -> core.Session | None:
        """The Session whose current authentication `claims` belong to; shared."""
        session = self._resources.peek(core.Session, uid=claims.subject)
        if session is None or sessions.is_over(session, int(self._clock())):
            return None
        current = session.status.authentication.token_id
        return session if hmac.compare_digest(current, claims.token_id) else None
