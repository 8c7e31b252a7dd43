from __future__ import annotations

import json
import re
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest

from octelium.authserver.authenticator_pages import is_only_way, label
from octelium.authserver.moments import day, moment
from octelium.identity.authenticators import passkey_logins, totp, uses
from octelium.identity.authenticators.callers import PROVED
from octelium.schema.pb import core_v1_pb2 as core
from tests.authserver.walk import Browser, onward_url, prepare
from tests.identity.authenticators.people import ACTIONS, TYPES
from tests.identity.authenticators.soft_key import SoftKey

if TYPE_CHECKING:
    import httpx

    from tests.authserver.browser import Host

REGISTER = "/authenticators/register"
ORIGIN = "https://example.com"


def options(response: httpx.Response) -> str:
    """Those of WebAuthn in a page."""
    found = re.search(r'data-options="([^"]*)"', response.text)
    assert found is not None, response.text
    return unescape(found[1])


def uid_in(response: httpx.Response) -> str:
    found = re.search(r'name="uid" value="([^"]*)"', response.text)
    assert found is not None, response.text
    return found[1]


def secret_in(response: httpx.Response) -> bytes:
    import base64

    found = re.search(r"<pre>([A-Z2-7 ]+)</pre>", response.text)
    assert found is not None, response.text
    text = found[1].replace(" ", "")
    return base64.b32decode(text + "=" * (-len(text) % 8))


def registered(host: Host) -> list[core.Authenticator]:
    found = host.cluster.resources.list(core.Authenticator)
    return [one for one in found if one.status.is_registered]


async def signed_in(host: Host, action: Any = ACTIONS.AUTHENTICATOR_ACTION_UNSET) -> Browser:
    """A browser of ann, whose Session was told to use Authenticators in a way."""
    await prepare(host)
    host.cluster.enforcement.wanted = action
    browser = Browser(host)
    await browser.sign_in()
    return browser


async def add_totp(host: Host, browser: Browser) -> tuple[str, bytes]:
    """An authenticator app, registered on the pages: its uid and its secret."""
    page = await browser.post(REGISTER, {"type": "totp"})
    secret, uid = secret_in(page), uid_in(page)
    form = {"uid": uid, "type": "totp", "response": password(host, secret)}
    assert (await browser.post(f"{REGISTER}/finish", form)).status_code == 200
    host.cluster.clock.now += 60
    return uid, secret


async def add_fido(browser: Browser) -> tuple[str, SoftKey]:
    """A security key, registered on the pages."""
    key = SoftKey(ORIGIN, "example.com")
    page = await browser.post(REGISTER, {"type": "fido"})
    uid = uid_in(page)
    form = {"uid": uid, "type": "fido", "response": key.create(options(page))}
    assert (await browser.post(f"{REGISTER}/finish", form)).status_code == 200
    return uid, key


def password(host: Host, secret: bytes) -> str:
    return totp.code(secret, totp.step_at(host.cluster.clock()))


async def test_an_app(host: Host) -> None:
    browser = await signed_in(host)
    empty = await browser.get("/authenticators")
    assert "You have none yet" in empty.text
    page = await browser.post(REGISTER, {"type": "totp"})
    assert "script-src" not in page.headers["content-security-policy"]
    assert "data:image/svg+xml" in page.text
    secret = secret_in(page)
    step = totp.step_at(host.cluster.clock())
    good = {totp.code(secret, each) for each in range(step - 2, step + 3)}
    wrong = next(code for code in (f"{number:06}" for number in range(6)) if code not in good)
    form = {"uid": uid_in(page), "type": "totp"}
    again = await browser.post(f"{REGISTER}/finish", {**form, "response": wrong})
    assert again.status_code == 400
    assert "not the code of this moment" in again.text
    assert secret_in(again) == secret
    done = await browser.post(f"{REGISTER}/finish", {**form, "response": password(host, secret)})
    assert onward_url(done) == f"{ORIGIN}/authenticators?done=registered"
    (one,) = registered(host)
    assert one.status.type == TYPES.TOTP
    listed = await browser.get("/authenticators?done=registered")
    assert "It is registered." in listed.text
    assert "Authenticator app" in listed.text
    assert one.metadata.name not in listed.text


async def test_when_one_was_added_and_last_used(host: Host) -> None:
    browser = await signed_in(host)
    await add_totp(host, browser)
    (one,) = registered(host)
    added = f"added {day(one.metadata.created_at.seconds)}"
    page = (await browser.get("/authenticators")).text
    assert f"{added}<" in page
    assert "last used" not in page
    uses.count(one, 1_900_000_061)
    await host.cluster.change(one)
    page = (await browser.get("/authenticators")).text
    assert f"{added}\nlast used {moment(1_900_000_061)}<" in page


