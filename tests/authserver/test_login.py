from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.authserver.test_pages import check_headers

if TYPE_CHECKING:
    from tests.authserver.browser import Host


@pytest.mark.parametrize("path", ["/", "/login", "/login?redirect=https://wiki.example.com/"])
async def test_how_to_sign_in(host: Host, path: str) -> None:
    response = await host.client.get(path)
    assert response.status_code == 200
    assert "no sign-in by browser" in response.text
    assert "octelium login --domain example.com --auth-token TOKEN" in response.text


async def test_nothing_of_the_query_is_repeated(host: Host) -> None:
    html = (await host.client.get("/login?redirect=https://evil.test/&x=%3Cscript%3E")).text
    assert "evil" not in html
    assert "<script" not in html


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/callback", "/login"),
        ("/login/", "/login"),
        ("/authenticators?x=1", "/login?x=1"),
        ("/begin?a=b&c=d%20e", "/login?a=b&c=d%20e"),
        ("//evil.test/", "/login"),
        ("/%2F%2Fevil.test", "/login"),
        ("/\\evil.test?//evil.test", "/login?//evil.test"),
        ("/oauth2/", "/login"),
        ("/favicon.ico", "/login"),
    ],
)
async def test_every_other_page_is_the_login_page(host: Host, path: str, location: str) -> None:
    response = await host.client.get(f"https://example.com{path}")
    assert response.status_code == 303
    assert response.headers["location"] == location
    head = await host.client.head(f"https://example.com{path}")
    assert head.status_code == 303


async def test_the_host_of_a_request_leads_nowhere(host: Host) -> None:
    response = await host.client.get("/login/", headers={"host": "evil.test"})
    assert response.headers["location"] == "/login"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"])
@pytest.mark.parametrize("path", ["/", "/login", "/begin", "/callback"])
async def test_other_methods_do_not_exist(host: Host, method: str, path: str) -> None:
    response = await host.client.request(method, path)
    assert response.status_code == 404
    check_headers(response)


async def test_cookies_of_a_dead_session_are_cleared(host: Host) -> None:
    fresh = await host.client.get("/login")
    assert len(fresh.headers.get_list("set-cookie")) == 1
    response = await host.client.get("/login", headers={"cookie": "octelium_rt=" + "A" * 178})
    cleared = [
        cookie
        for cookie in response.headers.get_list("set-cookie")
        if not cookie.startswith("octelium_domain=")
    ]
    assert [cookie.partition("=")[0] for cookie in cleared] == [
        "octelium_auth",
        "octelium_rt",
        "octelium_login_state",
    ]
    for cookie in cleared:
        assert "Max-Age=0" in cookie
        assert "Domain=example.com" in cookie
        assert "Secure" in cookie
        assert "HttpOnly" in cookie
    assert "SameSite=lax" in cleared[1]
    assert "SameSite=none" in cleared[2]


COOKIES = st.one_of(
    st.binary(max_size=100),
    st.lists(
        st.sampled_from(["octelium_rt", "octelium_auth", "=", ";", " ", '"', "\\", ",", "A", "$"]),
        max_size=12,
    ).map(lambda parts: "".join(parts).encode()),
).filter(lambda value: not set(value) & set(b"\r\n\0"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(cookie=COOKIES)
async def test_no_cookie_signs_anybody_in(host: Host, cookie: bytes) -> None:
    response = await host.client.get("/login", headers={b"cookie": cookie})
    assert response.status_code == 200
    assert "octelium login" in response.text
    denied = await host.client.get("/callback/success", headers={b"cookie": cookie})
    assert denied.status_code == 303
    assert denied.headers["location"] == "/login"
