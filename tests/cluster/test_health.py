from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from octelium.cluster.health import Health, health_app

if TYPE_CHECKING:
    from starlette.applications import Starlette


def client(app: Starlette) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=app)
    return httpx.AsyncClient(transport=transport, base_url="http://admin")


async def test_readiness_names_the_trouble() -> None:
    trouble = {"store": "", "log": "disk full"}
    health = Health({name: lambda name=name: trouble[name] for name in trouble})
    async with client(health_app(health, lambda: "metric 1\n")) as http:
        assert (await http.get("/healthz")).status_code == 200
        answer = await http.get("/readyz")
        assert answer.status_code == 503
        assert answer.json() == {"ready": False, "checks": {"store": "ok", "log": "disk full"}}
        trouble["log"] = ""
        assert (await http.get("/readyz")).json()["ready"] is True
        assert (await http.get("/metrics")).text == "metric 1\n"
