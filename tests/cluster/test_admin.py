from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from octelium.cluster.admin import Health, health_app, local_app
from octelium.cluster.certificates import CertificateError, Pair

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


async def test_a_certificate_is_installed_or_refused_with_the_reason() -> None:
    installed: list[tuple[str, Pair]] = []

    async def install(namespace: str, pair: Pair) -> None:
        if pair.key == "bad":
            raise CertificateError("the private key cannot be read")
        installed.append((namespace, pair))

    async with client(local_app(install)) as http:
        body = {"namespace": "", "certificate": "c", "key": "k"}
        assert (await http.put("/certificate", json=body)).status_code == 200
        assert installed == [("default", Pair("c", "k"))]
        answer = await http.put("/certificate", json={**body, "key": "bad"})
        assert (answer.status_code, answer.json()) == (
            400,
            {"error": "the private key cannot be read"},
        )


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"namespace": 1, "certificate": "", "key": ""}', b"x" * 600_000]
)
async def test_other_bodies_are_refused(body: bytes) -> None:
    async def install(_namespace: str, _pair: Pair) -> None:
        pytest.fail("installed")

    async with client(local_app(install)) as http:
        answer = await http.put("/certificate", content=body)
        assert answer.status_code == 400
        assert answer.json()["error"]
