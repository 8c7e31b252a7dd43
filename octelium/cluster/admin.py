"""Health, metrics and what may be asked on the machine itself. Never on a public address."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from octelium.cluster.certificates import CertificateError, Pair

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

_LARGEST_CERTIFICATE = 512 << 10


@dataclass(frozen=True, slots=True)
class Health:
    """What `/readyz` asks: each check returns an empty text when all is well, else the trouble."""

    checks: dict[str, Callable[[], str]]

    def report(self) -> dict[str, str]:
        """Check → `ok` or the trouble."""
        return {name: check() or "ok" for name, check in self.checks.items()}


def health_app(health: Health, metrics: Callable[[], str]) -> Starlette:
    """`/healthz` (the process answers), `/readyz` (requests are served), `/metrics`."""

    async def healthz(_request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_request: Request) -> Response:
        report = health.report()
        ready = all(state == "ok" for state in report.values())
        body = {"ready": ready, "checks": report}
        return JSONResponse(body, status_code=200 if ready else 503)

    async def metrics_text(_request: Request) -> Response:
        return PlainTextResponse(metrics(), media_type="text/plain; version=0.0.4")

    return Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", metrics_text),
        ]
    )


def _read_certificate(body: bytes) -> tuple[str, Pair]:
    if len(body) > _LARGEST_CERTIFICATE:
        raise CertificateError("the certificate is larger than 512 KiB")
    try:
        value = json.loads(body)
        texts = [value[name] for name in ("namespace", "certificate", "key")]
    except (ValueError, KeyError, TypeError) as error:
        raise CertificateError(
            "a JSON object with namespace, certificate and key is needed"
        ) from error
    if not all(isinstance(text, str) for text in texts):
        raise CertificateError("namespace, certificate and key must be texts")
    return texts[0] or "default", Pair(texts[1], texts[2])


def local_app(install: Callable[[str, Pair], Awaitable[None]]) -> Starlette:
    """`PUT /certificate` with `{"namespace", "certificate", "key"}`, for `octops cert`.

    Served on a Unix socket that only the Cluster's own user can open. `install` raises
    CertificateError for a pair that cannot be used.
    """

    async def certificate(request: Request) -> Response:
        try:
            namespace, pair = _read_certificate(await request.body())
            await install(namespace, pair)
        except CertificateError as error:
            return JSONResponse({"error": str(error)}, status_code=400)
        return JSONResponse({})

    return Starlette(routes=[Route("/certificate", certificate, methods=["PUT"])])
