"""auth.v1: a Session from an authentication token, its renewal, its end.

The proxy lets every call through unauthenticated; each method authenticates its caller itself, by
the token in the request or by the refresh token, which is in `x-octelium-refresh-token` or in the
cookie of a page of the Cluster (`cookies.py`). Methods that are not here answer UNIMPLEMENTED,
which the official clients take as "not offered".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.apiserver.rpc import Limits, method_name
from octelium.identity.scopes import ScopeError
from octelium.identity.sessions import Downstream
from octelium.schema.errors import Invalid
from octelium.schema.pb import auth_v1_pb2 as auth

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.apiserver.cookies import BrowserPages
    from octelium.apiserver.rpc import Call
    from octelium.identity.admission import IssuedTokens
    from octelium.identity.authentication import Authentication

DESCRIPTOR = auth.DESCRIPTOR.services_by_name["MainService"]
MAX_REQUEST_BYTES = 200 << 10
LIMITS = Limits(calls=256, waiting=128, seconds=15.0, message_bytes=256 << 10)
"""Of the server for this service alone, which anybody may call."""


def methods(*implementations: object) -> dict[str, Callable[..., object]]:
    """The methods of the service, each from the first of the objects that has it."""
    found: dict[str, Callable[..., object]] = {}
    for method in DESCRIPTOR.methods:
        name = method_name(method.name)
        for one in implementations:
            if (function := getattr(one, name, None)) is not None:
                found.setdefault(name, function)
    return found


class AuthService:
    """The methods by which command lines, SDKs and workloads come and go, and browsers go."""

    def __init__(self, authentication: Authentication, pages: BrowserPages) -> None:
        self._authentication = authentication
        self._pages = pages

    async def authenticate_with_authentication_token(
        self, request: auth.AuthenticateWithAuthenticationTokenRequest, call: Call
    ) -> auth.SessionToken:
        """Begin a Session with the token of an AUTH_TOKEN Credential."""
        try:
            issued = await self._authentication.with_authentication_token(
                request.authentication_token,
                scopes=request.scopes,
                code_verifier=request.code_verifier,
                downstream=downstream_of(call),
                operation=call.operation,
            )
        except ScopeError as error:
            raise Invalid("scopes", str(error)) from error
        return session_token(issued)

    async def authenticate_with_refresh_token(
        self, _request: auth.AuthenticateWithRefreshTokenRequest, call: Call
    ) -> auth.SessionToken:
        """Renew the caller's Session; ALREADY_EXISTS means that it keeps its tokens for now.

        Browsers are refused: their Sessions are renewed on the login page.
        """
        issued = await self._authentication.with_refresh_token(
            self._pages.refresh_token(call),
            downstream=downstream_of(call),
            operation=call.operation,
        )
        return session_token(issued)

    async def logout(self, _request: auth.LogoutRequest, call: Call) -> auth.LogoutResponse:
        """End the caller's Session; a browser is to forget its cookies."""
        session = await self._authentication.log_out(
            self._pages.refresh_token(call), operation=call.operation
        )
        if session.status.is_browser:
            self._pages.clear_tokens(call)
        return auth.LogoutResponse()


def downstream_of(call: Call) -> Downstream:
    """Who asks for an authentication."""
    return Downstream(call.user_agent, call.client_address)


def session_token(issued: IssuedTokens) -> auth.SessionToken:
    """What command lines, SDKs and workloads are answered."""
    return auth.SessionToken(
        access_token=issued.access_token,
        refresh_token=issued.refresh_token,
        expires_in=issued.expires_in,
        refresh_token_expires_in=issued.refresh_token_expires_in,
    )
