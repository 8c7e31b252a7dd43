"""No cookie but a genuine one opens anything, and none breaks the server.

Each cookie that the Cluster reads, with anything in it, in any number and order, at pages of every
kind that wants a Session.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import SOAK
from tests.e2e.cluster import DOMAIN
from tests.security.visitor import ACCESS, AGENT, REFRESH, STATE, TOKEN, Visitor

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from tests.security.lab import Lab

NAMES = [ACCESS, REFRESH, STATE, "octelium_domain"]
PATHS = [
    "/authenticators",
    "/authenticators/authenticate",
    "/authenticators/register",
    "/callback/success",
    "/callback?code=x&state=y",
    "/device",
    "/denied/why?id=abcd-efgh-24-0000-000z",
]
"""Of the login host: they lead away without a Session."""


GET_STATUS = "/octelium.api.main.user.v1.MainService/GetStatus"


class Raw:
    """Sends whatever a test puts into `Cookie`."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.ann = lab.as_ann()
        self.address = lab.visitor().address

    def send(self, method: str, url: str, cookies: bytes, **headers: str) -> httpx.Response:
        """A request with these cookies; what it is answered holds no token."""
        told = [
            (b"User-Agent", AGENT.encode()),
            (b"Accept", b"text/html"),
            (b"X-Forwarded-For", self.address.encode()),
            (b"Cookie", cookies.strip()),
            *((name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()),
        ]
        response = self.lab.client.request(method, url, headers=told)
        assert TOKEN.search(f"{response.headers} {response.text}") is None
        assert response.status_code < 500, (url, cookies)
        return response

    def status(self, method: str, url: str, cookies: bytes, **headers: str) -> int:
        """The status of the answer."""
        return int(self.send(method, url, cookies, **headers).status_code)

    def refused_everywhere(self, cookies: bytes) -> None:
        """At every kind of page."""
        cluster = self.lab.cluster
        pages = [
            cluster.url("demo-nginx"),
            cluster.url("portal"),
            cluster.url("portal", "/account"),
        ]
        for page in (*pages, *(cluster.url("", path) for path in PATHS)):
            assert self.status("GET", page, cookies) in (303, 400, 401, 403, 404), (page, cookies)
        form = {"Origin": cluster.url("", ""), "Content-Type": "application/x-www-form-urlencoded"}
        for path in ("/callback/success/approval", "/device", "/authenticators/register"):
            status = self.status("POST", cluster.url("", path), cookies, **form)
            assert status in (303, 400, 401, 403, 404), (path, cookies)
        web = {"Content-Type": "application/grpc-web+proto", "Origin": cluster.url("portal", "")}
        url = cluster.url("octelium-api", GET_STATUS)
        answer = self.send("POST", url, cookies, **web)
        told = f"{answer.headers} {answer.content!r}"
        refused = answer.status_code in (400, 401, 403)
        assert refused or re.search(r"grpc-status\W+16\b", told), cookies


@pytest.fixture(scope="module")
def raw(lab: Lab) -> Raw:
    return Raw(lab)


def values(raw: Raw) -> st.SearchStrategy[bytes]:
    """What may stand in a cookie: anything, and tokens that are nearly good."""
    tokens = [raw.ann.cookies[ACCESS], raw.ann.cookies[REFRESH]]
    changes: list[Callable[[str], str]] = [
        lambda token: token[:-1],
        lambda token: token + "=",
        lambda token: token + "A",
        lambda token: "B" + token[1:],
        lambda token: token[:40] + chr(ord(token[40]) ^ 1) + token[41:],
        lambda token: token.swapcase(),
        lambda token: f'"{token}"',
        lambda token: token[::-1],
        lambda token: f"{token[:60]} {token[60:]}",
    ]
    broken = st.builds(
        lambda token, change: change(token).encode(),
        st.sampled_from(tokens),
        st.sampled_from(changes),
    )
    return st.one_of(
        broken,
        st.binary(max_size=60).map(
            lambda raw: bytes(byte for byte in raw if byte not in b"\0\r\n\v\f")
        ),
        st.text("AQZaz019-_=. %\"',;", max_size=220).map(str.encode),
        st.sampled_from([b"", b"null", b"undefined", b"[object Object]", b"A" * 8000]),
    )


def test_what_is_no_session(raw: Raw) -> None:
    @settings(
        max_examples=400 if SOAK else 25,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )
    @given(
        pairs=st.lists(
            st.tuples(st.sampled_from(NAMES).map(str.encode), values(raw)), min_size=1, max_size=4
        ),
        mark=st.sampled_from([b"; ", b";", b" ;; ", b", "]),
    )
    def check(pairs: list[tuple[bytes, bytes]], mark: bytes) -> None:
        raw.refused_everywhere(mark.join(name + b"=" + value for name, value in pairs))

    before = raw.lab.state
    check()
    assert raw.lab.state == before
    assert raw.ann.opens()


def test_tokens_in_the_place_of_others(raw: Raw) -> None:
    """An access token does not renew, a refresh token does not open, a state does neither."""
    access, refresh = raw.ann.cookies[ACCESS], raw.ann.cookies[REFRESH]
    raw.ann.begin(raw.lab.uid("liar"))
    state = raw.ann.cookies.pop(STATE)
    for cookies in (
        {ACCESS: refresh, REFRESH: access},
        {ACCESS: state, REFRESH: state},
        {STATE: access},
        {"octelium_domain": access},
        {ACCESS.upper(): access, REFRESH.upper(): refresh},
        {f"__Host-{ACCESS}": access, f"__Secure-{REFRESH}": refresh},
        {f"{ACCESS} x": access},
    ):
        raw.refused_everywhere("; ".join(f"{n}={v}" for n, v in cookies.items()).encode())


def test_half_a_session(raw: Raw) -> None:
    """The refresh token alone says who somebody is on the login host; it opens no Service."""
    address, cluster = raw.ann.address, raw.lab.cluster
    alone = Visitor(cluster, raw.lab.client, address, {REFRESH: raw.ann.cookies[REFRESH]})
    assert not alone.opens()
    assert not alone.opens("portal")
    twice = f"{raw.ann.cookies[REFRESH]}; {REFRESH}={raw.ann.cookies[REFRESH]}"
    alone.cookies = {REFRESH: twice}
    assert alone.send("GET", "/authenticators", keep=False).status_code == 303


def test_none_of_two_access_tokens_counts(raw: Raw) -> None:
    """A page of any Service can plant one, and the order says little of which is which."""
    genuine, broken = raw.ann.cookies[ACCESS], raw.ann.cookies[ACCESS][:-2] + "AA"
    other = raw.lab.api.access_token
    page = raw.lab.cluster.url("demo-nginx", "/a")
    for pair in ((genuine, broken), (broken, genuine), (genuine, other), (other, genuine)):
        raw.refused_everywhere(f"{ACCESS}={pair[0]}; {ACCESS}={pair[1]}".encode())
        ann = Visitor(raw.lab.cluster, raw.lab.client, raw.ann.address)
        ann.cookies = {ACCESS: f"{pair[0]}; {ACCESS}={pair[1]}"}
        told = ann.send("GET", page, keep=False)
        assert told.status_code == 303
        ended = told.headers.get_list("set-cookie")
        assert f"{ACCESS}=; Max-Age=0; Path=/a; Domain={DOMAIN}; Secure" in ended
        assert f"{ACCESS}=; Max-Age=0; Path=/; Domain={DOMAIN}; Secure" not in ended
    assert Visitor(raw.lab.cluster, raw.lab.client, raw.ann.address, {ACCESS: genuine}).opens()


def test_what_was_planted_locks_nobody_out(raw: Raw) -> None:
    """The login host ends it, and leaves the genuine cookie alone."""
    genuine = raw.ann.cookies[REFRESH]
    login = raw.lab.cluster.url("", "/login")
    told = raw.send("GET", login, f"{REFRESH}=x; {REFRESH}={genuine}".encode())
    assert told.status_code == 200
    ended = told.headers.get_list("set-cookie")
    assert f"{REFRESH}=; Max-Age=0; Path=/login; Domain={DOMAIN}; Secure" in ended
    assert not any("HttpOnly" in line for line in ended if line.startswith(REFRESH))
    assert raw.ann.opens()


def test_a_cookie_counts_for_the_pages_it_is_meant_for(raw: Raw) -> None:
    """Whatever another page has a browser send, it sends as nobody."""
    cluster, ann, before = raw.lab.cluster, raw.ann, raw.lab.state
    service, api = cluster.url("demo-nginx"), cluster.url("octelium-api", GET_STATUS)

    def send(method: str, url: str, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return ann.send(method, url, named, keep=False)

    for origin in (cluster.url("evil", ""), "https://evil.test", "null", "", None):
        named = {} if origin is None else {"Origin": origin}
        for method in ("POST", "PUT", "DELETE"):
            assert send(method, service, **named).status_code == 403
        for kind in ("application/grpc", "application/grpc-web+proto"):
            told = send("POST", api, Content_Type=kind, **named)
            assert told.headers["grpc-status"] == "16"
            assert "a cookie counts here only" in told.headers["grpc-message"]
            assert "access-control-allow-origin" not in told.headers
    assert raw.lab.state == before
    assert send("GET", service, Origin=cluster.url("evil", "")).status_code == 200
    assert send("POST", service, Origin=cluster.url("demo-nginx", "")).status_code == 200
    told = send("POST", api, Content_Type="application/grpc", Origin=cluster.url("portal", ""))
    assert told.headers.get("grpc-status") != "16"


def test_cookies_go_where_they_belong(lab: Lab) -> None:
    """To the Cluster alone, over TLS, out of reach of scripts; a login's to its host alone."""
    visitor = lab.visitor()
    page = visitor.post("/begin", {"uid": lab.uid("liar"), "query": ""})
    lab.liar.claims = {"email": "ann@example.com"}
    there = page.headers["refresh"].partition("url=")[2].replace("&amp;", "&")
    landed = visitor.come_back(lab.liar.authorize(there))
    lines = [*page.headers.get_list("set-cookie"), *landed.headers.get_list("set-cookie")]
    told = {
        line.partition("=")[0]: line.lower() for line in lines if "max-age=0" not in line.lower()
    }
    assert set(told) == {STATE, ACCESS, REFRESH, "octelium_domain"}
    for name, line in told.items():
        assert "; secure" in line
        assert "path=/" in line
        assert (f"domain={DOMAIN}" in line) == (name != STATE)
        if name != "octelium_domain":  # holds nothing but a name that everybody knows
            assert "httponly" in line
    assert "samesite=lax" in told[ACCESS]
    assert "samesite=lax" in told[REFRESH]
