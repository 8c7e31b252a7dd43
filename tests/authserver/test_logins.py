from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
from starlette.requests import Request

from octelium.authserver.cookies import LOGIN_STATE
from octelium.authserver.logins import LoginError, Logins
from octelium.authserver.pace import Pace
from octelium.authserver.targets import Target
from octelium.identity.attempts import Outcome
from octelium.schema.pb import core_v1_pb2 as core
from tests.authserver.walk import prepare

if TYPE_CHECKING:
    from tests.authserver.browser import Host


def logins(host: Host) -> Logins:
    cluster = host.cluster
    return Logins(cluster.resources, cluster.authentication, host.provider, host.publish)


def request(**cookies: str) -> Request:
    header = "; ".join(f"{name}={value}" for name, value in cookies.items())
    return Request({"type": "http", "headers": [(b"cookie", header.encode())]})


async def test_from_begin_to_end(host: Host) -> None:
    provider = await prepare(host)
    made = logins(host)
    url, state = await made.begin(request(), provider, Target("https://wiki.example.com/"))
    assert parse_qs(urlsplit(url).query) == {"state": [state]}
    browser = request(**{LOGIN_STATE: state})
    issued, target = await made.end(browser, state, {"code": "ann"})
    assert target == Target("https://wiki.example.com/")
    assert issued.session == host.cluster.sessions()[0]
    assert host.published == 1


async def test_the_session_that_the_browser_had_goes_on(host: Host) -> None:
    provider = await prepare(host)
    made = logins(host)
    _, state = await made.begin(request(), provider, Target())
    first, _ = await made.end(request(**{LOGIN_STATE: state}), state, {"code": "ann"})
    # The end comes without the cookie, as with forms that other sites send.
    _, state = await made.begin(request(octelium_rt=first.refresh_token), provider, Target())
    second, _ = await made.end(request(**{LOGIN_STATE: state}), state, {"code": "ann"})
    assert second.session.metadata.uid == first.session.metadata.uid
    assert second.refresh_token != first.refresh_token


async def test_what_fails_is_logged_and_tells_one_word(host: Host) -> None:
    provider = await prepare(host)
    made = logins(host)
    host.provider.down = True
    with pytest.raises(LoginError) as caught:
        await made.begin(request(), provider, Target())
    assert str(caught.value) == "unavailable"
    attempt = host.cluster.log.last()
    assert (attempt.outcome, attempt.operation) == (Outcome.REFUSED, "login")
    assert "sesame" in attempt.reason
    assert attempt.provider is not None
    with pytest.raises(LoginError, match="expired"):
        await made.end(request(), "x", {})
    assert host.cluster.log.last().provider is None
    assert host.published == 0


def request_from(address: str, **cookies: str) -> Request:
    made = request(**cookies)
    made.scope["headers"].append((b"x-octelium-client-address", address.encode()))
    return made


async def end(host: Host, made: Logins, address: str, code: str) -> str:
    """Begin a login and come back with `code`; the one word, or empty."""
    (provider,) = host.cluster.resources.list(core.IdentityProvider)
    _, state = await made.begin(request_from(address), provider, Target())
    browser = request_from(address, **{LOGIN_STATE: state})
    try:
        await made.end(browser, state, {"code": code})
    except LoginError as error:
        return error.code
    return ""


async def test_codes_that_are_made_up_are_not_all_asked_about(host: Host) -> None:
    await prepare(host)
    made = replace(logins(host), callers=Pace(3, 0), providers=Pace(6, 0))
    for number in range(5):
        address = f"2001:db8::{number}"
        assert await end(host, made, address, "refused") == ("provider" if number < 3 else "again")
    assert len(host.provider.finished) == 3
    assert "too many logins" in host.cluster.log.attempts[-1].reason
    # Others are not held up, and whoever signs in may do so as often as they like.
    for _ in range(10):
        assert await end(host, made, "192.0.2.1", "ann") == ""
    for _ in range(5):
        await end(host, made, "192.0.2.2", "refused")
    assert len(host.provider.finished) == 16
    assert await end(host, made, "192.0.2.3", "refused") == "again"
    assert len(host.provider.finished) == 16


async def test_what_was_not_asked_about_does_not_count(host: Host) -> None:
    provider = await prepare(host)
    made = replace(logins(host), callers=Pace(1, 0), providers=Pace(1, 0))
    _, state = await made.begin(request(), provider, Target())
    for _ in range(3):
        with pytest.raises(LoginError, match="expired"):
            await made.end(request(**{LOGIN_STATE: state}), "a" * 36, {"code": "ann"})
    await made.end(request(**{LOGIN_STATE: state}), state, {"code": "ann"})
