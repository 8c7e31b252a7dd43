"""OAuth 2.0 client credentials for workloads (RFC 6749 section 4.4) and the server's metadata.

A client is an OAUTH2 Credential, which authenticates by `client_id` and `client_secret` in the
body, or a workload with an assertion of its platform (RFC 7523 section 2.2). It gets an access
token; there is no refresh token.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol, TypeAlias

from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response

from octelium.authserver.body import BodyError, read_form
from octelium.authserver.pace import Pace
from octelium.authserver.requests import downstream_of
from octelium.identity.errors import (
    AuthenticationError,
    SessionRefusedError,
    UnauthenticatedError,
    UnknownUserError,
)
from octelium.identity.scopes import ScopeError, describe_scopes
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request

    from octelium.authserver.site import Site
    from octelium.authserver.workloads import Workloads
    from octelium.identity.admission import IssuedTokens
    from octelium.identity.authentication import Authentication

_LOG = logging.getLogger(__name__)

TOKEN_PATH = "/oauth2/token"  # noqa: S105  (a path)
METADATA_PATH = "/.well-known/oauth-authorization-server"
CLIENT_CREDENTIALS = "client_credentials"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
MAX_BODY = 32 << 10
MAX_SCOPE = 2048
_EVERYTHING = ["api:*", "service:*"]
HEADERS = {
    "Cache-Control": "no-store",
    "Pragma": "no-cache",
    "X-Content-Type-Options": "nosniff",
}
_MORE = {405: {"Allow": "POST"}, 429: {"Retry-After": "1"}}


class Publish(Protocol):
    """Makes what was committed known to the readers of the store, before the reply leaves."""

    async def __call__(self) -> None:
        """Return once every reader can tell that it must catch up."""
        ...


Grant: TypeAlias = "Callable[[Request, dict[str, str]], Awaitable[Response]]"
"""Answers a request for tokens, whose form is given; raises OAuth2Error."""


class OAuth2Error(Exception):
    """A refusal in the form of RFC 6749 section 5.2."""

    def __init__(self, status: int, code: str, description: str = "") -> None:
        super().__init__(code, description)
        self.status = status
        self.code = code
        self.description = description

    def response(self) -> Response:
        """What the client gets."""
        body = {"error": self.code}
        if self.description:
            body["error_description"] = self.description
        headers = {**HEADERS, **_MORE.get(self.status, {})}
        return JSONResponse(body, self.status, headers)


class OAuth2:
    """The OAuth 2.0 endpoints."""

    def __init__(
        self,
        site: Site,
        authentication: Authentication,
        publish: Publish,
        grants: Mapping[str, Grant],
        endpoints: Mapping[str, str],
        workloads: Workloads,
    ) -> None:
        """`grants` are those beside client credentials, by their types. `endpoints` are paths.

        The metadata names both.
        """
        self._site = site
        self._authentication = authentication
        self._publish = publish
        self._workloads = workloads
        self._issued = Pace(600, 1)
        """Tokens by client. The store remembers each for a while; they are good for hours."""
        self._grants = dict(grants)
        self._endpoints = {name: site.origin + path for name, path in endpoints.items()}

    async def token(self, request: Request) -> Response:
        """The token endpoint."""
        try:
            return await self._token(request)
        except OAuth2Error as error:
            return error.response()
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is left to read it
        except Exception:  # noqa: BLE001  (logged; a client must get the form of RFC 6749)
            _LOG.exception("%s failed", TOKEN_PATH)
            return OAuth2Error(500, "server_error").response()

    async def metadata(self, _request: Request) -> Response:
        """Authorization server metadata (RFC 8414)."""
        return JSONResponse(
            {
                "issuer": self._site.issuer,
                "token_endpoint": self._site.origin + TOKEN_PATH,
                **self._endpoints,
                "grant_types_supported": [CLIENT_CREDENTIALS, *self._grants],
                "token_endpoint_auth_methods_supported": ["client_secret_post"],
                "response_types_supported": ["code"],
            },
            headers={"X-Content-Type-Options": "nosniff"},
        )

    async def _token(self, request: Request) -> Response:
        if request.method != "POST":
            raise OAuth2Error(405, "invalid_request", "send a POST request")
        form = await _read_form(request)
        grant = self._grants.get(form.get("grant_type", ""))
        if grant is not None:
            return await grant(request, form)
        _check_grant(form)
        scopes = scopes_of(form)
        issued = await self._authenticate(request, form, scopes)
        await self._publish()
        body: dict[str, str | int] = {
            "access_token": issued.access_token,
            "token_type": "Bearer",
            "expires_in": issued.expires_in,
        }
        granted = describe_scopes(issued.session.status.scopes)
        if scopes is not None or granted:
            body["scope"] = " ".join(granted or _EVERYTHING)
        return JSONResponse(body, headers=HEADERS)

    async def _authenticate(
        self, request: Request, form: dict[str, str], scopes: list[str] | None
    ) -> IssuedTokens:
        downstream, operation = downstream_of(request), TOKEN_PATH.removeprefix("/")
        assertion = form.get("client_assertion")
        try:
            if assertion is not None:
                return await self._workloads.sign_in(
                    assertion,
                    scopes=scopes,
                    downstream=downstream,
                    operation=operation,
                    session_type=core.SessionStatusType__.CLIENTLESS,
                )
            client_id = form.get("client_id", "")
            if self._issued.is_spent(client_id):
                raise OAuth2Error(429, "slow_down", "use a token until it expires")
            issued = await self._authentication.with_client_secret(
                client_id,
                form.get("client_secret", ""),
                scopes=scopes,
                downstream=downstream,
                operation=operation,
            )
            self._issued.take(client_id)  # what strangers send under its name does not count
            return issued
        except ScopeError as error:
            raise OAuth2Error(401, "invalid_scope", _ascii(str(error))) from error
        except AuthenticationError as error:
            raise _refusal(error) from error


def _refusal(error: AuthenticationError) -> OAuth2Error:
    if isinstance(error, UnknownUserError):
        return OAuth2Error(400, "invalid_client")
    if isinstance(error, UnauthenticatedError):
        return OAuth2Error(401, "invalid_client")
    code = "invalid_client" if isinstance(error, SessionRefusedError) else "invalid_request"
    return OAuth2Error(400, code, _ascii(error.answer))


def _ascii(text: str) -> str:
    """RFC 6749 section 5.2 wants printable ASCII without quotation marks and backslashes."""
    return "".join(c if " " <= c <= "~" and c not in '"\\' else "?" for c in text)


def _check_grant(form: dict[str, str]) -> None:
    grant = form.get("grant_type")
    if grant is None:
        raise OAuth2Error(400, "invalid_request", "grant_type is missing")
    if grant != CLIENT_CREDENTIALS:
        raise OAuth2Error(400, "unsupported_grant_type", "the metadata names the grants")
    _check_assertion(form)


def _check_assertion(form: dict[str, str]) -> None:
    """RFC 7521 section 4.2: an assertion has a type, and is the one way that a client proves."""
    if "client_assertion" not in form and "client_assertion_type" not in form:
        return
    if "client_secret" in form:
        problem = "send either client_secret or client_assertion"
        raise OAuth2Error(400, "invalid_request", problem)
    if "client_assertion" not in form:
        raise OAuth2Error(400, "invalid_request", "client_assertion is missing")
    if form.get("client_assertion_type") != ASSERTION_TYPE:
        problem = f"client_assertion_type must be {ASSERTION_TYPE}"
        raise OAuth2Error(400, "invalid_request", problem)


def scopes_of(form: dict[str, str]) -> list[str] | None:
    """The scopes that a form asks for; None if it does not say. Raises OAuth2Error."""
    text = form.get("scope")
    if text is None:
        return None
    if not text.isascii() or len(text) > MAX_SCOPE:
        description = f"scope must be at most {MAX_SCOPE} ASCII characters"
        raise OAuth2Error(401, "invalid_scope", description)
    return text.split(" ")


async def _read_form(request: Request) -> dict[str, str]:
    try:
        return await read_form(request, MAX_BODY)
    except BodyError as error:
        raise OAuth2Error(error.status, "invalid_request", str(error)) from error
