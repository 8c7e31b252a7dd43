from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.requests import Request

from octelium.authserver.browsers import (
    Browsers,
    began_with_authenticator,
    is_pending,
    required_path,
    wanted_path,
)
from octelium.schema.pb import core_v1_pb2 as core
from tests.authserver.walk import Browser, prepare

if TYPE_CHECKING:
    from tests.authserver.browser import Host

ACTIONS = core.SessionStatusAuthenticatorAction__


def request(**cookies: str) -> Request:
    header = "; ".join(f"{name}={value}" for name, value in cookies.items())
    return Request({"type": "http", "headers": [(b"cookie", header.encode())]})


async def test_when_a_session_is_fresh(host: Host) -> None:
    await prepare(host)
    browser, other = Browser(host), Browser(host)
    await browser.sign_in()
    await other.sign_in()
    cluster = host.cluster
    browsers = Browsers(cluster.authentication, cluster.clock)
    both = request(**browser.cookies)
    session = browsers.session(both)
    assert session is not None
    assert browsers.is_fresh(both, session)
    # Without its own access token every Service would send the browser back.
    for access in ("", "x", other.cookies["octelium_auth"], browser.cookies["octelium_rt"]):
        lacking = request(**{**browser.cookies, "octelium_auth": access})
        assert browsers.session(lacking) == session
        assert not browsers.is_fresh(lacking, session)
    cluster.clock.now += 3 * 3600
    assert browsers.is_fresh(both, session)
    cluster.clock.now += 1
    assert not browsers.is_fresh(both, session)
    assert browsers.session(request()) is None
    assert browsers.session(request(octelium_rt=browser.cookies["octelium_auth"])) is None


def test_what_stands_in_the_way() -> None:
    session = core.Session()
    assert required_path(session) == wanted_path(session) == ""
    expected = {
        ACTIONS.AUTHENTICATION_REQUIRED: ("/authenticators/authenticate",) * 2,
        ACTIONS.REGISTRATION_REQUIRED: ("/authenticators/register",) * 2,
        ACTIONS.AUTHENTICATION_RECOMMENDED: ("", "/authenticators/authenticate"),
        ACTIONS.REGISTRATION_RECOMMENDED: ("", "/authenticators/register"),
    }
    for action, paths in expected.items():
        session.status.authenticator_action = action
        assert (required_path(session), wanted_path(session)) == paths
    assert not is_pending(session)
    session.spec.state = core.SessionSpecState__.PENDING
    assert is_pending(session)
    assert not began_with_authenticator(session)
    began = session.status.initial_authentication.info
    began.type = core.SessionStatusAuthenticationInfoType__.AUTHENTICATOR
    assert began_with_authenticator(session)
