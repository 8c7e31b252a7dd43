from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from octelium.http.h1.requests import parse_request
from octelium.http.section import parse_section
from octelium.schema.pb import core_v1_pb2 as core
from octelium.vigil.cors import Cors, is_preflight
from tests.vigil.world import DOMAIN, world

if TYPE_CHECKING:
    from octelium.http.message import RequestHead
    from octelium.vigil.refusals import Answer

SITE = "https://app.example"


def head(origin: str | None = SITE, *, method: str = "OPTIONS", extra: str = "") -> RequestHead:
    lines = f"Host: wiki.{DOMAIN}:8443\r\n{extra}"
    if origin is not None:
        lines += f"Origin: {origin}\r\n"
    return parse_request(f"{method} / HTTP/1.1".encode(), parse_section(lines.encode()), b"https")


def preflight_head(origin: str = SITE) -> RequestHead:
    extra = "Access-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: x-a, x-b\r\n"
    return head(origin, extra=extra)


def cors(**settings: Any) -> Cors:
    return Cors(core.ServiceSpecConfigHttpCors(**settings), domain=DOMAIN)


def fields(answer: Answer) -> dict[bytes, bytes]:
    return dict(answer.block.fields)


def test_what_a_preflight_is() -> None:
    assert is_preflight(preflight_head())
    assert not is_preflight(head())
    assert not is_preflight(preflight_head("null"))
    assert not is_preflight(preflight_head("https://a b"))
    assert not is_preflight(head(method="GET", extra="Access-Control-Request-Method: PUT\r\n"))


@pytest.mark.parametrize(
    "origin",
    ["https://[1.2.3]", "https://[:::]", "https://[1::2::3]", "https://[.]", "http://[:]:80"],
)
async def test_addresses_that_are_none(origin: str) -> None:
    assert not is_preflight(preflight_head(origin))
    assert cors(allow_origin_string_match=["*"]).fields(head(origin, method="GET")) == []
    async with world() as here:
        made = here.serve()
        made.spec.config.http.cors.allow_origin_string_match.append("*")
        here.feed.put(made)
        assert (await here.request(fields={"Origin": origin})).status == 200
        asked = {"Origin": origin, "Access-Control-Request-Method": "GET"}
        assert (await here.request(method="OPTIONS", token=None, fields=asked)).status == 401


@pytest.mark.parametrize("origin", ["https://[::1]", "http://[2001:db8::1]:8080"])
def test_addresses_as_origins(origin: str) -> None:
    answer = cors(allow_origin_string_match=[origin]).preflight(preflight_head(origin), [])
    assert fields(answer)[b"access-control-allow-origin"] == origin.encode()
    assert cors(allow_cluster_services=True).preflight(preflight_head(origin), []).status == 403


def test_an_allowed_preflight() -> None:
    answer = cors(
        allow_origin_string_match=["https://APP.example:443"], allow_credentials=True, max_age="60"
    ).preflight(preflight_head(), [(b"server", b"octelium")])
    assert answer.status == 204
    assert fields(answer) == {
        b"server": b"octelium",
        b"vary": b"Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
        b"access-control-allow-origin": SITE.encode(),
        b"access-control-allow-methods": b"PUT",
        b"access-control-allow-headers": b"x-a, x-b",
        b"access-control-max-age": b"60",
        b"access-control-allow-credentials": b"true",
    }


def test_configured_methods_and_headers() -> None:
    answer = cors(
        allow_origin_string_match=["*"], allow_methods="GET", allow_headers="x-c"
    ).preflight(preflight_head(), [])
    assert fields(answer)[b"access-control-allow-methods"] == b"GET"
    assert fields(answer)[b"access-control-allow-headers"] == b"x-c"
    assert b"access-control-allow-credentials" not in fields(answer)


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (f"https://wiki.{DOMAIN}:8443", 204),
        (f"https://WIKI.{DOMAIN}:8443", 204),
        (f"https://wiki.{DOMAIN}", 403),
        ("https://evil.example", 403),
        (f"https://wiki.{DOMAIN}.evil.example", 403),
    ],
)
def test_without_any_configuration(origin: str, status: int) -> None:
    answer = Cors(None, domain=DOMAIN).preflight(preflight_head(origin), [])
    assert answer.status == status
    assert (b"access-control-allow-origin" in fields(answer)) is (status == 204)


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (f"https://{DOMAIN}", True),
        (f"https://a.b.{DOMAIN}:8443", True),
        (f"http://a.{DOMAIN}", False),
        (f"https://x{DOMAIN}", False),
        (f"https://{DOMAIN}.evil", False),
    ],
)
def test_services_of_the_cluster(origin: str, allowed: bool) -> None:
    made = cors(allow_cluster_services=True)
    answer = made.preflight(preflight_head(origin), [])
    assert (answer.status == 204) is allowed
    assert (fields(answer).get(b"access-control-allow-credentials") == b"true") is allowed


def test_fields_of_actual_responses() -> None:
    made = cors(allow_origin_string_match=[SITE], expose_headers="x-e", allow_credentials=True)
    assert made.fields(head(method="GET"), b"Accept") == [
        (b"vary", b"Accept, Origin"),
        (b"access-control-allow-origin", SITE.encode()),
        (b"access-control-allow-credentials", b"true"),
        (b"access-control-expose-headers", b"x-e"),
    ]
    assert made.fields(head("https://evil.example", method="GET")) == [(b"vary", b"Origin")]
    assert made.fields(head(None, method="GET")) == []
    assert Cors(None, domain=DOMAIN).fields(head(method="GET")) == []


async def test_on_the_wire() -> None:
    async with world() as here:
        made = here.serve()
        made.spec.config.http.cors.allow_origin_string_match.append(SITE)
        here.feed.put(made)
        preflight = {"Origin": SITE, "Access-Control-Request-Method": "PUT"}
        reply = await here.request(method="OPTIONS", token=None, fields=preflight)
        assert reply.status == 204
        assert reply.first(b"access-control-allow-origin") == SITE.encode()
        assert here.decider.asked == []
        assert here.sink.records == []
        assert (await here.request(method="OPTIONS", token=None)).status == 401

        reply = await here.request(token=None, fields={"Origin": SITE})
        assert reply.status == 401
        assert reply.first(b"access-control-allow-origin") == SITE.encode()

        here.origins.answers = [
            (
                b"HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nVary: Accept\r\n"
                b"Content-Length: 0\r\n\r\n"
            )
        ]
        reply = await here.request(fields={"Origin": SITE})
        assert reply.all(b"access-control-allow-origin") == [SITE.encode()]
        assert reply.all(b"vary") == [b"Accept, Origin"]
