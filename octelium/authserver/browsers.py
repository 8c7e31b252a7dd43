"""The Session of a browser on the login host, and what stands in its way."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from octelium.authserver.cookies import ACCESS, REFRESH, cookie
from octelium.identity.invitations import is_invited
from octelium.schema.durations import seconds
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from octelium.identity.authentication import Authentication
    from octelium.identity.holders import Barrier

_ACTIONS: Final = core.SessionStatusAuthenticatorAction__
_AUTHENTICATOR: Final = core.SessionStatusAuthenticationInfoType__.AUTHENTICATOR
_PENDING: Final = core.SessionSpecState__.PENDING
AUTHENTICATE_PATH: Final = "/authenticators/authenticate"
REGISTER_PATH: Final = "/authenticators/register"
INVITED_PATH: Final = "/invite/passkey"
"""Where somebody who was invited registers a passkey."""
_REQUIRED: Final = {
    _ACTIONS.AUTHENTICATION_REQUIRED: AUTHENTICATE_PATH,
    _ACTIONS.REGISTRATION_REQUIRED: REGISTER_PATH,
}
_RECOMMENDED: Final = {
    _ACTIONS.AUTHENTICATION_RECOMMENDED: AUTHENTICATE_PATH,
    _ACTIONS.REGISTRATION_RECOMMENDED: REGISTER_PATH,
}


@dataclass(frozen=True, slots=True)
class Browsers:
    """Finds the Sessions of browsers by their cookies."""

    authentication: Authentication
    clock: Callable[[], float] = time.time

    def session(self, request: Request) -> core.Session | None:
        """The browser's Session; shared, and not to be written to."""
        refresh_token = cookie(request, REFRESH)
        return self.authentication.browser_session(refresh_token) if refresh_token else None

    def barrier(self, request: Request) -> Barrier | None:
        """Why the browser's Session is of no use, if an administrator has ended it so."""
        refresh_token = cookie(request, REFRESH)
        return self.authentication.barrier(refresh_token) if refresh_token else None

    def is_fresh(self, request: Request, session: core.Session) -> bool:
        """Whether the browser has the access token of its Session, and that for some time yet.

        One that lacks it would be sent here again by every Service.
        """
        holder = self.authentication.holder_of_access_token(cookie(request, ACCESS))
        if holder is None or holder.metadata.uid != session.metadata.uid:
            return False
        current = session.status.authentication
        age = self.clock() - current.set_at.seconds
        return age <= seconds(current.access_token_duration) * 3 / 4


def is_pending(session: core.Session) -> bool:
    """Whether an administrator has yet to approve the Session."""
    return session.spec.state == _PENDING


def began_with_authenticator(session: core.Session) -> bool:
    """Whether a Session is authenticated again with its Authenticator."""
    return session.status.initial_authentication.info.type == _AUTHENTICATOR


def required_path(session: core.Session) -> str:
    """The page of an Authenticator that a Session needs before anything else; or empty."""
    if is_invited(session):
        return INVITED_PATH
    return _REQUIRED.get(session.status.authenticator_action, "")


def wanted_path(session: core.Session) -> str:
    """The page of an Authenticator that a Session is to see after signing in; or empty."""
    return required_path(session) or _RECOMMENDED.get(session.status.authenticator_action, "")
