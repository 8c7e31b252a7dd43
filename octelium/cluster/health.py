"""Health and metrics of a process, for probes and monitoring. Never on a public address."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request


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
