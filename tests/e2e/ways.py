"""A Cluster whose people can sign in in three ways, and browsers that know all of them."""

from __future__ import annotations

import re
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from tests.cluster.conftest import SourceCluster
from tests.e2e.cluster import DOMAIN
from tests.e2e.documents import rule
from tests.e2e.pictures import Album
from tests.http import certs
from tests.peers import github, oidc, saml
from tests.peers.browser import chromium, playwright

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, ConsoleMessage, Page, Response

    from tests.e2e.cluster import Cluster
    from tests.e2e.documents import Document

LONG_NAME: Final = (
    "<b>Ann</b> " + "\u05d0\u05d1\u05d2 " * 4 + "\u202e" + "Wolfeschlegelsteinhausenberge" * 2
)
"""A display name with HTML, letters and marks that turn the line round, and no end in sight."""
MANY: Final = 40
PEOPLE: Final = ("ann", "ben", "cat", "dan")
PROVIDERS: Final = ("corp", "hub", "okta")
_OWN_PAGES: Final = (DOMAIN, f"portal.{DOMAIN}")
_EXPECTED: Final = re.compile(r"Failed to load resource: the server responded with .* 4\d\d")


@dataclass(frozen=True)
class Ways:
    """The Cluster and the providers that its people are known at.

    `ann` may open the diary, `ben` may not; to `cat` nothing is open; `dan` has forty Services and
    `LONG_NAME`. Each is known by this name at every provider. So is `eve`, who is nobody here.
    """

    cluster: Cluster
    oidc: oidc.OidcProvider
    saml: saml.SamlProvider
    github: github.GitHub

    def at(self, provider: str) -> str:
        """The origin of a provider's pages."""
        known = {"corp": self.oidc.issuer, "hub": self.github.url, "okta": self.saml.origin}
        return known[provider]


@dataclass(frozen=True)
class Visitors:
    """Browsers of people who visit the Cluster."""

    ways: Ways
    chromium: Browser
    album: Album

    @contextmanager
    def visitor(self, *, expected: str = "", **options: Any) -> Iterator[Page]:
        """A page of somebody who has not been here before; `options` are Playwright's of a context.

        What Chromium complains of on pages of the Cluster, such as what their policies refuse, is a
        failure unless `expected` is in it, and so is a page of the login host or the Portal without
        a strict policy.
        """
        complaints: list[str] = []

        def listen(message: ConsoleMessage) -> None:
            host = urlsplit(message.location.get("url", "")).hostname or ""
            own = host == DOMAIN or host.endswith(f".{DOMAIN}")
            severe = message.type in ("error", "warning")
            if expected and re.search(expected, message.text):
                return
            if own and severe and _EXPECTED.match(message.text) is None:
                complaints.append(message.text)

        def look_at(response: Response) -> None:
            policy = response.headers.get("content-security-policy", "")
            html = "text/html" in response.headers.get("content-type", "")
            strict = "default-src 'none'" in policy and "unsafe" not in policy
            if html and urlsplit(response.url).hostname in _OWN_PAGES and not strict:
                complaints.append(f"{response.url} has the policy {policy!r}")

        context = self.chromium.new_context(viewport={"width": 1100, "height": 760}, **options)
        try:
            page = context.new_page()
            page.set_default_timeout(60_000)
            page.on("console", listen)
            page.on("response", look_at)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            yield page
        finally:
            context.close()
        assert complaints == [], complaints

    def sign_in(self, page: Page, name: str, path: str = "/login", provider: str = "corp") -> None:
        """From a page of the login host to wherever a sign-in leads."""
        page.goto(self.ways.cluster.url("", path))
        to_provider(page, provider)
        at_provider(page, name, provider)
        elsewhere = self.ways.at(provider)
        page.wait_for_url(lambda url: not url.startswith(elsewhere))


def to_provider(page: Page, provider: str) -> None:
    """From the login page to a provider's own."""
    page.get_by_role("button", name=f"Continue with {_LABELS[provider]}", exact=True).click()
    page.wait_for_url(re.compile("^https://localhost:"))


def at_provider(page: Page, name: str, provider: str) -> None:
    """Go through the provider's pages as somebody."""
    if provider == "corp":
        oidc.sign_in(page, name)
    elif provider == "okta":
        saml.sign_in(page, name)
    else:
        page.fill("input[name=login]", name)
        page.get_by_role("button", name="Authorize").click()


_LABELS: Final = {"corp": "Example Corp", "okta": "Okta", "hub": "GitHub"}


