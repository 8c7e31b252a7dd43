from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.apiserver.cookies import BrowserPages
from octelium.apiserver.rpc import ApiError, Call
from octelium.identity.admission import IssuedTokens
from octelium.schema.pb import core_v1_pb2 as core

PAGES = BrowserPages("example.com", "https://example.com:8443", "https://portal.example.com:8443")
BROWSER = "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"


def call(**more: str) -> Call:
    made = Call("/x/y")
    made.origin = more.get("origin", PAGES.login)
    made.user_agent = more.get("user_agent", BROWSER)
    made.refresh_token = more.get("refresh_token", "")
    made.metadata = {"cookie": more.get("cookie", "")}
    return made


@pytest.mark.parametrize(
    ("cookie", "token"),
    [
        ("octelium_rt=abc", "abc"),
        ("a=b; octelium_rt=abc ; c=d", "abc"),
        ("octelium_rt=abc; octelium_rt=def", ""),
        ("octelium_auth=abc", ""),
        ("OCTELIUM_RT=abc", ""),
        ("xoctelium_rt=abc", ""),
        ("octelium_rt", ""),
        ("", ""),
    ],
)
def test_the_cookie(cookie: str, token: str) -> None:
    assert PAGES.refresh_token(call(cookie=cookie)) == token


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "null",
        "https://evil.test",
        "https://example.com",
        "http://example.com:8443",
        "https://wiki.example.com:8443",
        "https://example.com:8443.evil.test",
    ],
)
def test_pages_of_others(origin: str) -> None:
    asked = call(cookie="octelium_rt=abc", origin=origin)
    assert PAGES.refresh_token(asked) == ""
    with pytest.raises(ApiError):
        PAGES.require_login_page(asked)
    asked.refresh_token = "mine"
    assert PAGES.refresh_token(asked) == "mine"


def test_the_portal_may_ask_but_signs_nobody_in() -> None:
    asked = call(cookie="octelium_rt=abc", origin=PAGES.portal)
    assert PAGES.refresh_token(asked) == "abc"
    with pytest.raises(ApiError):
        PAGES.require_login_page(asked)


@pytest.mark.parametrize("agent", ["", "curl/8", "octelium-cli/1", "Mozilla/" + "x" * 300])
def test_no_browsers(agent: str) -> None:
    PAGES.require_login_page(call())
    with pytest.raises(ApiError):
        PAGES.require_login_page(call(user_agent=agent))


@given(
    before=st.text(st.characters(max_codepoint=255, exclude_characters=";="), max_size=20),
    value=st.from_regex("[A-Za-z0-9_-]+", fullmatch=True),
    times=st.integers(0, 3),
)
def test_a_cookie_counts_if_it_is_there_once(before: str, value: str, times: int) -> None:
    cookie = ";".join([before, *[f" octelium_rt={value}"] * times])
    assert PAGES.cookie(call(cookie=cookie)) == (value if times == 1 else "")


def test_tokens_as_cookies() -> None:
    asked = call()
    PAGES.set_tokens(asked, IssuedTokens("access", "refresh", 10, 20, core.Session()))
    rest = "Domain=example.com; Path=/; Secure; HttpOnly; SameSite=Lax"
    assert asked.set_cookies == [
        f"octelium_auth=access; Max-Age=10; {rest}",
        f"octelium_rt=refresh; Max-Age=20; {rest}",
    ]


def test_cookies_that_are_to_go() -> None:
    asked = call()
    PAGES.clear_tokens(asked)
    rest = "Max-Age=0; Domain=example.com; Path=/; Secure; HttpOnly; SameSite=Lax"
    assert asked.set_cookies == [
        f"octelium_auth=; {rest}",
        f"octelium_rt=; {rest}",
    ]
