"""People sign in with a real browser at a real OpenID Connect provider."""

from __future__ import annotations

import hashlib
import http.server
import re
import threading
from base64 import urlsafe_b64decode, urlsafe_b64encode
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, urlencode, urlsplit

import grpc
import pytest

from octelium.schema.pb import auth_v1_pb2 as auth
from octelium.schema.pb import user_v1_pb2 as user
from tests.cluster.conftest import SourceCluster
from tests.e2e.cluster import DOMAIN, Api
from tests.e2e.pictures import Album
from tests.http import certs
from tests.peers.browser import browser, playwright
from tests.peers.oidc import OidcProvider, oidc_provider, sign_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page, Playwright

    from tests.e2e.cluster import Cluster
    from tests.e2e.documents import Document


@dataclass(frozen=True)
class World:
    """A Cluster whose people sign in at a provider, and browsers that know both."""

    cluster: Cluster
    provider: OidcProvider
    driver: Playwright
    folder: Any
    album: Album

    @contextmanager
    def browser(self, name: str) -> Iterator[Page]:
        """A page of a browser of its own."""
        authorities = [certs.ca().chain, (self.cluster.data / "ca.pem").read_bytes()]
        with browser(self.driver, self.folder / name, authorities, DOMAIN) as context:
            page = context.pages[0]
            page.set_default_timeout(60_000)
            yield page


def documents(provider: OidcProvider) -> list[Document]:
    """The IdentityProvider, two people, and a Service that one of them may open."""
    return [
        *provider.resources(),
        *(
            {
                "kind": "User",
                "metadata": {"name": name, "displayName": shown},
                "spec": {
                    "type": "HUMAN",
                    "authentication": {
                        "identities": [{"identityProvider": "corp", "identifier": name}]
                    },
                },
            }
            for name, shown in (("ann", "Ann Example"), ("ben", "Ben Example"))
        ),
        {
            "kind": "Service",
            "metadata": {"name": "diary", "displayName": "Diary", "description": "What Ann did"},
            "spec": {
                "mode": "WEB",
                "isPublic": True,
                "authorization": {
                    "inlinePolicies": [
                        {
                            "spec": {
                                "rules": [
                                    {
                                        "effect": "ALLOW",
                                        "condition": {"match": 'ctx.user.metadata.name == "ann"'},
                                    }
                                ]
                            }
                        }
                    ]
                },
                "config": {
                    "http": {
                        "response": {
                            "direct": {"contentType": "text/html", "inline": "<h1>Dear diary</h1>"}
                        }
                    }
                },
            },
        },
    ]


@pytest.fixture(scope="module", name="world")
def world_fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("web-login")
    trusted = folder / "provider-ca.pem"
    trusted.write_bytes(certs.ca().chain)
    cluster = SourceCluster(folder / "cluster", environment={"SSL_CERT_FILE": str(trusted)})
    users = {name: {"email": f"{name}@example.com"} for name in ("ann", "ben", "eve")}
    with (
        oidc_provider(cluster.url("", "/callback"), users) as provider,
        playwright() as driver,
    ):
        try:
            cluster.start()
            cluster.login()
            cluster.apply(*documents(provider))
            yield World(cluster, provider, driver, folder, Album())
        finally:
            cluster.remove()


def to_provider(world: World, page: Page, path: str = "/login") -> None:
    """From a page of the login host to the provider's own."""
    page.goto(world.cluster.url("", path))
    page.get_by_role("button", name="Continue with Example Corp").click()
    page.wait_for_url(f"{world.provider.issuer}/**")


def signed_in(world: World, page: Page, name: str = "ann", path: str = "/login") -> None:
    """Sign in at the provider; ends wherever that leads to."""
    to_provider(world, page, path)
    sign_in(page, name)
    page.wait_for_url(lambda url: not url.startswith(world.provider.issuer))


def cookie_of(page: Page, name: str) -> str:
    """The value of a cookie; empty if the browser has none of this name."""
    return next((str(each["value"]) for each in page.context.cookies() if each["name"] == name), "")


def host_of(page: Page) -> str:
    return urlsplit(page.url).hostname or ""