async def test_a_security_key(host: Host) -> None:
    browser = await signed_in(host)
    page = await browser.post(REGISTER, {"type": "fido"})
    policy = page.headers["content-security-policy"]
    (nonce,) = re.findall(r"script-src 'nonce-([^']+)'", policy)
    assert f'<script src="/assets/webauthn.js" nonce="{nonce}"></script>' in page.text
    assert json.loads(options(page))["rp"]["id"] == "example.com"
    key = SoftKey("https://evil.test", "example.com")
    form = {"uid": uid_in(page), "type": "fido"}
    wrong = await browser.post(
        f"{REGISTER}/finish", {**form, "response": key.create(options(page))}
    )
    assert wrong.status_code == 400
    assert not registered(host)
    await add_fido(browser)
    assert len(registered(host)) == 1


async def test_a_name(host: Host) -> None:
    browser = await signed_in(host)
    page = await browser.post(REGISTER, {"type": "totp", "name": " Blue phone "})
    again = await browser.post(REGISTER, {"type": "totp", "name": "Red phone"})
    assert uid_in(again) == uid_in(page)
    form = {"uid": uid_in(page), "type": "totp", "response": password(host, secret_in(again))}
    assert (await browser.post(f"{REGISTER}/finish", form)).status_code == 200
    (one,) = registered(host)
    assert one.spec.display_name == "Red phone"
    listed = (await browser.get("/authenticators")).text
    assert "Red phone" in listed
    assert 'aria-label="Remove Red phone"' in listed
    for bad in ("x" * 121, "Schlüssel"):
        refused = await browser.post(REGISTER, {"type": "fido", "name": bad})
        assert refused.status_code == 400
        assert "The display name must be at most 120" in refused.text
    assert host.cluster.resources.count(core.Authenticator) == 1


async def test_who_is_signed_in_and_the_way_out(host: Host) -> None:
    browser = await signed_in(host)
    page = (await browser.get("/authenticators")).text
    assert "Signed in as <strong>ann</strong>." in page
    assert '<a class="skip" href="#content">' in page
    assert '<span aria-current="page">Authenticators</span>' in page
    gone = await browser.post("/logout")
    assert gone.headers["location"] == f"{ORIGIN}/login?done=signed-out"
    assert browser.session() is None


async def test_what_was_begun_is_gone_on_with(host: Host) -> None:
    browser = await signed_in(host)
    for _ in range(5):
        await browser.post(REGISTER, {"type": "totp"})
    assert host.cluster.resources.count(core.Authenticator) == 1


async def test_removing(host: Host) -> None:
    browser = await signed_in(host)
    uid, _ = await add_totp(host, browser)
    asked = await browser.post("/authenticators/delete", {"uid": uid})
    assert asked.status_code == 200
    assert "cannot be undone" in asked.text
    assert "only way" not in asked.text
    assert '<input type="hidden" name="sure" value="yes">' in asked.text
    assert f'<a href="{ORIGIN}/authenticators">Cancel</a>' in asked.text
    assert len(registered(host)) == 1
    done = await browser.post("/authenticators/delete", {"uid": uid, "sure": "yes"})
    assert done.headers["location"] == f"{ORIGIN}/authenticators?done=removed"
    assert not registered(host)
    again = await browser.post("/authenticators/delete", {"uid": uid})
    assert "no such Authenticator" in again.text


async def test_a_required_registration(host: Host) -> None:
    browser = await signed_in(host, ACTIONS.REGISTRATION_REQUIRED)
    page = await browser.get("/authenticators")
    assert page.headers["location"] == f"{ORIGIN}{REGISTER}"
    choice = await browser.get(REGISTER)
    assert "wants a second proof" in choice.text
    assert "Not now" not in choice.text
    page = await browser.post(REGISTER, {"type": "totp"})
    form = {"uid": uid_in(page), "type": "totp", "response": password(host, secret_in(page))}
    done = await browser.post(f"{REGISTER}/finish", form)
    assert onward_url(done) == f"{ORIGIN}/callback/success"
    session = browser.session()
    assert session is not None
    assert session.status.authenticator_action == ACTIONS.AUTHENTICATOR_ACTION_UNSET


async def test_a_recommended_one_can_wait(host: Host) -> None:
    browser = await signed_in(host, ACTIONS.REGISTRATION_RECOMMENDED)
    choice = await browser.get(REGISTER)
    assert f'<a href="{ORIGIN}/callback/success">Not now</a>' in choice.text


async def test_nobody_adds_or_removes_before_the_second_factor(host: Host) -> None:
    browser = await signed_in(host)
    uid, _ = await add_totp(host, browser)
    host.cluster.enforcement.wanted = ACTIONS.AUTHENTICATION_REQUIRED
    thief = Browser(host)
    await thief.sign_in()
    listed = await thief.get("/authenticators")
    assert listed.headers["location"] == f"{ORIGIN}/authenticators/authenticate"
    form = {"uid": uid, "sure": "yes"}
    for refused in (
        await thief.post(REGISTER, {"type": "fido"}),
        await thief.post("/authenticators/delete", form),
    ):
        assert refused.headers["location"] == f"{ORIGIN}/authenticators/authenticate"
    assert len(registered(host)) == 1


