from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
from starlette.requests import Request

from octelium.authserver.cookies import LOGIN_STATE
from octelium.authserver.logins import LoginError, Logins
from octelium.authserver.targets import Target
from octelium.identity.attempts import Outcome
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
