"""Pages for everybody: by keyboard, without scripts, with any name, and with nothing of others."""

from __future__ import annotations

import base64
import re
import time
from typing import TYPE_CHECKING, Any

import pytest

from octelium.identity.authenticators import totp
from tests.e2e.test_pages import post
from tests.e2e.test_web_login import Loopback, client_request
from tests.e2e.ways import LONG_NAME, at_provider, to_provider

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

    from tests.e2e.ways import Visitors

LOGOUT = "/octelium.api.main.auth.v1.MainService/Logout"


def focused(page: Page) -> tuple[str, bool]:
    """What has the focus, and whether one sees that."""
    text, width = page.evaluate(
        """() => {
            const at = document.activeElement;
            const style = getComputedStyle(at);
            const name = at.getAttribute('aria-label') || at.textContent.trim() || at.name;
            return [name, style.outlineStyle === 'none' ? 0 : parseFloat(style.outlineWidth)];
        }"""
    )
    return text, width >= 2


def tabbed(page: Page, most: int = 30) -> Iterator[str]:
    """What Tab leads to, one after the other, until it leaves the page."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            return
        name, visible = focused(page)
        assert visible, name
        yield name


def test_by_keyboard_alone(visitors: Visitors) -> None:
    cluster = visitors.ways.cluster
    with visitors.visitor() as page:
        page.goto(cluster.url("diary"))
        assert list(tabbed(page))[:3] == [
            "Continue with Example Corp",
            "Continue with GitHub",
            "Continue with Okta",
        ]
        page.goto(cluster.url("diary"))
        page.keyboard.press("Tab")
        page.keyboard.press("Space")
        page.wait_for_url(re.compile("^https://localhost:"))
        at_provider(page, "ann", "corp")
        page.wait_for_url(cluster.url("diary"))

        page.goto(cluster.url("portal"))
        assert list(tabbed(page))[:6] == [
            "Skip to the content",
            "Sessions",
            "Authenticators",
            "Sign out",
            "Demonstration page",
            "Diary",
        ]
        page.goto(cluster.url("portal"))
        page.keyboard.press("Tab")
        box = page.get_by_role("link", name="Skip to the content").bounding_box()
        assert box is not None
        assert box["x"] >= 0
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        assert focused(page)[0] == "Sign out"

        page.goto(cluster.url("", "/authenticators"))
        assert list(tabbed(page)) == [
            "Skip to the content",
            "Services",
            "Sessions",
            "Sign out",
            "name",
            "Add a security key or passkey",
            "Add an authenticator app",
        ]
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="Register an authenticator app").wait_for()


def test_without_scripts(visitors: Visitors) -> None:
    """Signing in, letting a command line in, ending a Session, an authenticator app."""
    cluster = visitors.ways.cluster
    with (
        Loopback() as loopback,
        visitors.visitor() as other,
        visitors.visitor(java_script_enabled=False) as page,
    ):
        visitors.sign_in(other, "ben")
        asked = client_request(loopback.port, b"v" * 32)
        page.goto(cluster.url("", f"/login?octelium_req={asked}"))
        to_provider(page, "corp")
        at_provider(page, "ben", "corp")
        page.wait_for_url(re.compile("/callback/success/approval$"))
        page.get_by_role("button", name="Allow").click()
        page.wait_for_url(re.compile("^http://localhost:"))
        assert any("octelium_response" in path for path in loopback.paths)

        page.goto(cluster.url("portal", "/account"))
        before = page.get_by_role("button", name="End the Session").count()
        page.get_by_role("button", name="End the Session").first.click()
        page.wait_for_url(re.compile("done=ended"))
        assert page.get_by_role("button", name="End the Session").count() == before - 1

        page.get_by_role("link", name="Authenticators").click()
        page.get_by_label("What do you call it?").fill("Blue phone")
        page.get_by_role("button", name="Add an authenticator app").click()
        shown = page.locator("pre").inner_text().replace(" ", "")
        secret = base64.b32decode(shown + "=" * (-len(shown) % 8))
        step = totp.step_at(time.time())
        code = totp.code(secret, step)
        near = {totp.code(secret, each) for each in range(step - 3, step + 20)}
        wrong = next(each for each in map("{:06}".format, range(100)) if each not in near)
        for answer in (wrong, code):
            page.get_by_label("Code that the app shows").fill(answer)
            page.get_by_role("button", name="Register").click()
        page.wait_for_url(re.compile("done=registered"))
        page.get_by_text("Blue phone").wait_for()
        page.get_by_role("button", name="Remove Blue phone").click()
        page.get_by_role("heading", name="Remove Blue phone?").wait_for()
        page.get_by_role("button", name="Remove", exact=True).click()
        page.wait_for_url(re.compile("done=removed"))
        page.get_by_role("button", name="Add a security key or passkey").click()
        page.get_by_role("heading", name="Register a security key or passkey").wait_for()
        assert "Security keys and passkeys need JavaScript" in page.content()
        page.goto(cluster.url("", "/authenticators"))
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url(re.compile("done=signed-out"))


def test_names_are_nothing_but_names(visitors: Visitors) -> None:
    cluster = visitors.ways.cluster
    with visitors.visitor() as page:
        visitors.sign_in(page, "dan")
        for service, path in (("portal", "/"), ("portal", "/account"), ("", "/authenticators")):
            page.goto(cluster.url(service, path))
            assert page.locator("main b").count() == 0
            name = page.locator(".beside strong")
            # What would turn the line round is shown as what it is, and would end with the name.
            assert name.inner_text() == LONG_NAME.replace("\u202e", "\\u202e")
            direction = "element => getComputedStyle(element).unicodeBidi"
            assert name.evaluate(direction) == "isolate"
            assert page.evaluate("getComputedStyle(document.body).direction") == "ltr"
        visitors.album.take(page, "authenticators-of-a-long-name")
        page.goto(cluster.url("portal", "/account"))
        visitors.album.take(page, "account-of-a-long-name")


def called(page: Page, url: str) -> dict[str, Any]:
    """What a script of the page that is open gets for a call of the API with gRPC-Web."""
    answer: dict[str, Any] = page.evaluate(
        """async url => {
            const options = {
                method: 'POST',
                credentials: 'include',
                headers: {'content-type': 'application/grpc-web+proto', 'x-grpc-web': '1'},
                body: new Uint8Array(5),
            };
            try {
                const response = await fetch(url, options);
                const body = String.fromCharCode(...new Uint8Array(await response.arrayBuffer()));
                return {status: response.headers.get('grpc-status'), body};
            } catch (error) {
                return {error: error.name};
            }
        }""",
        url,
    )
    return answer


@pytest.mark.parametrize(("service", "path"), [("", "/login?error=again"), ("portal", "/")])
def test_a_page_of_the_cluster_logs_out(visitors: Visitors, service: str, path: str) -> None:
    """By the cookie that it cannot read, which is gone then."""
    cluster = visitors.ways.cluster
    with visitors.visitor(bypass_csp=True) as page:
        visitors.sign_in(page, "ann")
        page.goto(cluster.url(service, path))
        answer = called(page, cluster.url("octelium-api", LOGOUT))
        assert "grpc-status:0" in answer["body"]
        kept = {each["name"] for each in page.context.cookies()}
        assert not {"octelium_auth", "octelium_rt"} & kept
        page.goto(cluster.url("diary"))
        page.get_by_role("heading", name="Sign in").wait_for()


def test_a_page_of_a_service_logs_nobody_out(visitors: Visitors) -> None:
    """It is of the same site, so that the cookies go along; but its origin is not the Portal's."""
    cluster = visitors.ways.cluster
    with visitors.visitor(
        expected="blocked by CORS policy|net::ERR_FAILED", bypass_csp=True
    ) as page:
        visitors.sign_in(page, "ann")
        page.goto(cluster.url("diary"))
        assert called(page, cluster.url("octelium-api", LOGOUT)) == {"error": "TypeError"}
        post(page, cluster.url("", "/logout"))
        page.wait_for_url(re.compile(r"error=again|portal\."))
        page.goto(cluster.url("diary"))
        assert page.inner_text("h1") == "Dear diary"
