from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from octelium.http.pool import Origin
from octelium.policy.decision import Outcome
from octelium.schema.pb import core_v1_pb2 as core
from tests.vigil.world import DOMAIN, MODES, Reply, World, service

if TYPE_CHECKING:
    from pathlib import Path

COOKIE = {"Cookie": "octelium_auth=alice"}
HOST = f"wiki.{DOMAIN}"
OWN = f"https://{HOST}"
SIBLING = f"https://evil.{DOMAIN}"
WEBSOCKET = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


async def ask(here: World, method: str = "POST", **fields: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    body = None if method in ("GET", "HEAD", "OPTIONS") else b"x"
    return await here.request(method=method, token=None, fields={**COOKIE, **named}, body=body)


REFUSED: list[dict[str, str]] = [
    {},
    {"Origin": SIBLING},
    {"Origin": SIBLING, "Sec_Fetch_Site": "same-site"},
    {"Origin": SIBLING, "Sec_Fetch_Site": "same-origin"},
    {"Origin": OWN, "Sec_Fetch_Site": "same-site"},
    {"Origin": OWN, "Sec_Fetch_Site": "cross-site"},
    {"Origin": f"http://{HOST}"},
    {"Origin": f"{OWN}:8443"},
    {"Origin": f"https://{DOMAIN}"},
    {"Origin": f"https://x.{HOST}"},
    {"Origin": f"{OWN}.evil.test"},
    {"Origin": "null"},
    {"Origin": "null", "Sec_Fetch_Site": "none"},
    {"Origin": "null", "Sec_Fetch_Site": "same-site"},
    {"Origin": ""},
    {"Origin": "nonsense", "Sec_Fetch_Site": "same-origin"},
    {"Sec_Fetch_Site": "same-site"},
    {"Sec_Fetch_Site": "cross-site"},
    {"Sec_Fetch_Site": "Same-Origin"},
    {"Sec_Fetch_Site": ""},
    {"Sec_Fetch_Site": "same-site", "Referer": f"{OWN}/"},
    {"Referer": f"{SIBLING}/"},
    {"Referer": f"http://{HOST}/"},
    {"Referer": f"{OWN}@evil.test/"},
    {"Referer": f"{OWN}:8443/"},
    {"Referer": f"/{OWN}/"},
    {"Referer": ""},
    {"Referer": f"{OWN}/", "Origin": SIBLING},
]


@pytest.mark.parametrize("fields", REFUSED)
async def test_cookies_that_do_not_count(here: World, fields: dict[str, str]) -> None:
    for method in ("POST", "DELETE", "PURGE"):
        reply = await ask(here, method, **fields)
        assert reply.status == 403
        assert reply.first(b"x-octelium-unauthorized") == b"true"
        assert reply.first(b"access-control-allow-origin") is None
        assert b"no page of this Service caused the request" in reply.body
        record = here.sink.records[-1]
        assert (record.status, record.subject.authenticated) == (403, False)
        assert "octelium_auth cookie does not count" in record.error
        assert reply.first(b"x-octelium-request-id") is not None
    assert here.origins.requests == []
    assert (await ask(here, "GET", **WEBSOCKET, **fields)).status == 403
    assert here.origins.requests == []


ACCEPTED: list[dict[str, str]] = [
    {"Origin": OWN},
    {"Origin": f"{OWN}:443"},
    {"Origin": OWN.upper().replace("HTTPS", "https")},
    {"Origin": OWN, "Sec_Fetch_Site": "same-origin"},
    {"Origin": "null", "Sec_Fetch_Site": "same-origin"},
    {"Sec_Fetch_Site": "same-origin"},
    {"Sec_Fetch_Site": "none"},
    {"Referer": OWN},
    {"Referer": f"{OWN}/a?b#c"},
    {"Referer": f"{OWN}?b"},
]


@pytest.mark.parametrize("fields", ACCEPTED)
async def test_cookies_that_count(here: World, fields: dict[str, str]) -> None:
    assert (await ask(here, **fields)).status == 200
    assert (await ask(here, "GET", **WEBSOCKET, **fields)).status == 200
    assert here.decider.asked[-1][1].token == b"alice"


@pytest.mark.parametrize("fields", [*REFUSED, *ACCEPTED])
async def test_links_and_tokens_in_header_fields_are_free(
    here: World, fields: dict[str, str]
) -> None:
    assert (await ask(here, "GET", **fields)).status == 200
    assert (await ask(here, "HEAD", **fields)).status == 200
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    for header in ({}, {"X-Octelium-Auth": "alice"}):
        token = None if header else "alice"
        reply = await here.request(
            method="POST", token=token, fields={**header, **named}, body=b"x"
        )
        assert reply.status == 200
    both = {**COOKIE, "X-Octelium-Auth": "alice", **named}
    assert (await here.request(method="POST", token=None, fields=both, body=b"x")).status == 200


async def test_two_origins_are_none(here: World) -> None:
    client = await here.connect()
    await client.send(
        f"POST / HTTP/1.1\r\nHost: {HOST}\r\nOrigin: {OWN}\r\nOrigin: {OWN}\r\n"
        "Cookie: octelium_auth=alice\r\nContent-Length: 0\r\n\r\n".encode()
    )
    assert (await client.reply()).status == 403


async def test_a_judgement_is_of_one_host(here: World) -> None:
    """A header section is remembered without its request line; the host stands in the section."""
    client = await here.connect()
    for host, status in ((HOST, 200), (f"wiki.default.{DOMAIN}", 403), (HOST, 200)):
        reply = await client.request(
            host=host, method="POST", token=None, fields={**COOKIE, "Origin": OWN}, body=b"x"
        )
        assert reply.status == status


async def cors(here: World, **settings: Any) -> None:
    made = here.serve()
    made.spec.config.http.cors.CopyFrom(core.ServiceSpecConfigHttpCors(**settings))
    here.feed.put(made)


@pytest.mark.parametrize(
    ("settings", "status"),
    [
        ({"allow_origin_string_match": [SIBLING], "allow_credentials": True}, 200),
        ({"allow_origin_string_match": ["*"], "allow_credentials": True}, 200),
        ({"allow_cluster_services": True}, 200),
        ({"allow_origin_string_match": [SIBLING]}, 403),
        ({"allow_origin_string_match": ["*"]}, 403),
        ({"allow_origin_string_match": [OWN], "allow_credentials": True}, 403),
        ({"allow_credentials": True}, 403),
    ],
)
async def test_cors_settings_let_origins_in(
    here: World, settings: dict[str, Any], status: int
) -> None:
    await cors(here, **settings)
    reply = await ask(here, Origin=SIBLING, Sec_Fetch_Site="same-site")
    assert reply.status == status
    assert (await ask(here, Origin=OWN)).status == 200
    assert (await ask(here, Origin="null")).status == 403


async def test_a_service_may_do_without(here: World) -> None:
    made = here.serve()
    made.spec.attrs.update({"octelium": {"crossOrigin": "allow"}})
    here.feed.put(made)
    assert (await ask(here, Origin=SIBLING)).status == 200
    assert (await ask(here)).status == 200
    made.spec.attrs.update({"octelium": {"crossOrigin": "refuse"}})
    here.feed.put(made)
    assert (await ask(here, Origin=SIBLING)).status == 403


async def test_to_a_service_for_everybody_they_are_nobody(here: World) -> None:
    here.serve(is_anonymous=True)
    assert (await ask(here, Origin=SIBLING)).status == 200
    assert here.decider.asked[-1][1].token is None
    assert (await ask(here, Origin=OWN)).status == 200
    assert here.decider.asked[-1][1].token == b"alice"


async def test_grpc(here: World) -> None:
    here.serve(mode=MODES.GRPC)
    fields = {**COOKIE, "Content-Type": "application/grpc", "Origin": SIBLING}
    reply = await here.request("/a.B/C", method="POST", token=None, fields=fields, body=b"x")
    assert reply.first(b"grpc-status") == b"7"
    assert b"no page of this Service" in (reply.first(b"grpc-message") or b"")
    assert here.origins.requests == []


# The Cluster's API.

METHOD = "/octelium.api.main.core.v1.MainService/CreateUser"
API = f"octelium-api.{DOMAIN}"


@pytest.fixture
async def api(here: World, tmp_path: Path) -> World:
    await here.origins.start_unix(tmp_path / "api")
    here.managed["apiserver"] = Origin("", 0, path=str(tmp_path / "api"))
    made = service("main.octelium-api", mode=MODES.GRPC)
    made.status.managed_service.type = "apiserver"
    made.metadata.system_labels["octelium-apiserver"] = "true"
    made.metadata.system_labels["apiserver-path"] = "/octelium.api.main"
    made.spec.config.http.cors.allow_cluster_services = True
    here.feed.put(made)
    return here


async def call(api: World, kind: str, **fields: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    return await api.request(
        METHOD,
        host=API,
        method="POST",
        token=None,
        fields={"Content-Type": kind, **named},
        body=b"AAAAAAA=" if kind.endswith("text") else b"\0\0\0\0\0",
    )


KINDS = [
    "application/grpc",
    "application/grpc-web+proto",
    "application/grpc-web-text",
    "text/plain",
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "fields",
    [
        *(fields for fields in REFUSED if fields != {"Origin": f"https://{DOMAIN}"}),
        {"Origin": f"https://{API}"},
        {"Origin": f"https://portal.{DOMAIN}:8443"},
        {"Origin": f"http://portal.{DOMAIN}"},
        {"Origin": f"https://portal.default.{DOMAIN}"},
        {"Origin": f"https://x.portal.{DOMAIN}"},
        {"Sec_Fetch_Site": "same-origin"},
        {"Sec_Fetch_Site": "none"},
        {"Referer": f"https://portal.{DOMAIN}/"},
    ],
)
async def test_pages_that_may_not_call_the_api(
    api: World, kind: str, fields: dict[str, str]
) -> None:
    reply = await call(api, kind, Cookie="octelium_auth=alice", **fields)
    assert b"a cookie counts here only with the Origin of" in (reply.first(b"grpc-message") or b"")
    assert reply.first(b"grpc-status") == b"16"
    assert reply.first(b"access-control-allow-origin") is None
    assert all(request.token is None for _, request, _ in api.decider.asked)
    assert api.origins.requests == []


@pytest.mark.parametrize("kind", KINDS[:2])
@pytest.mark.parametrize("origin", [f"https://{DOMAIN}", f"https://portal.{DOMAIN}:443"])
async def test_pages_that_may(api: World, kind: str, origin: str) -> None:
    reply = await call(api, kind, Cookie="octelium_auth=alice", Origin=origin)
    assert reply.first(b"grpc-status") != b"16"
    assert reply.first(b"access-control-allow-origin") == origin.encode()
    assert len(api.origins.requests) == 1


@pytest.mark.parametrize("origin", [SIBLING, "null", "https://evil.example", f"https://{API}"])
async def test_tokens_in_header_fields_call_the_api(api: World, origin: str) -> None:
    await call(api, KINDS[0], X_Octelium_Auth="alice", Origin=origin)
    await call(api, KINDS[0], Authorization="Bearer alice", Origin=origin)
    await call(api, KINDS[0], Authorization="Bearer alice")
    assert len(api.origins.requests) == 3


@pytest.mark.parametrize("origin", [SIBLING, f"https://{API}", "https://evil.example"])
async def test_foreign_preflights_at_the_api(api: World, origin: str) -> None:
    fields = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    reply = await api.request(METHOD, host=API, method="OPTIONS", token=None, fields=fields)
    assert reply.status == 403
    assert reply.first(b"access-control-allow-origin") is None


# Cookies that somebody has planted.


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_none_of_several_counts(here: World, method: str) -> None:
    for cookies in (
        "octelium_auth=robot; octelium_auth=alice",
        "octelium_auth=alice; octelium_auth=robot",
        "octelium_auth=alice; octelium_rt=x; octelium_auth=nonsense",
    ):
        fields = {"Cookie": cookies, "Origin": OWN, "Authorization": "Bearer alice"}
        reply = await here.request("/a/b?c", method=method, token=None, fields=fields)
        assert reply.status == 401
        ended = reply.all(b"set-cookie")
        assert f"octelium_auth=; Max-Age=0; Path=/a; Domain={DOMAIN}; Secure".encode() in ended
        assert b"octelium_rt=; Max-Age=0; Path=/a/b; Secure; Partitioned" in ended
        assert f"octelium_auth=; Max-Age=0; Path=/; Domain={DOMAIN}; Secure".encode() not in ended
        assert "several octelium_auth cookies" in here.sink.records[-1].error
    assert here.origins.requests == []
    assert {request.token for _, request, _ in here.decider.asked} == {None}


async def test_a_browser_is_led_to_the_login_and_gets_rid_of_them(here: World) -> None:
    fields = {
        "Cookie": "octelium_auth=robot; octelium_auth=alice",
        "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) tests",
        "Accept": "text/html",
    }
    reply = await here.request("/a", token=None, fields=fields)
    assert reply.status == 303
    assert b"octelium_auth=; Max-Age=0; Path=/a; Secure" in reply.all(b"set-cookie")


async def test_the_same_cookie_twice_is_one(here: World) -> None:
    fields = {"Cookie": "octelium_auth=alice; a=1; octelium_auth=alice"}
    assert (await here.request(token=None, fields=fields)).status == 200


async def test_a_token_in_a_header_field_is_not_in_doubt(here: World) -> None:
    fields = {"Cookie": "octelium_auth=a; octelium_auth=b", "X-Octelium-Auth": "alice"}
    assert (await here.request(token=None, fields=fields)).status == 200


async def test_who_may_not_is_told_so_as_ever(here: World) -> None:
    here.decider.verdict = Outcome.DENIED
    reply = await ask(here, Origin=OWN)
    assert (reply.status, reply.body) == (403, b"")
    assert here.sink.records[-1].error == ""
