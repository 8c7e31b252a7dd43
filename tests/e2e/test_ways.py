"""People come from a protected page, sign in at a real provider, and are back; or learn why not."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from octelium.schema.pb import meta_v1_pb2 as meta
from tests.e2e.ways import PROVIDERS, at_provider, to_provider

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.e2e.ways import Visitors


def is_signed_in(page: Page) -> bool:
    return any(each["name"] == "octelium_rt" for each in page.context.cookies())


@pytest.mark.parametrize("provider", PROVIDERS)
def test_from_a_protected_page_and_back(visitors: Visitors, provider: str) -> None:
    cluster = visitors.ways.cluster
    with visitors.visitor() as page:
        page.goto(cluster.url("diary", "/today?page=1"))
        page.get_by_role("heading", name="Sign in").wait_for()
        to_provider(page, provider)
        assert page.url.startswith(visitors.ways.at(provider))
        at_provider(page, "ann", provider)
        page.wait_for_url(cluster.url("diary", "/today?page=1"))
        assert page.inner_text("h1") == "Dear diary"
        assert is_signed_in(page)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_who_is_nobody_here(visitors: Visitors, provider: str) -> None:
    cluster = visitors.ways.cluster
    with visitors.visitor() as page:
        visitors.sign_in(page, "eve", provider=provider)
        page.wait_for_url(re.compile(r"/login\?error=refused"))
        told = page.get_by_role("alert").inner_text()
        assert "no User of this Cluster" in told
        assert "ask an administrator" in told
        assert not is_signed_in(page)
        if provider == "corp":
            visitors.album.take(page, "login-refused-by-the-cluster")
    asked = ["logs", "auth", "--outcome", "refused", "--tail", "1", "-o", "json", "--provider"]
    entry = json.loads(cluster.ctl(*asked, provider))
    assert "no User" in entry["reason"]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_who_declines(visitors: Visitors, provider: str) -> None:
    with visitors.visitor() as page:
        page.goto(visitors.ways.cluster.url("diary"))
        to_provider(page, provider)
        if provider == "corp":
            page.get_by_role("link", name="Cancel").click()
        else:  # the stand-in knows no mallory; the real SAML provider bars her
            at_provider(page, "mallory", provider)
        page.wait_for_url(re.compile(r"/login\?error=denied"))
        told = page.get_by_role("alert").inner_text()
        assert "declined at the provider" in told
        assert "Try again" in told
        assert not is_signed_in(page)
        if provider == "okta":
            visitors.album.take(page, "login-declined")
        # She may go on in another way, to the page that she wanted.
        other = "hub" if provider != "hub" else "okta"
        to_provider(page, other)
        at_provider(page, "ann", other)
        page.wait_for_url(visitors.ways.cluster.url("diary"))


def test_a_provider_that_cannot_be_reached(visitors: Visitors) -> None:
    ways = visitors.ways
    broken = {"metadataURL": "https://localhost:1/metadata", "entityID": "https://x.example"}
    ways.cluster.apply(
        {
            "kind": "IdentityProvider",
            "metadata": {"name": "broken"},
            "spec": {"displayName": "Broken", "saml": broken},
        }
    )
    with visitors.visitor() as page:
        page.goto(ways.cluster.url("", "/login"))
        page.get_by_role("button", name="Continue with Broken").click()
        page.wait_for_url(re.compile(r"/login\?error=unavailable"))
        assert "another way" in page.get_by_role("alert").inner_text()
    ways.cluster.api().core("DeleteIdentityProvider", meta.DeleteOptions(name="broken"))
