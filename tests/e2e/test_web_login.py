"""People sign in with a real browser at a real OpenID Connect provider."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.cluster.conftest import SourceCluster
from tests.e2e.cluster import DOMAIN
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
            page.set_default_timeout(15_000)
            yield page


def documents(provider: OidcProvider) -> list[Document]:
    """The IdentityProvider, two people, and a Service that one of them may open."""
    return [
        {
            "kind": "Secret",
            "metadata": {"name": "corp-secret"},
            "spec": {},
            "data": {"value": provider.client_secret},
        },
        {
            "kind": "IdentityProvider",
            "metadata": {"name": "corp"},
            "spec": {
                "displayName": "Example Corp",
                "oidc": {
                    "issuerURL": provider.issuer,
                    "clientID": provider.client_id,
                    "clientSecret": {"fromSecret": "corp-secret"},
                    "identifierClaim": "sub",
                },
            },
        },
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
            yield World(cluster, provider, driver, folder, Album(folder / "pictures"))
        finally:
            cluster.remove()


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
        assert "octelium_login_state" not in cookies
        # From here on she is known.
        page.goto(cluster.url("", "/login"))
        page.wait_for_url(re.compile(r"https://portal\."))
        world.album.take(page, "portal")


def test_pages_that_nobody_is_signed_in_on(world: World) -> None:
    with world.browser("nobody") as page:
        for name, query in (
            ("login", ""),
            ("login-refused", "error=refused"),
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
        page.goto(world.cluster.url("", "/login"))
        page.get_by_role("button", name="Continue with").click()
        page.wait_for_url(f"{world.provider.issuer}/**")
        sign_in(page, "eve")
        page.wait_for_url(re.compile("error=refused"))
        assert page.get_by_role("alert").is_visible()
        assert not [c for c in page.context.cookies() if c["name"] == "octelium_rt"]