def _person(name: str, **more: Any) -> Document:
    identities = [
        {"identityProvider": "corp", "identifier": name},
        {"identityProvider": "hub", "identifier": name},
        {"identityProvider": "okta", "identifier": f"{name}@example.com"},
    ]
    return {
        "kind": "User",
        "metadata": {"name": name, **more},
        "spec": {"type": "HUMAN", "authentication": {"identities": identities}},
    }


def _page(name: str, condition: str, **metadata: Any) -> Document:
    html = f"<!doctype html><html lang='en'><title>{name}</title><h1>Dear {name}</h1>"
    return {
        "kind": "Service",
        "metadata": {"name": name, **metadata},
        "spec": {
            "mode": "WEB",
            "isPublic": True,
            "authorization": {"inlinePolicies": [{"spec": {"rules": [rule("ALLOW", condition)]}}]},
            "config": {
                "http": {"response": {"direct": {"contentType": "text/html", "inline": html}}}
            },
        },
    }


def people() -> list[Document]:
    """Who there is, and what they may open."""
    cat = _person("cat", displayName="Cat Example")
    closed = [rule("DENY", 'ctx.service.metadata.name == "demo-nginx.default"')]
    cat["spec"]["authorization"] = {"inlinePolicies": [{"spec": {"rules": closed}}]}
    only = 'ctx.user.metadata.name == "{}"'.format
    return [
        _person("ann", displayName="Ann Example"),
        _person("ben", displayName="Ben Example"),
        cat,
        _person("dan", displayName=LONG_NAME),
        _page("diary", only("ann"), displayName="Diary", description="What Ann did"),
        *(
            _page(f"app-{each:02}", only("dan"), displayName=f"Application {each}")
            for each in range(MANY - 2)
        ),
        _page("app-long", only("dan"), displayName=LONG_NAME, description=LONG_NAME * 2),
    ]


def providers(ways: Ways) -> list[Document]:
    """The three ways."""
    return [
        *ways.oidc.resources(),
        {
            "kind": "IdentityProvider",
            "metadata": {"name": "okta"},
            "spec": {
                "displayName": "Okta",
                "saml": {"metadataURL": ways.saml.metadata_url, "entityID": ENTITY},
            },
        },
        {
            "kind": "Secret",
            "metadata": {"name": "hub-secret"},
            "spec": {},
            "data": {"value": ways.github.client_secret},
        },
        {
            "kind": "IdentityProvider",
            "metadata": {"name": "hub"},
            "spec": {
                "displayName": "GitHub",
                "github": {
                    "clientID": ways.github.client_id,
                    "clientSecret": {"fromSecret": "hub-secret"},
                },
            },
        },
    ]


ENTITY: Final = f"https://{DOMAIN}"


@contextmanager
def open_ways(folder: Path) -> Iterator[Ways]:
    """Everything running."""
    trusted = folder / "providers-ca.pem"
    trusted.write_bytes(certs.ca().chain)
    environment = {"SSL_CERT_FILE": str(trusted)}
    cluster = SourceCluster(folder / "cluster", workers=1, environment=environment)
    callback = cluster.url("", "/callback")
    known = {name: {"email": f"{name}@example.com"} for name in (*PEOPLE, "eve")}
    attributes = {name: {saml.EMAIL: [f"{name}@example.com"]} for name in known}
    attributes["mallory"] = {saml.EMAIL: ["mallory@example.com"], "barred": ["yes"]}
    with ExitStack() as stack:
        hub = stack.enter_context(github.github(callback))
        for name in known:
            hub.add(name)
        made = Ways(
            cluster,
            stack.enter_context(oidc.oidc_provider(callback, known)),
            stack.enter_context(
                saml.saml_provider(folder / "saml", ENTITY, callback, attributes, barred="barred")
            ),
            hub,
        )
        cluster.environment["OCTELIUM_GITHUB_URL"] = hub.url
        stack.callback(cluster.remove)
        cluster.start()
        cluster.login()
        cluster.apply(*providers(made), *people())
        yield made


@contextmanager
def open_visitors(ways: Ways) -> Iterator[Visitors]:
    """Browsers for a module; the driver's event loop must not run in other tests."""
    authorities = [certs.ca().chain, (ways.cluster.data / "ca.pem").read_bytes()]
    with playwright() as driver, chromium(driver, authorities, DOMAIN) as browser:
        yield Visitors(ways, browser, Album())