async def test_the_pages_lead_through_the_proof(host: Host) -> None:
    browser = await signed_in(host)
    uid, secret = await add_totp(host, browser)
    host.cluster.clock.now += PROVED
    removal = {"uid": uid, "sure": "yes"}
    for path, form in ((REGISTER, {"type": "totp"}), ("/authenticators/delete", removal)):
        asked = await browser.post(path, form)
        assert asked.headers["location"] == f"{ORIGIN}/authenticators/authenticate"
    page = await browser.get("/authenticators/authenticate")
    assert "If you have lost it, ask an administrator" in page.text
    assert f'<a href="{ORIGIN}/authenticators">Cancel</a>' in page.text
    form = {"uid": uid, "type": "totp", "response": password(host, secret)}
    proved = await browser.post("/authenticators/authenticate/finish", form)
    assert onward_url(proved) == f"{ORIGIN}/callback/success"
    back = await browser.get("/callback/success")
    assert back.headers["location"] == f"{ORIGIN}/authenticators"
    done = await browser.post("/authenticators/delete", removal)
    assert done.headers["location"] == f"{ORIGIN}/authenticators?done=removed"


async def test_the_only_way_to_sign_in(host: Host) -> None:
    browser = await signed_in(host)
    await add_fido(browser)
    (one,) = registered(host)
    resources, user = host.cluster.resources, core.User()
    user.metadata.CopyFrom(host.cluster.resources.get(core.User, name="ann").metadata)
    assert not is_only_way(resources, user, one)  # it is a second proof
    passkey_logins.allow(one)
    assert is_only_way(resources, user, one)
    await host.cluster.change(one)
    asked = await browser.post("/authenticators/delete", {"uid": one.metadata.uid})
    assert "only way" not in asked.text  # there is the IdentityProvider
    user.spec.email = "ann@example.com"
    assert not is_only_way(resources, user, one)
    user.spec.email = ""
    await add_fido(browser)
    assert not is_only_way(resources, user, one)


async def test_what_a_passkey_serves_for(host: Host) -> None:
    browser = await signed_in(host)
    told = "serves as a second proof here"
    choice = await browser.get(REGISTER)
    assert told in choice.text
    assert f'<a href="{ORIGIN}/authenticators">Cancel</a>' in choice.text
    assert "Sign out" in choice.text
    assert told in (await browser.post(REGISTER, {"type": "fido"})).text
    config = host.cluster.resources.get(core.ClusterConfig, name="default")
    config.spec.authenticator.enable_passkey_login = True
    await host.cluster.change(config)
    assert told not in (await browser.get(REGISTER)).text
    assert told not in (await browser.post(REGISTER, {"type": "fido"})).text


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.test"},
        {"origin": "null"},
        {"origin": "https://wiki.example.com"},
        {"sec_fetch_site": "cross-site"},
        {"content-type": "text/plain"},
    ],
)
async def test_pages_of_others(host: Host, headers: dict[str, str]) -> None:
    browser = await signed_in(host)
    uid, _ = await add_totp(host, browser)
    revision = host.cluster.resources.revision
    for path, form in (
        (REGISTER, {"type": "fido"}),
        (f"{REGISTER}/finish", {"type": "totp", "uid": uid, "response": "1"}),
        ("/authenticators/delete", {"uid": uid}),
        ("/authenticators/authenticate", {"uid": uid}),
        ("/authenticators/authenticate/finish", {"uid": uid, "type": "totp", "response": "1"}),
    ):
        response = await browser.post(path, form, **headers)
        assert "did not work" in response.text
    assert host.cluster.resources.revision == revision


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/authenticators"),
        ("GET", REGISTER),
        ("POST", REGISTER),
        ("POST", f"{REGISTER}/finish"),
        ("POST", "/authenticators/delete"),
        ("GET", "/authenticators/authenticate"),
        ("POST", "/authenticators/authenticate"),
        ("POST", "/authenticators/authenticate/finish"),
    ],
)
async def test_without_a_session(host: Host, method: str, path: str) -> None:
    browser = Browser(host)
    response = await browser.send(method, path, {"origin": ORIGIN})
    assert response.headers["location"] == f"{ORIGIN}/login"


def test_what_people_call_an_authenticator() -> None:
    app = core.Authenticator()
    app.metadata.name = "totp-qrof9g"
    app.status.type = core.AuthenticatorStatusType__.TOTP
    assert label(app) == "Authenticator app"
    app.spec.display_name = "On my phone"
    assert label(app) == "On my phone"
