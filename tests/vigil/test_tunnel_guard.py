"""Row 19 of the security table: pages that rebind their names, and pages that cause requests."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from octelium.http.h1.requests import parse_request
from octelium.http.section import parse_section
from octelium.vigil.cors import Cors
from octelium.vigil.modes import MODES
from octelium.vigil.own_names import OwnNames
from octelium.vigil.tunnel_guard import TunnelGuard
from octelium.visibility.batch import entry_id
from tests.ingress.private_world import ANN, WIKI, PrivateWorld, private_world
from tests.vigil.world import DOMAIN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HOST = "wiki.local"
OWN = f"http://{HOST}"
EVIL = "http://evil.test"


@pytest.fixture
async def here() -> AsyncIterator[PrivateWorld]:
    async with private_world() as made:
        await made.serve()
        yield made


@pytest.mark.parametrize(
    "host",
    [
        *("evil.test", f"evil.{DOMAIN}", "other.local", "wiki.evil.test", "0.0.0.0", "100.64.0.17"),
        *("[::]", "[::ffff:127.64.0.16]", "wiki.localx", "xwiki.local", "local", "2130706433.test"),
    ],
)
async def test_other_names_are_misdirected(here: PrivateWorld, host: str) -> None:
    for method, body in (("GET", None), ("POST", b"x")):
        reply = await here.request(host=f"{host}:{here.port}", method=method, body=body)
        assert reply.status == 421
        assert b"own names" in reply.body
        assert host.encode() not in reply.body
    assert here.decider.asked == []
    assert here.base.origins.requests == []
    assert here.vigil.guarded == 2


@pytest.mark.parametrize(
    "host", [HOST, f"wiki.local.{DOMAIN}", f"wiki.{DOMAIN}", WIKI, "WIKI.Local", "localhost:8080"]
)
async def test_own_names(here: PrivateWorld, host: str) -> None:
    assert (await here.request(host=host)).status == 200
    assert (await here.request(host=f"{host.partition(':')[0]}:{here.port}")).status == 200


REFUSED = [
    {"Origin": EVIL},
    {"Origin": "null"},
    {"Origin": f"http://{HOST}.evil.test"},
    {"Origin": f"http://{HOST}:1"},
    {"Origin": f"{OWN}, {EVIL}"},
    {"Origin": "nonsense"},
    {"Origin": ""},
    {"Origin": f"https://wiki.{DOMAIN}"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "something-new"},
    {"Origin": OWN, "Sec-Fetch-Site": "cross-site"},
    {"Origin": EVIL, "Sec-Fetch-Site": "same-origin"},
]


@pytest.mark.parametrize("fields", REFUSED)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "PURGE"])
async def test_foreign_pages_change_nothing(
    here: PrivateWorld, method: str, fields: dict[str, str]
) -> None:
    reply = await here.request(host=HOST, method=method, fields=fields, body=b"x")
    assert reply.status == 403
    assert reply.first(b"x-octelium-unauthorized") == b"true"
    assert reply.first(b"access-control-allow-origin") is None
    assert b"another origin" in reply.body
    assert here.base.origins.requests == []
    assert here.decider.asked == []


@pytest.mark.parametrize("fields", REFUSED)
async def test_foreign_pages_open_no_websocket(here: PrivateWorld, fields: dict[str, str]) -> None:
    handshake = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    assert (await here.request(host=HOST, fields={**handshake, **fields})).status == 403
    assert here.base.origins.requests == []
    own = {"Origin": OWN, "Sec-Fetch-Site": "same-origin"}
    assert (await here.request(host=HOST, fields={**handshake, **own})).status == 200


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "[::1]", "app.localhost"])
async def test_pages_of_other_ports_of_this_computer_are_foreign(
    here: PrivateWorld, name: str
) -> None:
    """A published Service is at a port of the client's computer, beside other servers there."""
    own, other = f"http://{name}:7003", f"http://{name}:3000"
    for fields, status in (
        ({"Origin": own, "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": other, "Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": other}, 403),
        ({"Origin": EVIL, "Sec-Fetch-Site": "cross-site"}, 403),
    ):
        reply = await here.request(host=f"{name}:7003", method="POST", fields=fields, body=b"x")
        assert reply.status == status, fields


