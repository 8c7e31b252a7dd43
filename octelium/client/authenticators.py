"""The Authenticators of who is logged in: what `auth.v1` offers to a program without a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from octelium.client.errors import NotLoggedIn
from octelium.schema.pb import auth_v1_pb2 as auth
from octelium.schema.pb import meta_v1_pb2 as meta

if TYPE_CHECKING:
    from collections.abc import Sequence

    from google.protobuf.message import Message

    from octelium.client.stub import Stub
    from octelium.client.tokens import TokenKeeper

TYPES = auth.AuthenticatorStatusType__


class Authenticators:
    """Calls with the refresh token of the remembered login. All raise ClientError."""

    def __init__(self, stub: Stub, keeper: TokenKeeper) -> None:
        self._stub = stub
        self._keeper = keeper

    def list(self) -> auth.AuthenticatorList:
        """All that the User has."""
        reply: auth.AuthenticatorList = self._call(
            "ListAuthenticator", auth.ListAuthenticatorOptions()
        )
        return reply

    def usable(self) -> Sequence[auth.Authenticator]:
        """Those that this Session can authenticate with."""
        request = auth.GetAvailableAuthenticatorRequest()
        reply: auth.GetAvailableAuthenticatorResponse = self._call(
            "GetAvailableAuthenticator", request
        )
        return reply.available_authenticators

    def create(self, display_name: str) -> auth.Authenticator:
        """A new one for an app, not registered yet."""
        request = auth.CreateAuthenticatorRequest(type=TYPES.TOTP, display_name=display_name)
        reply: auth.Authenticator = self._call("CreateAuthenticator", request)
        return reply

    def begin_registration(self, one: auth.Authenticator) -> str:
        """The `otpauth:` URL that the app is to know."""
        request = auth.RegisterAuthenticatorBeginRequest(authenticator_ref=_ref(one))
        reply = self._call("RegisterAuthenticatorBegin", request)
        url: str = reply.challenge_request.totp.url
        return url

    def finish_registration(self, one: auth.Authenticator, password: str) -> None:
        """Prove that the app knows it, with the password that it shows."""
        request = auth.RegisterAuthenticatorFinishRequest(authenticator_ref=_ref(one))
        request.challenge_response.totp.response = password
        self._call("RegisterAuthenticatorFinish", request)

    def delete(self, name: str) -> None:
        """Remove one, by its name."""
        self._call("DeleteAuthenticator", meta.DeleteOptions(name=name))

    def authenticate(self, one: auth.Authenticator, password: str) -> None:
        """Authenticate the Session with the password of an app, and remember its new tokens."""
        ref = _ref(one)
        self._call(
            "AuthenticateAuthenticatorBegin",
            auth.AuthenticateAuthenticatorBeginRequest(authenticator_ref=ref),
        )
        request = auth.AuthenticateWithAuthenticatorRequest(authenticator_ref=ref)
        request.challenge_response.totp.response = password
        self._keeper.take(self._call("AuthenticateWithAuthenticator", request))

    def _call(self, method: str, request: Message) -> Any:
        self._keeper.access_token()  # renews the tokens if it is time
        login = self._keeper.remembered()
        if login is None:
            raise NotLoggedIn("there is no login that is remembered", "log in with octelium login")
        metadata = (("x-octelium-refresh-token", login.token.refresh_token),)
        return self._stub.call(method, request, metadata)


def _ref(one: auth.Authenticator) -> meta.ObjectReference:
    return meta.ObjectReference(uid=one.metadata.uid, name=one.metadata.name)