def test_from_a_protected_page_and_back(world: World) -> None:
    cluster = world.cluster
    with world.browser("ann") as page:
        page.goto(cluster.url("diary", "/today?page=1"))
        assert host_of(page) == DOMAIN
        assert page.get_by_role("heading", name="Sign in").is_visible()
        world.album.take(page, "login-with-target")
        page.get_by_role("button", name="Continue with Example Corp").click()
        page.wait_for_url(f"{world.provider.issuer}/**")
        sign_in(page, "ann")
        page.wait_for_url(cluster.url("diary", "/today?page=1"))
        assert page.inner_text("h1") == "Dear diary"
        cookies = {each["name"]: each for each in page.context.cookies(cluster.url(""))}
        assert cookies["octelium_rt"]["httpOnly"]
        assert cookies["octelium_auth"]["secure"]
        assert "__Host-octelium_login_state" not in cookies
        # From here on she is known.
        page.goto(cluster.url("", "/login"))
        page.wait_for_url(re.compile(r"https://portal\."))
        world.album.take(page, "portal")


def test_pages_that_nobody_is_signed_in_on(world: World) -> None:
    with world.browser("nobody") as page:
        for name, query in (
            ("login", ""),
            ("login-refused", "error=refused"),
            ("login-disabled", "error=disabled"),
            ("login-expired", "error=expired"),
            ("login-signed-out", "done=signed-out"),
        ):
            page.goto(world.cluster.url("", f"/login?{query}"))
            world.album.take(page, name)
        page.goto(world.cluster.url("", "/denied"))
        world.album.take(page, "denied")


def test_by_keyboard_alone(world: World) -> None:
    with world.browser("keyboard") as page:
        page.goto(world.cluster.url("", "/login"))
        page.keyboard.press("Tab")
        focused = page.evaluate("document.activeElement.textContent")
        assert focused == "Continue with Example Corp"
        page.keyboard.press("Enter")
        page.wait_for_url(f"{world.provider.issuer}/**")


def test_who_is_nobody_here(world: World) -> None:
    with world.browser("eve") as page:
        to_provider(world, page)
        sign_in(page, "eve")
        page.wait_for_url(re.compile("error=refused"))
        assert page.get_by_role("alert").is_visible()
        assert not cookie_of(page, "octelium_rt")


def test_two_browsers_and_one_login(world: World) -> None:
    """The end of a login counts in the browser that it began in, and once."""
    callbacks: list[str] = []
    with world.browser("first") as page:
        inspector = page.context.new_cdp_session(page)

        def keep(paused: Any) -> None:
            callbacks.append(paused["request"]["url"])
            told = {"requestId": paused["requestId"], "responseCode": 200}
            inspector.send("Fetch.fulfillRequest", told)

        inspector.on("Fetch.requestPaused", keep)
        inspector.send("Fetch.enable", {"patterns": [{"urlPattern": "*/callback?*"}]})
        to_provider(world, page)
        sign_in(page, "ann")
        page.wait_for_url(re.compile(r"/callback\?"))
        (callback,) = callbacks
        with world.browser("second") as other:
            for begun in (False, True):
                if begun:
                    to_provider(world, other)
                other.goto(callback)
                assert "error=expired" in other.url
                assert not cookie_of(other, "octelium_rt")
        inspector.send("Fetch.disable")
        page.goto(callback)
        page.wait_for_url(re.compile(r"https://portal\."))
        token = cookie_of(page, "octelium_rt")
        assert token
        page.goto(callback)
        assert "error=expired" in page.url
        assert cookie_of(page, "octelium_rt") == token


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.test/",
        "//evil.test/",
        "https://octelium.localhost@evil.test/",
        "https://evil.test\\@octelium.localhost/",
        "https://octelium.localhost.evil.test/",
        "https://octelium.localhost:1/",
        "https://octelium.localhost%40evil.test/",
        "https://octelium.localhost\uff0eevil.test/",
        "javascript:alert(1)",
    ],
)
def test_no_login_leads_elsewhere(world: World, target: str) -> None:
    path = f"/login?{urlencode({'redirect': target})}"
    with world.cluster.http() as http:
        page = http.get(world.cluster.url("", path))
    assert page.status_code == 200
    assert "evil" not in page.text
    assert 'name="query" value=""' in page.text