async def test_two_origins_are_none(here: PrivateWorld) -> None:
    client = await here.connect()
    await client.send(
        f"POST / HTTP/1.1\r\nHost: {HOST}\r\nOrigin: {OWN}\r\nOrigin: {EVIL}\r\n"
        "Content-Length: 0\r\n\r\n".encode()
    )
    assert (await client.reply()).status == 403


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"Origin": OWN},
        {"Origin": f"https://{HOST}"},
        {"Origin": OWN, "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
    ],
)
async def test_own_pages_and_programs_may(here: PrivateWorld, fields: dict[str, str]) -> None:
    reply = await here.request(host=HOST, method="POST", fields=fields, body=b"x")
    assert reply.status == 200


async def test_cors_settings_name_further_origins(here: PrivateWorld) -> None:
    made = await here.serve()
    made.spec.config.http.cors.allow_origin_string_match.append("https://app.test")
    here.feed.put(made)
    fields = {"Origin": "https://app.test", "Sec-Fetch-Site": "cross-site"}
    reply = await here.request(host=HOST, method="POST", fields=fields, body=b"x")
    assert reply.status == 200
    assert reply.first(b"access-control-allow-origin") == b"https://app.test"
    assert (
        await here.request(host=HOST, method="POST", fields={"Origin": EVIL}, body=b"x")
    ).status == 403
    without = {"Sec-Fetch-Site": "cross-site"}
    assert (await here.request(host=HOST, method="POST", fields=without, body=b"x")).status == 403
    own = {"Origin": OWN, "Sec-Fetch-Site": "cross-site"}
    assert (await here.request(host=HOST, method="POST", fields=own, body=b"x")).status == 403


async def test_preflights(here: PrivateWorld) -> None:
    fields = {"Origin": EVIL, "Access-Control-Request-Method": "POST"}
    assert (await here.request(host=HOST, method="OPTIONS", fields=fields)).status == 403
    assert here.base.origins.requests == []
    assert here.sink.records[-1].error == "caused by a page of an origin that has no right to"
    for origin in ("null", "nonsense"):
        reply = await here.request(host=HOST, method="OPTIONS", fields={**fields, "Origin": origin})
        assert reply.status == 403
    assert here.base.origins.requests == []
    assert (await here.request(host="evil.test", method="OPTIONS", fields=fields)).status == 421


@pytest.mark.parametrize("mode", sorted(MODES))
async def test_in_every_mode_that_speaks_http(here: PrivateWorld, mode: int) -> None:
    await here.serve(mode=mode)
    options: dict[str, Any] = {"method": "POST", "body": b"x"}
    assert (await here.request(host="evil.test")).status == 421
    for fields in REFUSED:
        assert (await here.request(host=HOST, fields=fields, **options)).status == 403
    fields = {"Origin": EVIL, "Access-Control-Request-Method": "POST"}
    assert (await here.request(host=HOST, method="OPTIONS", fields=fields)).status == 403
    assert here.base.origins.requests == []
    assert here.vigil.guarded == len(here.sink.records) == 2 + len(REFUSED)


async def test_what_foreign_pages_cause_they_cannot_read(here: PrivateWorld) -> None:
    here.base.origins.answers = [
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nAccess-Control-Allow-Origin: *\r\n"
            b"Access-Control-Expose-Headers: X-A\r\n"
            b"Access-Control-Allow-Credentials: true\r\n\r\nok"
        )
    ]
    fields = {"Origin": EVIL, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}
    reply = await here.request(host=HOST, fields=fields)
    assert reply.status == 200
    assert not [name for name, _ in reply.fields if name.startswith(b"access-control")]
    assert reply.first(b"cross-origin-resource-policy") == b"same-site"


async def test_an_upstream_may_say_who_shows_its_pictures(here: PrivateWorld) -> None:
    here.base.origins.answers = [
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
            b"Cross-Origin-Resource-Policy: cross-origin\r\n\r\nok"
        )
    ]
    reply = await here.request(host=HOST)
    assert reply.all(b"cross-origin-resource-policy") == [b"cross-origin"]


