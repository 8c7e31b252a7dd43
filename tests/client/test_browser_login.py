from __future__ import annotations

import hashlib
import threading
from base64 import urlsafe_b64decode
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from octelium.authserver.targets import client_login
from octelium.client.browser_login import BrowserLogin, LoginError
from octelium.client.errors import ApiError
from octelium.schema.pb import auth_v1_pb2 as auth
from tests.client.browsing import response, visit
from tests.client.exchanged import TOKENS, Recorded

if TYPE_CHECKING:
    import http.client

ORIGIN = "https://lab.test:8443"


class Browser:
    """Brings a token as soon as it is shown an address."""

    def __init__(self) -> None:
        self.url = ""
        self.seen: http.client.HTTPResponse | None = None
        self._thread = threading.Thread(target=self._visit)

    def show(self, url: str) -> None:
        self.url = url
        self._thread.start()

    @property
    def request(self) -> str:
        return parse_qs(urlsplit(self.url).query)["octelium_req"][0]

    def _visit(self) -> None:
        asked = client_login(self.request)
        value = response("T", asked.code_challenge)
        path = f"/callback/success/{asked.suffix}?octelium_response={value}"
        self.seen = visit(asked.port, path)

    def status(self) -> int:
        self._thread.join(60)
        assert self.seen is not None
        return self.seen.status


def test_a_person_signs_in() -> None:
    browser, exchange = Browser(), Recorded()
    assert BrowserLogin(ORIGIN, browser.show).tokens(exchange, ["api:*"]) == TOKENS
    ((method, token, scopes, verifier),) = exchange.asked
    assert (method, token, scopes) == ("authenticate", "T", ("api:*",))
    assert isinstance(verifier, bytes)
    assert len(verifier) == 32
    assert browser.status() == 302
    assert browser.seen is not None
    assert browser.seen.headers["Location"] == ORIGIN
    assert browser.url.startswith(f"{ORIGIN}/login?octelium_req=")
    raw = urlsafe_b64decode(browser.request + "=" * (-len(browser.request) % 4))
    request = auth.ClientLoginRequest.FromString(raw)
    assert request.api_version == auth.ClientLoginRequestApiVersion__.V1
    assert request.code_challenge == hashlib.sha256(verifier).digest()
    assert verifier not in raw


def test_each_login_has_a_verifier_of_its_own() -> None:
    exchange = Recorded()
    for _ in range(2):
        browser = Browser()
        BrowserLogin(ORIGIN, browser.show).tokens(exchange, [])
        assert browser.status() == 302
    assert exchange.asked[0][3] != exchange.asked[1][3]


def test_a_refusal_is_told_on_both_sides() -> None:
    browser = Browser()
    with pytest.raises(LoginError, match="does not accept what the browser brought"):
        BrowserLogin(ORIGIN, browser.show).tokens(Recorded("UNAUTHENTICATED"), [])
    assert browser.status() == 502
    browser = Browser()
    with pytest.raises(ApiError, match="PermissionDenied"):
        BrowserLogin(ORIGIN, browser.show).tokens(Recorded("PERMISSION_DENIED"), [])
    assert browser.status() == 502


def test_nobody_comes() -> None:
    exchange = Recorded()
    with pytest.raises(LoginError, match="nobody signed in") as caught:
        BrowserLogin(ORIGIN, lambda _: None, seconds=0.01).tokens(exchange, [])
    assert "--device" in caught.value.remedy
    assert exchange.asked == []
