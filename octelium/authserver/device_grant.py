"""The endpoints by which a machine without a browser signs in (RFC 8628 sections 3.1 to 3.5)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response

from octelium.authserver.body import BodyError, read_form
from octelium.authserver.device_codes import INTERVAL, SECONDS, PollError
from octelium.authserver.oauth2 import HEADERS, OAuth2Error, scopes_of
from octelium.authserver.requests import downstream_of
from octelium.identity.attempts import Attempt, Way
from octelium.identity.errors import AuthenticationError
from octelium.identity.scopes import ScopeError, parse_scopes

if TYPE_CHECKING:
    from starlette.requests import Request

    from octelium.authserver.device_codes import DeviceCodes
    from octelium.authserver.oauth2 import Publish
    from octelium.authserver.site import Site
    from octelium.identity.authentication import Authentication
    from octelium.identity.client_logins import ClientLogins

GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
AUTHORIZATION_PATH: Final = "/oauth2/device_authorization"
PAGE_PATH: Final = "/device"
_MAX_BODY: Final = 8 << 10
_CLIENT_ID: Final = re.compile(r"[!-~]{1,64}")
_OPERATION: Final = "oauth2/token"
_REASONS: Final = {
    "expired_token": "no machine waits with this device code: it is unknown, was used, or is old",
    "invalid_grant": "the device code is another client's",
    "access_denied": "the person who was asked did not let the machine in",
}
"""Why a machine gets nothing any more, for the log; while it waits there is nothing to tell."""


class DeviceGrant:
    """Gives codes to machines, and tokens once a person has let them in."""

    def __init__(
        self,
        site: Site,
        codes: DeviceCodes,
        authentication: Authentication,
        client_logins: ClientLogins,
        publish: Publish,
    ) -> None:
        self._site = site
        self._codes = codes
        self._authentication = authentication
        self._client_logins = client_logins
        self._publish = publish

    async def authorize(self, request: Request) -> Response:
        """The device authorization endpoint."""
        try:
            return await self._authorize(request)
        except OAuth2Error as error:
            return error.response()
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is left to read it

    async def _authorize(self, request: Request) -> Response:
        try:
            form = await read_form(request, _MAX_BODY)
        except BodyError as error:
            raise OAuth2Error(error.status, "invalid_request", str(error)) from error
        client_id = _client_id(form)
        scopes = scopes_of(form)
        try:
            if scopes:
                parse_scopes(scopes)
        except ScopeError as error:
            raise OAuth2Error(400, "invalid_scope", str(error)) from error
        login = self._codes.begin(client_id, scopes, downstream_of(request))
        page = self._site.origin + PAGE_PATH
        body = {
            "device_code": login.device_code,
            "user_code": login.shown_code,
            "verification_uri": page,
            "verification_uri_complete": f"{page}?user_code={login.shown_code}",
            "expires_in": SECONDS,
            "interval": INTERVAL,
        }
        return JSONResponse(body, headers=HEADERS)

    async def tokens(self, request: Request, form: dict[str, str]) -> Response:
        """The part of the token endpoint that machines ask again and again.

        Raises:
            OAuth2Error: there are no tokens for it.
        """
        client_id = _client_id(form)
        attempt = Attempt(
            way=Way.DEVICE_CODE, downstream=downstream_of(request), operation=_OPERATION
        )
        try:
            login = self._codes.poll(form.get("device_code", ""), client_id)
        except PollError as error:
            if reason := _REASONS.get(str(error)):
                self._authentication.refuse(attempt, reason)
            raise OAuth2Error(400, str(error)) from error
        try:
            token = await self._client_logins.approve(login.session_uid, b"", operation=_OPERATION)
        except AuthenticationError as error:  # what has changed since the person said yes
            self._authentication.refuse(attempt, error)
            raise OAuth2Error(400, "access_denied") from error
        try:
            issued = await self._authentication.with_authentication_token(
                token,
                scopes=login.scopes or (),
                downstream=downstream_of(request),
                operation=_OPERATION,
                way=Way.DEVICE_CODE,
            )
        except AuthenticationError as error:
            raise OAuth2Error(400, "access_denied") from error
        await self._publish()
        body = {
            "access_token": issued.access_token,
            "token_type": "Bearer",
            "expires_in": issued.expires_in,
            "refresh_token": issued.refresh_token,
            "refresh_token_expires_in": issued.refresh_token_expires_in,
        }
        return JSONResponse(body, headers=HEADERS)


def _client_id(form: dict[str, str]) -> str:
    client_id = form.get("client_id", "")
    if _CLIENT_ID.fullmatch(client_id) is None:
        raise OAuth2Error(400, "invalid_client", "client_id is wanted, of 1 to 64 ASCII characters")
    return client_id