async def test_the_front_door_is_as_it_was(here: PrivateWorld) -> None:
    made = await here.serve()
    made.spec.is_public = True
    here.feed.put(made)
    here.base.origins.answers = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nAccess-Control-Allow-Origin: *\r\n\r\nok"
    ]
    reply = await here.base.request(method="POST", fields={"Origin": EVIL}, body=b"x")
    assert reply.status == 200
    assert reply.first(b"access-control-allow-origin") == b"*"
    assert reply.first(b"cross-origin-resource-policy") is None


async def test_what_is_refused_is_in_the_access_log(here: PrivateWorld) -> None:
    origin = {"Origin": EVIL}
    reply = await here.request("/page", host="evil.test")
    assert reply.first(b"x-octelium-request-id") is not None
    reply = await here.request(host=HOST, method="POST", fields=origin, body=b"x")
    named, caused = here.sink.records
    assert (named.status, named.method, named.host) == (421, b"GET", b"evil.test")
    assert named.target == b"/page"
    assert named.error == "called by a name that is not the Service's own"
    assert (caused.status, caused.method, caused.origin) == (403, b"POST", EVIL.encode())
    assert caused.error == "caused by a page of an origin that has no right to"
    for record in (named, caused):
        assert not record.subject.allowed
        assert record.subject.authenticated
        assert record.client_address == ANN
    assert (
        reply.first(b"x-octelium-request-id") == entry_id(here.sink.prefix, caused.number).encode()
    )


@pytest.mark.parametrize(
    ("target", "fields"),
    [
        ("http://evil.test/", f"Host: {HOST}"),
        (f"http://{HOST}/", "Host: evil.test"),
        ("/", f"Host: {HOST}\r\nHost: evil.test"),
        ("/", f"Host: evil.test\r\nHost: {HOST}"),
        ("/", f"Host: {HOST}, evil.test"),
        ("/", f"Host: {HOST}@evil.test"),
        ("/", f"Host: evil.test#{HOST}"),
        ("/", f"Host: evil.test\r\nX-Forwarded-Host: {HOST}"),
        ("/", f"Host: evil.test\r\nForwarded: host={HOST}"),
        ("/", "Host:"),
        ("/", "X-Nothing: a"),
        ("//wiki.local/", "Host: evil.test"),
    ],
)
async def test_one_name_is_judged_and_forwarded(
    here: PrivateWorld, target: str, fields: str
) -> None:
    """What the upstream would take for the name is what was looked at, or the request is none."""
    client = await here.connect()
    await client.send(f"GET {target} HTTP/1.1\r\n{fields}\r\n\r\n".encode())
    reply = await client.reply()
    # RFC 9112, section 3.2.2: the name in the target comes before `Host`.
    assert reply.status in (400, 421) or target == f"http://{HOST}/"
    for request in here.base.origins.requests:
        assert b"evil" not in request


ORIGINS = st.one_of(
    st.binary(max_size=30),
    st.sampled_from([OWN, EVIL, "null", f"{OWN}.", f"{OWN}:80", f"{OWN}:81", f"ftp://{HOST}"]).map(
        str.encode
    ),
    st.text("wikloca.:/htps80", max_size=24).map(str.encode),
)
SITES = st.one_of(st.none(), st.sampled_from([b"same-origin", b"none"]), st.binary(max_size=12))
_line = re.compile(rb"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?").fullmatch


@given(ORIGINS | st.none(), SITES, st.sampled_from([b"POST", b"PUT", b"OPTIONS", b"purge"]))
def test_whatever_a_browser_says_of_a_page(
    origin: bytes | None, site: bytes | None, method: bytes
) -> None:
    """Only the Service's own origin acts, and only if no field says otherwise."""
    section = b"Host: wiki.local\r\nAccess-Control-Request-Method: POST\r\n"
    for name, value in ((b"Origin", origin), (b"Sec-Fetch-Site", site)):
        if value is not None:
            assume(not value or _line(value))
            section += name + b": " + value + b"\r\n"
    head = parse_request(method + b" / HTTP/1.1", parse_section(section), b"http")
    names = OwnNames("wiki.default", DOMAIN, ())
    made = TunnelGuard(names, Cors(None, domain=DOMAIN)).misuse(head)
    own = {b"http://wiki.local", b"http://wiki.local:80", b"https://wiki.local"}
    own.add(b"https://wiki.local:443")
    mine = origin is None or origin.lower() in own
    assert (made is None) is (mine and site in (None, b"same-origin", b"none"))
