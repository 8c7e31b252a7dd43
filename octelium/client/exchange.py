"""The few calls of `auth.v1` that a client needs for its tokens."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from octelium.client.errors import ApiError
from octelium.schema.pb import auth_v1_pb2 as auth

if TYPE_CHECKING:
    from collections.abc import Sequence

    from octelium.client.stub import Stub

_DEADLINE = 20.0
_LOGOUT_DEADLINE = 3.0


class AuthExchange:
    """`auth.v1.MainService` over a channel: methods bound to a Session carry its refresh token."""

    def __init__(self, stub: Stub) -> None:
        self._stub = stub

    def authenticate(
        self, token: str, scopes: Sequence[str], code_verifier: bytes = b""
    ) -> auth.SessionToken:
        """Make a Session from an authentication token. Raises ApiError.

        A token that was given out for a code challenge wants the verifier (RFC 7636).
        """
        request = auth.AuthenticateWithAuthenticationTokenRequest(
            authentication_token=token, scopes=scopes, code_verifier=code_verifier
        )
        method = "AuthenticateWithAuthenticationToken"
        return _checked(self._stub.call(method, request, deadline=_DEADLINE), method)

    def vouch(self, assertion: str, provider: str, scopes: Sequence[str]) -> auth.SessionToken:
        """Make a Session from an assertion. Raises ApiError.

        `provider` is the name or the uid of the IdentityProvider; empty for that of the issuer.
        """
        method = "AuthenticateWithAssertion"
        request = auth.AuthenticateWithAssertionRequest(assertion=assertion, scopes=scopes)
        if provider:
            setattr(request.identity_provider_ref, "uid" if _is_uid(provider) else "name", provider)
        return _checked(self._stub.call(method, request, deadline=_DEADLINE), method)

    def refresh(self, refresh_token: str) -> auth.SessionToken:
        """New tokens for the same Session. Raises ApiError."""
        method = "AuthenticateWithRefreshToken"
        request = auth.AuthenticateWithRefreshTokenRequest()
        reply = self._stub.call(method, request, _bound(refresh_token), deadline=_DEADLINE)
        return _checked(reply, method)

    def logout(self, refresh_token: str) -> None:
        """End the Session; one that has ended already is no error. Raises ApiError."""
        try:
            self._stub.call(
                "Logout", auth.LogoutRequest(), _bound(refresh_token), deadline=_LOGOUT_DEADLINE
            )
        except ApiError as error:
            if error.code != "UNAUTHENTICATED":
                raise


def _is_uid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


def _bound(refresh_token: str) -> tuple[tuple[str, str]]:
    return (("x-octelium-refresh-token", refresh_token),)


def _checked(token: auth.SessionToken, method: str) -> auth.SessionToken:
    if not token.access_token or not token.refresh_token:
        raise ApiError("INTERNAL", "the Cluster answered without a token", method)
    return token
