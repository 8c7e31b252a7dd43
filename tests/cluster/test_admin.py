from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from octelium.cluster.admin import CertificateRequest, InvitationRequest, local_app
from octelium.cluster.certificates import CertificateError, Pair
from octelium.cluster.front_door import FrontDoorError
from octelium.identity.invitations import NoUserError
from octelium.store.errors import Unavailable

if TYPE_CHECKING:
    from starlette.applications import Starlette


def client(app: Starlette) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=app)
    return httpx.AsyncClient(transport=transport, base_url="http://admin")


async def recover() -> dict[str, str]:
    return {"token": "T", "domain": "a.example"}


async def invite(_wanted: InvitationRequest) -> dict[str, str | int]:
    pytest.fail("invited")


async def unasked(_service: str) -> dict[str, str | int]:
    pytest.fail("probed")


async def test_a_certificate_is_installed_or_refused_with_the_reason() -> None:
    asked: list[CertificateRequest] = []

    async def install(wanted: CertificateRequest) -> None:
        if wanted.pair is not None and wanted.pair.key == "bad":
            raise CertificateError("the private key cannot be read")
        asked.append(wanted)

    async with client(local_app(install, recover, invite, unasked)) as http:
        body = {"namespace": "", "certificate": "c", "key": "k"}
        assert (await http.put("/certificate", json=body)).status_code == 200
        more = {**body, "namespace": "prod", "domain": "a.example", "force": True}
        assert (await http.put("/certificate", json=more)).status_code == 200
        assert (await http.put("/certificate", json={"own": True})).status_code == 200
        pair = Pair("c", "k")
        assert asked == [
            CertificateRequest("default", "", pair, False),
            CertificateRequest("prod", "a.example", pair, True),
            CertificateRequest("default", "", None, False),
        ]
        answer = await http.put("/certificate", json={**body, "key": "bad"})
        reason = {"error": "the private key cannot be read"}
        assert (answer.status_code, answer.json()) == (400, reason)


async def test_a_new_token_for_the_owner_of_the_machine() -> None:
    async def install(_wanted: CertificateRequest) -> None:
        pytest.fail("installed")

    async def broken() -> dict[str, str]:
        raise Unavailable("the store is busy")

    async with client(local_app(install, recover, invite, unasked)) as http:
        answer = await http.post("/token")
        assert (answer.status_code, answer.json()["token"]) == (200, "T")
        assert (await http.get("/token")).status_code == 405
    async with client(local_app(install, broken, invite, unasked)) as http:
        answer = await http.post("/token")
        assert (answer.status_code, answer.json()) == (400, {"error": "the store is busy"})


async def test_a_person_is_invited() -> None:
    asked: list[InvitationRequest] = []

    async def install(_wanted: CertificateRequest) -> None:
        pytest.fail("installed")

    async def invite(wanted: InvitationRequest) -> dict[str, str | int]:
        if wanted.user == "nobody":
            raise NoUserError("there is no User nobody")
        asked.append(wanted)
        return {"url": "https://a.example/invite#T", "expiresAt": 7, "user": wanted.user}

    async with client(local_app(install, recover, invite, unasked)) as http:
        answer = await http.post("/invitation", json={"user": "ann"})
        assert (answer.status_code, answer.json()["url"]) == (200, "https://a.example/invite#T")
        await http.post("/invitation", json={"user": "ben", "administrator": True})
        assert asked == [InvitationRequest("ann", False), InvitationRequest("ben", True)]
        answer = await http.post("/invitation", json={"user": "nobody"})
        assert (answer.status_code, answer.json()) == (400, {"error": "there is no User nobody"})
        for body in (b"", b"[]", b"{}", b'{"user": 1}', b'{"user": "a", "administrator": "yes"}'):
            answer = await http.post("/invitation", content=body)
            assert answer.status_code == 400
            assert answer.json()["error"]
        assert (await http.get("/invitation")).status_code == 405


async def test_a_probe_is_told() -> None:
    async def install(_wanted: CertificateRequest) -> None:
        pytest.fail("installed")

    async def probe(service: str) -> dict[str, str | int]:
        if service == "broken":
            raise FrontDoorError("https://a.example/ answers 502")
        return {"url": f"https://{service}", "status": 200, "milliseconds": 1}

    async with client(local_app(install, recover, invite, probe)) as http:
        answer = await http.post("/probe", json={"service": "wiki"})
        assert (answer.status_code, answer.json()["url"]) == (200, "https://wiki")
        answer = await http.post("/probe", json={"service": "broken"})
        assert (answer.status_code, answer.json()) == (
            400,
            {"error": "https://a.example/ answers 502"},
        )
        for body in (b"", b"[]", b"{}", b'{"service": 1}'):
            answer = await http.post("/probe", content=body)
            assert answer.status_code == 400
            assert answer.json()["error"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"namespace": 1, "certificate": "", "key": ""}',
        b'{"own": "yes"}',
        b"x" * 600_000,
    ],
)
async def test_other_bodies_are_refused(body: bytes) -> None:
    async def install(_wanted: CertificateRequest) -> None:
        pytest.fail("installed")

    async with client(local_app(install, recover, invite, unasked)) as http:
        answer = await http.put("/certificate", content=body)
        assert answer.status_code == 400
        assert answer.json()["error"]