def test_the_portal_and_the_account(world: World) -> None:
    cluster = world.cluster
    with world.browser("portal") as page, world.browser("portal-other") as other:
        signed_in(world, page, "ben")
        signed_in(world, other, "ben")
        page.wait_for_url(re.compile(r"https://portal\."))
        assert page.get_by_text("Signed in as Ben Example").is_visible()
        # What he may not open is not there.
        assert page.get_by_role("link", name="Demonstration page").is_visible()
        assert page.get_by_text("Diary").count() == 0
        world.album.take(page, "portal-ben")
        page.get_by_role("link", name="Sessions").click()
        page.wait_for_url(re.compile("/account"))
        assert page.get_by_text("this one").count() == 1
        world.album.take(page, "account")
        page.get_by_role("button", name=re.compile("End the Session")).first.click()
        page.wait_for_url(re.compile("done=ended"))
        world.album.take(page, "account-ended")
        other.goto(cluster.url("portal"))
        assert host_of(other) == DOMAIN  # signed out, and sent to sign in again
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url(re.compile("done=signed-out"))
        assert page.get_by_role("status").inner_text() == "You are signed out."
        assert not cookie_of(page, "octelium_rt")


class Loopback:
    """What a command line listens on while a browser signs in for it."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        paths = self.paths

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                paths.append(self.path)
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"received")

            def log_message(self, *_arguments: Any) -> None:
                """Say nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def client_request(port: int, verifier: bytes) -> str:
    request = auth.ClientLoginRequest(
        api_version=auth.ClientLoginRequestApiVersion__.V1,
        callback_port=port,
        callback_suffix="abcd1234",
        code_challenge=hashlib.sha256(verifier).digest(),
    )
    return urlsafe_b64encode(request.SerializeToString()).rstrip(b"=").decode()


def test_a_command_line_is_let_in(world: World) -> None:
    verifier = bytes(range(32))
    with Loopback() as loopback, world.browser("cli") as page:
        path = f"/login?octelium_req={client_request(loopback.port, verifier)}"
        page.goto(world.cluster.url("", path))
        world.album.take(page, "login-cli")
        signed_in(world, page, "ann", path)
        page.wait_for_url(re.compile("/callback/success/approval"))
        world.album.take(page, "approval")
        page.get_by_role("button", name="Allow").click()
        page.wait_for_url(re.compile("^http://localhost:"))
        parts = urlsplit(next(each for each in loopback.paths if "octelium_response" in each))
    assert parts.path == "/callback/success/abcd1234"
    (text,) = parse_qs(parts.query)["octelium_response"]
    answer = auth.ClientLoginResponse.FromString(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    api = Api(world.cluster.channel())

    def authenticate(code_verifier: bytes) -> auth.SessionToken:
        request = auth.AuthenticateWithAuthenticationTokenRequest(
            authentication_token=answer.authentication_token, code_verifier=code_verifier
        )
        reply: auth.SessionToken = api.call(auth, "AuthenticateWithAuthenticationToken", request)
        return reply

    with pytest.raises(grpc.RpcError):
        authenticate(b"")
    api.access_token = authenticate(verifier).access_token
    assert api.user("GetStatus", user.GetStatusRequest()).user.metadata.name == "ann"
    with pytest.raises(grpc.RpcError):
        authenticate(verifier)


def test_a_machine_without_a_browser_is_let_in(world: World) -> None:
    cluster = world.cluster
    with cluster.http() as machine, world.browser("device") as page:
        metadata = machine.get(cluster.url("", "/.well-known/oauth-authorization-server")).json()
        told = machine.post(
            metadata["device_authorization_endpoint"], data={"client_id": "octelium-cli"}
        ).json()
        poll = {
            "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
            "device_code": told["device_code"],
            "client_id": "octelium-cli",
        }
        assert machine.post(metadata["token_endpoint"], data=poll).json()["error"] == "slow_down"
        signed_in(world, page, "ann")
        page.goto(told["verification_uri"])
        world.album.take(page, "device")
        page.get_by_label("Code").fill(told["user_code"].lower())
        page.get_by_role("button", name="Go on").click()
        page.wait_for_url(re.compile("user_code="))
        world.album.take(page, "device-asked")
        page.get_by_role("button", name="Allow").click()
        page.get_by_role("heading", name="The machine is let in").wait_for()
        world.album.take(page, "device-done")
        tokens = machine.post(metadata["token_endpoint"], data=poll).json()
    api = Api(cluster.channel())
    api.access_token = tokens["access_token"]
    assert api.user("GetStatus", user.GetStatusRequest()).user.metadata.name == "ann"


def test_pages_work_without_scripts(world: World) -> None:
    """Chromium itself reports what a policy refuses; nothing here asks for anything refused."""
    complaints: list[str] = []
    with world.browser("scripts") as page:
        page.on("console", lambda message: complaints.append(message.text))
        signed_in(world, page, "ann")
        page.wait_for_url(re.compile(r"https://portal\."))
        page.goto(world.cluster.url("portal", "/account"))
    assert [text for text in complaints if "Content Security Policy" in text] == []
