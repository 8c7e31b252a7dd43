"""auth.v1 about Authenticators: people register them and authenticate with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import grpc

from octelium.apiserver.rpc import ApiError
from octelium.identity.authenticators.authenticators import Asking
from octelium.identity.authenticators.registration import Response
from octelium.identity.sessions import Downstream
from octelium.schema.pb import auth_v1_pb2 as auth
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta

if TYPE_CHECKING:
    from octelium.apiserver.cookies import BrowserPages
    from octelium.apiserver.rpc import Call
    from octelium.identity.admission import IssuedTokens
    from octelium.identity.authenticators.authenticators import Authenticators

MAX_QUERY: Final = 1000
_API: Final = "auth/v1"
# The enum of this API has the names and numbers of that of core.v1.
_Type = auth.AuthenticatorStatusType__.AuthenticatorStatusType
TYPES: Final = core.AuthenticatorStatusType__


class AuthenticatorService:
    """The methods about Authenticators; each caller sees its own only."""

    def __init__(self, authenticators: Authenticators, pages: BrowserPages) -> None:
        self._authenticators = authenticators
        self._pages = pages

    async def create_authenticator(
        self, request: auth.CreateAuthenticatorRequest, call: Call
    ) -> auth.Authenticator:
        """A new Authenticator, to be registered within an hour."""
        made = await self._authenticators.create(
            self._asking(call), request.type, request.display_name
        )
        return _shown(made)

    async def get_authenticator(self, request: meta.GetOptions, call: Call) -> auth.Authenticator:
        """One of the caller's, by uid or name."""
        ref = meta.ObjectReference(uid=request.uid, name=request.name)
        return _shown(await self._authenticators.get(self._asking(call), ref))

    async def list_authenticator(
        self, request: auth.ListAuthenticatorOptions, call: Call
    ) -> auth.AuthenticatorList:
        """The caller's, registered or not."""
        options = meta.CommonListOptions(page=request.page, items_per_page=request.items_per_page)
        page = await self._authenticators.list(self._asking(call), options)
        return auth.AuthenticatorList(
            api_version=_API,
            kind="AuthenticatorList",
            items=map(_shown, page.items),
            list_response_meta=page.meta(),
        )

    async def update_authenticator(
        self, request: auth.Authenticator, call: Call
    ) -> auth.Authenticator:
        """Change the display name, and nothing else."""
        ref = meta.ObjectReference(uid=request.metadata.uid, name=request.metadata.name)
        changed = await self._authenticators.rename(
            self._asking(call), ref, request.spec.display_name
        )
        return _shown(changed)

    async def delete_authenticator(
        self, request: meta.DeleteOptions, call: Call
    ) -> meta.OperationResult:
        """Remove one of the caller's."""
        ref = meta.ObjectReference(uid=request.uid, name=request.name)
        await self._authenticators.delete(self._asking(call), ref)
        return meta.OperationResult()

    async def get_available_authenticator(
        self, _request: auth.GetAvailableAuthenticatorRequest, call: Call
    ) -> auth.GetAvailableAuthenticatorResponse:
        """What the caller's Session can authenticate with."""
        found = await self._authenticators.available(self._asking(call))
        return auth.GetAvailableAuthenticatorResponse(
            main_authenticator=None if found.main is None else _shown(found.main),
            available_authenticators=map(_shown, found.items),
        )

    async def register_authenticator_begin(
        self, request: auth.RegisterAuthenticatorBeginRequest, call: Call
    ) -> auth.RegisterAuthenticatorBeginResponse:
        """Ask an Authenticator of the caller to register."""
        challenge = await self._authenticators.register_begin(
            self._asking(call), request.authenticator_ref
        )
        reply = auth.RegisterAuthenticatorBeginResponse()
        if challenge.authenticator.status.type == TYPES.TOTP:
            reply.challenge_request.totp.url = challenge.text
        else:
            reply.challenge_request.fido.request = challenge.text
        return reply

    async def register_authenticator_finish(
        self, request: auth.RegisterAuthenticatorFinishRequest, call: Call
    ) -> auth.RegisterAuthenticatorFinishResponse:
        """Take its response; a browser that had to register gets new tokens as cookies."""
        issued = await self._authenticators.register_finish(
            self._asking(call), request.authenticator_ref, _response(request.challenge_response)
        )
        if issued is not None:
            self._pages.set_tokens(call, issued)
        return auth.RegisterAuthenticatorFinishResponse()

    async def authenticate_authenticator_begin(
        self, request: auth.AuthenticateAuthenticatorBeginRequest, call: Call
    ) -> auth.AuthenticateAuthenticatorBeginResponse:
        """Ask an Authenticator that the caller can use to prove that it is there."""
        challenge = await self._authenticators.authenticate_begin(
            self._asking(call), request.authenticator_ref
        )
        reply = auth.AuthenticateAuthenticatorBeginResponse()
        if challenge.authenticator.status.type == TYPES.TOTP:
            reply.challenge_request.totp.SetInParent()
        else:
            reply.challenge_request.fido.request = challenge.text
        return reply

    async def authenticate_with_authenticator(
        self, request: auth.AuthenticateWithAuthenticatorRequest, call: Call
    ) -> auth.SessionToken:
        """Authenticate the caller's Session again; a browser gets its tokens as cookies."""
        issued = await self._authenticators.authenticate(
            self._asking(call),
            request.authenticator_ref,
            _response(request.challenge_response),
            downstream=_downstream(call),
        )
        return self._token(issued, call)

    async def authenticate_with_passkey_begin(
        self, request: auth.AuthenticateWithPasskeyBeginRequest, call: Call
    ) -> auth.AuthenticateWithPasskeyBeginResponse:
        """Options for a passkey. What `query` asks for, the page that asked keeps itself."""
        self._pages.require_login_page(call)
        if len(request.query) > MAX_QUERY:
            raise ApiError(
                grpc.StatusCode.INVALID_ARGUMENT, f"the query has more than {MAX_QUERY} characters"
            )
        return auth.AuthenticateWithPasskeyBeginResponse(
            request=self._authenticators.passkey_begin()
        )

    async def authenticate_with_passkey(
        self, request: auth.AuthenticateWithPasskeyRequest, call: Call
    ) -> auth.SessionToken:
        """Begin a browser's Session with a passkey; its tokens are cookies."""
        self._pages.require_login_page(call)
        issued = await self._authenticators.with_passkey(
            request.response,
            refresh_token=self._pages.cookie(call) or None,
            downstream=_downstream(call),
            operation=call.operation,
        )
        return self._token(issued, call)

    def _asking(self, call: Call) -> Asking:
        return Asking(self._pages.refresh_token(call), call.operation)

    def _token(self, issued: IssuedTokens, call: Call) -> auth.SessionToken:
        if issued.session.status.is_browser:
            self._pages.set_tokens(call, issued)
            return auth.SessionToken()
        return auth.SessionToken(
            access_token=issued.access_token,
            refresh_token=issued.refresh_token,
            expires_in=issued.expires_in,
            refresh_token_expires_in=issued.refresh_token_expires_in,
        )


def _downstream(call: Call) -> Downstream:
    return Downstream(call.user_agent, call.client_address)


def _response(given: auth.ChallengeResponse) -> Response:
    match given.WhichOneof("type"):
        case "fido":
            return Response(TYPES.FIDO, given.fido.response)
        case "totp":
            return Response(TYPES.TOTP, given.totp.response)
        case "tpm":
            return Response(TYPES.TPM, "")
        case _:
            raise ApiError(grpc.StatusCode.INVALID_ARGUMENT, "there is no challenge response")


def _shown(authenticator: core.Authenticator) -> auth.Authenticator:
    known = authenticator.metadata
    shown = auth.Authenticator(api_version=_API, kind="Authenticator")
    shown.metadata.uid, shown.metadata.name = known.uid, known.name
    shown.metadata.created_at.CopyFrom(known.created_at)
    shown.spec.SetInParent()
    shown.spec.display_name = authenticator.spec.display_name
    status = authenticator.status
    shown.status.type = _Type.ValueType(status.type)
    shown.status.is_registered = status.is_registered
    shown.status.description = status.description
    return shown
