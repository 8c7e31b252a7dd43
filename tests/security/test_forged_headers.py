"""Header fields by which clients and upstreams try to be somebody else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.http.pool import Origin
from octelium.policy.decision import Outcome
from tests.vigil.world import DOMAIN, World, service, world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

IDENTITY = [
    "Auth",
    "Session-Uid",
    "Session-Ref",
    "Client-Address",
    "Req-Path",
    "Origin",
    "Anything",
]
SPELLINGS = [
    "X-Octelium-{}",
    "x-octelium-{}",
    "X_Octelium_{}",
    "X-OCTELIUM_{}",
    "X.Octelium.{}",
    "X-Octelium~{}",
]


@pytest.fixture
async def here() -> AsyncIterator[World]:
    async with world() as made:
        made.serve()
        yield made


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("name", IDENTITY)
async def test_no_spelling_reaches_an_upstream(here: World, spelling: str, name: str) -> None:
    field = spelling.format(name)
    fields = {"User-Agent": "x", field: "forged", field.replace("-", "_"): "forged"}
    reply = await here.request(fields={"Cookie": "octelium_auth=alice", **fields}, token=None)
    if reply.status == 401:  # X-Octelium-Auth itself is a credential, and comes first
        assert name == "Auth"
        assert here.origins.requests == []
        return
    assert reply.status == 200
    assert b"forged" not in here.origins.requests[0]
    assert b"octelium" not in here.origins.requests[0].lower()


@pytest.mark.parametrize(
    "name", ["X_Octelium_Auth", "X.Octelium.Auth", "Octelium-Auth", "X-Octelium"]
)
async def test_other_spellings_are_no_credentials(here: World, name: str) -> None:
    assert (await here.request(token=None, fields={name: "alice"})).status == 401


async def test_forged_identity_does_not_reach_the_cluster_s_own_services(
    here: World, tmp_path: Path
) -> None:
    await here.origins.start_unix(tmp_path / "api")
    here.managed["portal"] = Origin("", 0, path=str(tmp_path / "api"))
    made = service("portal.default")
    made.status.managed_service.type = "portal"
    here.feed.put(made)
    forged = {
        "X-Octelium-Session-Uid": "forged",
        "X_Octelium_Session_Uid": "forged",
        "X-Octelium-Session-Ref": "forged",
        "X-Octelium-Client-Address": "forged",
        "X-Octelium-Req-Path": "forged",
        "X-Octelium-Origin": "forged",
        "X-Forwarded-For": "forged",
        "X-Forwarded-Host": "forged",
        "X-Forwarded-Proto": "forged",
        "X-Real-IP": "forged",
        "Forwarded": "for=forged",
        "X-Original-URL": "/forged",
    }
    assert (await here.request(host=f"portal.{DOMAIN}", fields=forged)).status == 200
    assert b"forged" not in here.origins.requests[0]
    fields = here.upstream_fields()
    assert [v for n, v in fields if n == b"x-octelium-session-uid"] == [b"uid-session"]
    assert [v for n, v in fields if n == b"x-octelium-client-address"] == [b"127.0.0.1"]
    assert [v for n, v in fields if n == b"x-forwarded-host"] == [f"portal.{DOMAIN}".encode()]


async def test_client_addresses_are_not_believed(here: World) -> None:
    forged = {
        "X-Octelium-Client-Address": "10.0.0.1",
        "X-Forwarded-For": "10.0.0.1",
        "X-Real-IP": "10.0.0.1",
        "Forwarded": "for=10.0.0.1",
        "True-Client-IP": "10.0.0.1",
    }
    await here.request(fields=forged)
    assert here.decider.asked[0][1].client_address == "127.0.0.1"
    assert here.decider.asked[0][1].read(("ip",)) == "127.0.0.1"
    assert here.sink.records[0].client_address == "127.0.0.1"
    assert b"10.0.0.1" not in here.origins.requests[0]


@pytest.mark.parametrize(
    "name",
    ["X-Original-URL", "X-Rewrite-URL", "X-Original-Host", "X-Forwarded-Prefix", "X-Envoy-Path"],
)
async def test_no_field_moves_the_request(here: World, name: str) -> None:
    await here.request("/public", fields={name: "/admin"})
    assert here.origins.requests[0].startswith(b"GET /public ")
    assert b"/admin" not in here.origins.requests[0]


async def test_credentials_stay_inside(here: World) -> None:
    await here.request(
        token="alice",
        fields={"Cookie": "a=1; octelium_auth=alice; octelium_rt=refresh; b=2"},
    )
    (request,) = here.origins.requests
    assert b"alice" not in request
    assert b"refresh" not in request
    assert b"Cookie: a=1; b=2\r\n" in request


@pytest.mark.parametrize(
    "fields",
    [
        {"User-Agent": "kube-probe/1.30"},
        {"User-Agent": "GoogleHC/1.0"},
        {"User-Agent": "ELB-HealthChecker/2.0"},
        {"X-Octelium-Internal": "true"},
    ],
)
@pytest.mark.parametrize(
    "target", ["/", "/healthz", "/readyz", "/ping", "/metrics", "/.well-known/x", "/oauth2/auth"]
)
async def test_no_path_and_no_agent_skips_the_decision(
    here: World, target: str, fields: dict[str, str]
) -> None:
    assert (await here.request(target, token=None, fields=fields)).status == 401
    here.decider.verdict = Outcome.DENIED
    assert (await here.request(target, fields=fields)).status == 403
    assert len(here.decider.asked) == 2
    assert here.origins.requests == []


@pytest.mark.parametrize(
    "cookie",
    [
        "octelium_auth",
        "octelium_auth=",
        "octelium_auth==",
        "octelium_auth=\xff\xfe",
        "octelium_auth=bob; octelium_auth=alice",
        'octelium_auth="alice"',
        ";;;octelium_auth=%61lice",
        "octelium_auth=alice,alice",
        "=octelium_auth=alice",
        "x" * 8000,
        "; " * 2000,
    ],
)
async def test_malformed_cookies_are_nobody(here: World, cookie: str) -> None:
    assert (await here.request(token=None, fields={"Cookie": cookie})).status == 401
    assert here.origins.requests == []


async def test_an_upstream_cannot_plant_a_session_or_speak_for_octelium(here: World) -> None:
    here.origins.answers = [
        (
            b"HTTP/1.1 200 OK\r\nSet-Cookie: octelium_auth=planted; Domain=octelium.test\r\n"
            b"Set-Cookie: sid=1\r\nX-Octelium-Unauthorized: true\r\nServer: evil\r\n"
            b"Content-Length: 0\r\n\r\n"
        )
    ]
    reply = await here.request()
    assert reply.all(b"set-cookie") == [b"sid=1"]
    assert reply.first(b"x-octelium-unauthorized") is None
    assert reply.all(b"server") == [b"octelium"]


async def test_two_credentials_in_one_place(here: World) -> None:
    client = await here.connect()
    await client.send(
        f"GET / HTTP/1.1\r\nHost: wiki.{DOMAIN}\r\nX-Octelium-Auth: bob\r\n"
        "X-Octelium-Auth: alice\r\n\r\n".encode()
    )
    assert (await client.reply()).status == 400
    assert here.decider.asked == []
