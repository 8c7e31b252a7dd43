from __future__ import annotations

import pytest
from starlette.requests import Request
from starlette.responses import Response

from octelium.authserver.cookies import (
    ACCESS,
    LOGIN_STATE,
    REFRESH,
    clear_cookies,
    clear_login_state,
    cookie,
    has_ended,
    set_login_state,
    set_tokens,
    several,
)
from octelium.authserver.site import Site
from octelium.identity.admission import IssuedTokens
from octelium.schema.pb import core_v1_pb2 as core

SITE = Site("example.com", 8443)


def lines(response: Response) -> list[str]:
    return [value.decode() for name, value in response.raw_headers if name == b"set-cookie"]


def test_tokens() -> None:
    response = Response()
    set_tokens(SITE, response, IssuedTokens("access", "refresh", 10, 20, core.Session()))
    rest = "Domain=example.com; HttpOnly; Max-Age={}; Path=/; SameSite={}; Secure"
    assert lines(response) == [
        f"{ACCESS}=access; {rest.format(10, 'lax')}",
        f"{REFRESH}=refresh; {rest.format(20, 'lax')}",
        f'{LOGIN_STATE}=""; HttpOnly; Max-Age=0; Path=/; SameSite=none; Secure',
    ]


def test_the_state_of_a_login() -> None:
    response = Response()
    set_login_state(SITE, response, "s")
    clear_login_state(SITE, response)
    set_line, cleared = lines(response)
    assert set_line.startswith(f"{LOGIN_STATE}=s; ")
    # Browsers take a cookie of this name only so: no page of a Service can set it.
    assert LOGIN_STATE.startswith("__Host-")
    for line in (set_line, cleared):
        assert "Path=/" in line
        assert "Secure" in line
        assert "Domain" not in line
    assert "Max-Age=900" in set_line
    assert "SameSite=none" in set_line
    assert "Max-Age=0" in cleared


def test_a_session_is_forgotten_and_a_login_goes_on() -> None:
    response = Response()
    clear_cookies(SITE, response)
    assert [line.partition("=")[0] for line in lines(response)] == [ACCESS, REFRESH]
    assert all("Max-Age=0" in line for line in lines(response))


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("octelium_rt=a", "a"),
        ("x=y;octelium_rt = a ;z", "a"),
        ("octelium_rt=a=b", "a=b"),
        ("octelium_rt=a; octelium_rt=b", ""),
        ("octelium_rt=a; octelium_rt=a", ""),
        ("octelium_rt=a; octelium_rt", "a"),
        ("octelium_rt", ""),
        ("", ""),
        ("octelium_rt=", ""),
        ("OCTELIUM_RT=a", ""),
    ],
)
def test_reading(header: str, value: str) -> None:
    headers = [(b"cookie", header.encode())]
    assert cookie(Request({"type": "http", "headers": headers}), REFRESH) == value


@pytest.mark.parametrize(
    ("header", "ended"),
    [
        ("x=y; octelium_rt=a", True),
        ("octelium_auth=a", True),
        (f"x=y; octelium_domain=z; {LOGIN_STATE}=a", False),
        ("octelium_rt=a; octelium_rt=b", False),
        ("octelium_rt=a; octelium_auth=b; octelium_auth=c", False),
        ("", False),
    ],
)
def test_whose_cookies_are_cleared(header: str, ended: bool) -> None:
    headers = [(b"cookie", header.encode())]
    assert has_ended(Request({"type": "http", "headers": headers})) is ended


def test_several_of_a_name() -> None:
    assert several(["octelium_rt=a; octelium_rt=b"], REFRESH)
    assert several(["octelium_rt=a", "octelium_rt=a"], REFRESH)
    assert not several(["octelium_rt=a; octelium_auth=b; octelium_rt"], REFRESH)
