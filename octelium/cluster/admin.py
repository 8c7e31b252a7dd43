"""What may be asked on the machine itself. Never on a public address."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from octelium.cluster.certificates import CertificateError, Pair
from octelium.cluster.front_door import FrontDoorError
from octelium.identity.errors import AuthenticationError
from octelium.schema.errors import Invalid
from octelium.store.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

_LARGEST_CERTIFICATE = 512 << 10


@dataclass(frozen=True, slots=True)
class CertificateRequest:
    """What `octops cert` asks for; without a pair, a certificate of the Cluster's own CA."""

    namespace: str
    domain: str
    """The domain that the caller means; empty for whichever this is."""
    pair: Pair | None
    force: bool


def _read_certificate(body: bytes) -> CertificateRequest:
    if len(body) > _LARGEST_CERTIFICATE:
        raise CertificateError("the certificate is larger than 512 KiB")
    try:
        value = json.loads(body)
        own = value.get("own", False)
        texts = [value.get("namespace", ""), value.get("domain", "")]
        if own is not True:
            texts += [value["certificate"], value["key"]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CertificateError(
            "a JSON object with namespace, and certificate and key or own, is needed"
        ) from error
    if not all(isinstance(text, str) for text in texts):
        raise CertificateError("namespace, domain, certificate and key must be texts")
    pair = None if own is True else Pair(texts[2], texts[3])
    return CertificateRequest(texts[0] or "default", texts[1], pair, value.get("force") is True)


@dataclass(frozen=True, slots=True)
class InvitationRequest:
    """What `octops invite` asks for: a link for a User, who is perhaps to be made first."""

    user: str
    administrator: bool
    """Make the User, with the right to do everything."""


def _read_invitation(body: bytes) -> InvitationRequest:
    """Raises ValueError for anything else."""
    try:
        value = json.loads(body)
        user, administrator = value["user"], value.get("administrator", False)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError("a JSON object with user is needed") from error
    if (type(user), type(administrator)) != (str, bool):
        raise ValueError("user must be a text, and administrator true or false")
    return InvitationRequest(user, administrator)


def _read_probe(body: bytes) -> str:
    """The Service to ask, empty for the API. Raises ValueError for anything else."""
    try:
        service = json.loads(body)["service"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError("a JSON object with service is needed") from error
    if not isinstance(service, str):
        raise ValueError("service must be a text")  # noqa: TRY004  (of the request, not of a call)
    return service


def local_app(
    install: Callable[[CertificateRequest], Awaitable[None]],
    recover: Callable[[], Awaitable[dict[str, str]]],
    invite: Callable[[InvitationRequest], Awaitable[dict[str, str | int]]],
    probe: Callable[[str], Awaitable[dict[str, str | int]]],
) -> Starlette:
    """What the owner of the machine may ask, by `octops`.

    `PUT /certificate` with `{"namespace", "domain", "certificate", "key", "force"}` or
    `{"namespace", "domain", "own": true}`; `install` raises CertificateError for what cannot be
    used. `POST /token` answers with a new token of the first administrator. `POST /invitation`
    with `{"user", "administrator"}` answers with a link by which that person signs in. `POST
    /probe` with `{"service"}` sends a request through the front door and tells what became of it.

    Served on a Unix socket that only the Cluster's own user can open.
    """

    async def certificate(request: Request) -> Response:
        try:
            await install(_read_certificate(await request.body()))
        except CertificateError as error:
            return JSONResponse({"error": str(error)}, status_code=400)
        return JSONResponse({})

    async def token(_request: Request) -> Response:
        try:
            return JSONResponse(await recover())
        except StoreError as error:
            return JSONResponse({"error": str(error)}, status_code=400)

    async def invitation(request: Request) -> Response:
        try:
            return JSONResponse(await invite(_read_invitation(await request.body())))
        except (StoreError, AuthenticationError, Invalid, ValueError) as error:
            return JSONResponse({"error": str(error)}, status_code=400)

    async def probed(request: Request) -> Response:
        try:
            return JSONResponse(await probe(_read_probe(await request.body())))
        except (StoreError, AuthenticationError, FrontDoorError, ValueError) as error:
            return JSONResponse({"error": str(error)}, status_code=400)

    return Starlette(
        routes=[
            Route("/probe", probed, methods=["POST"]),
            Route("/invitation", invitation, methods=["POST"]),
            Route("/certificate", certificate, methods=["PUT"]),
            Route("/token", token, methods=["POST"]),
        ]
    )
