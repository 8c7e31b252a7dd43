from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from octelium.schema.pb import core_v1_pb2 as core
from tests.authserver.test_authenticator_pages import (
    ORIGIN,
    add_fido,
    add_totp,
    options,
    password,
    signed_in,
)
from tests.authserver.walk import Browser, onward_url
from tests.identity.authenticators.people import ACTIONS
from tests.identity.authenticators.soft_key import SoftKey

if TYPE_CHECKING:
    from typing import Any

    from tests.authserver.browser import Host

AUTHENTICATE = "/authenticators/authenticate"
PASSKEY = "/authenticators/passkey"
REDIRECT = "redirect=https%3A%2F%2Fwiki.example.com%2Fx"


async def stepping_up(host: Host, query: str = "") -> Browser:
    """A new browser of ann, which has to use an Authenticator first."""
    host.cluster.enforcement.wanted = ACTIONS.AUTHENTICATION_REQUIRED
    browser = Browser(host)
    answer = await browser.sign_in(query)
    assert answer.headers["location"] == f"{ORIGIN}{AUTHENTICATE}"
    return browser


def action(browser: Browser) -> Any:
    session = browser.session()
    assert session is not None
    return session.status.authenticator_action


async def enable_passkeys(host: Host, *, enabled: bool = True) -> None:
    config = host.cluster.resources.get(core.ClusterConfig, name="default")
    config.spec.authenticator.enable_passkey_login = enabled
    await host.cluster.change(config)


async def test_stepping_up_with_an_app(host: Host) -> None:
    uid, secret = await add_totp(host, await signed_in(host))
    browser = await stepping_up(host, REDIRECT)
    assert (await browser.get("/callback/success")).headers["location"].endswith(AUTHENTICATE)
    page = await browser.get(AUTHENTICATE)
    assert "Code that your authenticator app shows" in page.text
    assert "script-src" not in page.headers["content-security-policy"]
    form = {"uid": uid, "type": "totp"}
    wrong = await browser.post(f"{AUTHENTICATE}/finish", {**form, "response": "12345"})
    assert wrong.status_code == 400
    assert "not the code of this moment" in wrong.text
    assert action(browser) == ACTIONS.AUTHENTICATION_REQUIRED
    before = dict(browser.cookies)
    right = {**form, "response": password(host, secret)}
    done = await browser.post(f"{AUTHENTICATE}/finish", right)
    assert onward_url(done) == f"{ORIGIN}/callback/success"
    assert browser.cookies["octelium_auth"] != before["octelium_auth"]
    assert browser.cookies["octelium_rt"] != before["octelium_rt"]
    assert action(browser) == ACTIONS.AUTHENTICATOR_ACTION_UNSET
    on = await browser.get("/callback/success")
    assert on.headers["location"] == "https://wiki.example.com/x"
    again = await browser.post(f"{AUTHENTICATE}/finish", right)
    assert again.status_code == 400


async def test_stepping_up_with_a_key(host: Host) -> None:
    uid, key = await add_fido(await signed_in(host))
    browser = await stepping_up(host)
    page = await browser.get(AUTHENTICATE)
    assert "Use your security key or passkey" in page.text
    asked = await browser.post(AUTHENTICATE, {"uid": uid, "type": "fido"})
    assert "script-src 'nonce-" in asked.headers["content-security-policy"]
    form = {"uid": uid, "type": "fido", "response": key.get(options(asked))}
    done = await browser.post(f"{AUTHENTICATE}/finish", form)
    assert onward_url(done) == f"{ORIGIN}/callback/success"
    assert action(browser) == ACTIONS.AUTHENTICATOR_ACTION_UNSET


async def test_clones_stay_outside(host: Host) -> None:
    uid, key = await add_fido(await signed_in(host))
    key.count = 9
    for count, passes in ((9, True), (3, False)):
        browser = await stepping_up(host)
        asked = await browser.post(AUTHENTICATE, {"uid": uid, "type": "fido"})
        key.count = count
        form = {"uid": uid, "type": "fido", "response": key.get(options(asked))}
        done = await browser.post(f"{AUTHENTICATE}/finish", form)
        assert (done.status_code == 200) == passes
        assert (action(browser) == ACTIONS.AUTHENTICATOR_ACTION_UNSET) == passes


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"type": "totp"},
        {"type": "totp", "uid": "x"},
        {"type": "tpm", "response": "123456"},
        {"type": "fido", "response": "{}"},
        {"response": "123456"},
    ],
)
async def test_empty_forms_pass_nobody(host: Host, form: dict[str, str]) -> None:
    uid, _ = await add_totp(host, await signed_in(host))
    browser = await stepping_up(host)
    for sent in (form, {"uid": uid, **form}):
        response = await browser.post(f"{AUTHENTICATE}/finish", sent)
        assert response.status_code == 400
        assert action(browser) == ACTIONS.AUTHENTICATION_REQUIRED


async def test_who_has_nothing_to_use_can_sign_out(host: Host) -> None:
    browser = await signed_in(host, ACTIONS.AUTHENTICATION_REQUIRED)
    page = await browser.get(AUTHENTICATE)
    assert "None of your Authenticators" in page.text
    assert "Sign out" in page.text


async def test_a_recommendation_can_wait(host: Host) -> None:
    await add_totp(host, await signed_in(host))
    host.cluster.enforcement.wanted = ACTIONS.AUTHENTICATION_RECOMMENDED
    browser = Browser(host)
    await browser.sign_in()
    page = await browser.get(AUTHENTICATE)
    assert f'<a href="{ORIGIN}/callback/success">Not now</a>' in page.text


async def test_passkeys(host: Host) -> None:
    await enable_passkeys(host)
    _, key = await add_fido(await signed_in(host))
    browser = Browser(host)
    assert "Sign in with a passkey" in (await browser.get("/login")).text
    page = await browser.post(PASSKEY, {"query": REDIRECT})
    form = {"query": REDIRECT, "response": key.get(options(page))}
    done = await browser.post(f"{PASSKEY}/finish", form)
    assert onward_url(done) == f"{ORIGIN}/callback/success"
    session = browser.session()
    assert session is not None
    assert session.status.user_ref.name == "ann"
    on = await browser.get("/callback/success")
    assert on.headers["location"] == "https://wiki.example.com/x"
    thief = Browser(host)
    replayed = await thief.post(f"{PASSKEY}/finish", form)
    assert replayed.headers["location"] == (
        f"{ORIGIN}/login?error=passkey&redirect=https%3A%2F%2Fwiki.example.com%2Fx"
    )
    assert thief.session() is None


async def test_a_disabled_user_with_a_passkey_is_told_so(host: Host) -> None:
    await enable_passkeys(host)
    _, key = await add_fido(await signed_in(host))
    ann = host.cluster.resources.get(core.User, name="ann")
    ann.spec.is_disabled = True
    await host.cluster.change(ann)
    browser = Browser(host)
    form = {"response": key.get(options(await browser.post(PASSKEY)))}
    done = await browser.post(f"{PASSKEY}/finish", form)
    assert done.headers["location"] == f"{ORIGIN}/login?error=disabled"
    assert "switched off" in (await browser.get("/login?error=disabled")).text
    assert browser.session() is None


@pytest.mark.parametrize("target", ["//evil.test", "https://evil.test/", "https://example.com@x"])
async def test_passkeys_lead_nowhere_else(host: Host, target: str) -> None:
    await enable_passkeys(host)
    _, key = await add_fido(await signed_in(host))
    browser = Browser(host)
    query = f"redirect={target}"
    page = await browser.post(PASSKEY, {"query": query})
    form = {"query": query, "response": key.get(options(page))}
    await browser.post(f"{PASSKEY}/finish", form)
    on = await browser.get("/callback/success")
    assert on.headers["location"] == "https://portal.example.com"


async def test_passkeys_where_there_are_none(host: Host) -> None:
    browser = Browser(host)
    assert "passkey" not in (await browser.get("/login")).text
    response = await browser.post(PASSKEY)
    assert response.headers["location"] == f"{ORIGIN}/login?error=unavailable"
    await enable_passkeys(host)
    page = await browser.post(PASSKEY)
    key = SoftKey(ORIGIN, "example.com")
    key.user_handle = bytes(16)
    for text in ("", "{}", key.get(options(page))):
        response = await browser.post(f"{PASSKEY}/finish", {"response": text})
        assert response.headers["location"] == f"{ORIGIN}/login?error=passkey"
    bad = {"query": "octelium_req=x"}
    for path in (PASSKEY, f"{PASSKEY}/finish"):
        response = await browser.post(path, bad)
        assert response.headers["location"] == f"{ORIGIN}/login?error=client"
        foreign = await browser.post(path, {}, origin="https://evil.test")
        assert foreign.headers["location"] == f"{ORIGIN}/login?error=again"
    assert not host.cluster.sessions()


async def test_a_passkeys_session_is_renewed_with_it(host: Host) -> None:
    await enable_passkeys(host)
    uid, key = await add_fido(await signed_in(host))
    browser = Browser(host)
    page = await browser.post(PASSKEY)
    await browser.post(f"{PASSKEY}/finish", {"response": key.get(options(page))})
    host.cluster.clock.now += 4 * 3600
    stale = await browser.get(f"/login?{REDIRECT}")
    assert stale.headers["location"] == f"{ORIGIN}{AUTHENTICATE}"
    asked = await browser.post(AUTHENTICATE, {"uid": uid, "type": "fido"})
    form = {"uid": uid, "type": "fido", "response": key.get(options(asked))}
    await browser.post(f"{AUTHENTICATE}/finish", form)
    on = await browser.get("/callback/success")
    assert on.headers["location"] == "https://wiki.example.com/x"
