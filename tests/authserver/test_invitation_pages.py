from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from octelium.authserver.csrf import FormTokens
from octelium.authserver.invitation_pages import _token
from octelium.identity.attempts import Outcome, Way
from octelium.identity.authenticators.passkey_logins import LABEL
from octelium.identity.invitations import LIFETIME, is_invited
from octelium.schema.pb import core_v1_pb2 as core
from tests.authserver.browser import Host
from tests.authserver.provider import set_cookies
from tests.authserver.test_authenticator_pages import options, registered, uid_in
from tests.authserver.test_pages import said
from tests.authserver.walk import Browser, fields_of, onward_url
from tests.identity.authenticators.people import STATES
from tests.identity.authenticators.soft_key import SoftKey
from tests.identity.guests import Guests
from tests.identity.providers import add_person

if TYPE_CHECKING:
    import httpx

PASSKEY = "/invite/passkey"
FINISH = "/invite/passkey/finish"


async def invite(host: Host, user: str = "alice") -> str:
    token = await Guests(host.cluster).invite(user)
    host.cluster.log.attempts.clear()
    return token


async def look(browser: Browser, token: str) -> dict[str, str]:
    """The fields of the page that asks whether the invitation is accepted."""
    page = await browser.post("/invite", {"invitation": token})
    assert page.status_code == 200, page.text
    assert "Accept the invitation" in page.text
    return fields_of(page.text)


async def accept(browser: Browser, token: str) -> None:
    answer = await browser.post("/invite", await look(browser, token))
    assert answer.headers["location"] == f"https://example.com{PASSKEY}"


async def make_passkey(browser: Browser, key: SoftKey) -> httpx.Response:
    page = await browser.post(PASSKEY)
    form = {"uid": uid_in(page), "response": key.create(options(page))}
    return await browser.post(FINISH, form)


def new_key() -> SoftKey:
    return SoftKey("https://example.com", "example.com")


async def test_from_the_link_to_the_portal(host: Host) -> None:
    browser, token, key = Browser(host), await invite(host), new_key()
    page = await browser.get("/invite")
    assert page.status_code == 200
    assert 'src="/assets/invitation.js"' in page.text
    asked = await browser.post("/invite", {"invitation": token})
    assert "alice" in asked.text
    assert "example.com" in asked.text
    await accept(browser, token)
    session = browser.session()
    assert session is not None
    assert is_invited(session)
    assert "Make a passkey" in (await browser.get(PASSKEY)).text
    done = await make_passkey(browser, key)
    assert onward_url(done) == "https://example.com/callback/success"
    session = browser.session()
    assert session is not None
    assert not is_invited(session)
    landed = await browser.get("/callback/success")
    assert landed.headers["location"] == "https://portal.example.com"
    (made,) = registered(host)
    assert made.spec.display_name == "Firefox on Linux"
    assert LABEL in made.metadata.system_labels
    reasons = [each.reason for each in host.cluster.log.attempts]
    assert reasons == ["claimed; a passkey has to be registered", "a passkey is registered"]
    assert all(each.way is Way.INVITATION for each in host.cluster.log.attempts)

    # From here on the login page offers it.
    await browser.post("/logout")
    page = await browser.get("/login")
    assert "Sign in with a passkey" in page.text
    asked = await browser.post("/authenticators/passkey", {})
    done = await browser.post(
        "/authenticators/passkey/finish", {"response": key.get(options(asked))}
    )
    assert onward_url(done) == "https://example.com/callback/success"


async def test_who_cancels_is_not_told_of_signing_out(host: Host) -> None:
    browser = Browser(host)
    await accept(browser, await invite(host))
    response = await browser.post("/logout")
    assert response.headers["location"] == "https://example.com/login?done=declined"
    page = await browser.get("/login?done=declined")
    assert "The invitation is cancelled" in page.text
    assert "signed out" not in page.text
    assert host.cluster.sessions() == []


async def test_opening_it_changes_nothing(host: Host) -> None:
    """Programs that show previews of links open them; some ask for the head alone."""
    token = await invite(host)
    revision = host.cluster.resources.revision
    for path in ("/invite", f"/invite?invitation={token}", f"/invite/{token}", PASSKEY):
        for method in ("GET", "HEAD"):
            answer = await Browser(host).send(method, path, {})
            assert answer.status_code in (200, 303)
            assert token not in answer.text
            assert "octelium_rt" not in set_cookies(answer)
            assert not answer.headers.get("location", "").endswith(token)
    assert host.cluster.resources.revision == revision
    await accept(Browser(host), token)


async def test_looking_changes_nothing_either(host: Host) -> None:
    token = await invite(host)
    revision = host.cluster.resources.revision
    for _ in range(3):
        await look(Browser(host), token)
    assert host.cluster.resources.revision == revision
    assert host.cluster.log.attempts == []


async def test_the_link_may_be_pasted_whole(host: Host) -> None:
    token = await invite(host)
    link = f" https://example.com:8443/invite#{token} "
    assert (await look(Browser(host), link))["invitation"] == token


@pytest.mark.parametrize("origin", ["https://evil.example", "https://portal.example.com", "null"])
async def test_forms_of_other_sites_are_refused(host: Host, origin: str) -> None:
    browser, token = Browser(host), await invite(host)
    fields = await look(browser, token)
    for form in ({"invitation": token}, fields):
        answer = await browser.post("/invite", form, origin=origin)
        assert answer.status_code == 400
        assert "alice" not in said(answer.text)
    assert browser.session() is None
    answer = await browser.send(
        "POST", "/invite", {"content_type": "application/x-www-form-urlencoded"}, content=b"a=b"
    )
    assert answer.status_code == 400
    await accept(browser, token)


async def test_only_the_browser_that_saw_the_page_accepts_it(host: Host) -> None:
    """A form that another browser was shown is of no use, nor one for another invitation."""
    mine, others, token = Browser(host), Browser(host), await invite(host)
    fields = await look(mine, token)
    answer = await others.post("/invite", fields)
    assert answer.status_code == 400
    assert others.session() is None
    await look(others, token)
    answer = await others.post("/invite", fields)
    assert answer.status_code == 400
    second = await invite(host, "alice")
    answer = await mine.post("/invite", {**fields, "invitation": second})
    assert answer.status_code == 400
    assert mine.session() is None
    assert "Accept the invitation" in answer.text  # and the right form to do so
    assert (await mine.post("/invite", fields_of(answer.text))).status_code == 303


async def test_the_cookie_is_this_hosts_alone(host: Host) -> None:
    """A Service below the domain can neither read it nor put one of its own in its place."""
    answer = await Browser(host).post("/invite", {"invitation": await invite(host)})
    cookie = set_cookies(answer)["__Host-octelium_invitation"]
    assert cookie["Path"] == "/"
    assert "Domain" not in cookie
    assert cookie["SameSite"].lower() == "strict"
    assert {"Secure", "HttpOnly"} <= set(cookie)


async def test_two_cookies_are_none(host: Host) -> None:
    browser, token = Browser(host), await invite(host)
    fields = await look(browser, token)
    own = browser.cookies["__Host-octelium_invitation"]
    name = "__Host-octelium_invitation"
    browser.cookies = {name: f"{own}; {name}=planted"}
    assert (await browser.post("/invite", fields)).status_code == 400


async def test_a_link_works_once(host: Host) -> None:
    first, second, token = Browser(host), Browser(host), await invite(host)
    fields, others = await look(first, token), await look(second, token)
    assert (await first.post("/invite", fields)).status_code == 303
    host.cluster.log.attempts.clear()
    answer = await second.post("/invite", others)
    assert answer.status_code == 403
    assert "not good any longer" in answer.text
    assert "alice" not in said(answer.text)
    assert second.session() is None
    attempt = host.cluster.log.last()
    assert attempt.outcome is Outcome.REFUSED
    assert "claimed before" in attempt.reason


async def test_the_same_browser_goes_on_until_the_time_is_over(host: Host) -> None:
    """Who closes the window between accepting and the passkey comes back with the link."""
    browser, token = Browser(host), await invite(host)
    await accept(browser, token)
    for answer in (
        await browser.post("/invite", {"invitation": token}),
        await browser.get("/login"),
        await browser.get("/authenticators"),
        await browser.get("/authenticators/register"),
        await browser.get("/callback/success"),
        await browser.get("/device"),
        await browser.get("/denied?id=aaaa-bbbb-24-cccc-dddd"),
        await browser.get("/login?redirect=https://wiki.example.com/"),
    ):
        assert answer.headers["location"] == f"https://example.com{PASSKEY}"
    answer = await browser.get("/authenticators/authenticate")
    assert answer.headers["location"] == "https://example.com/login"
    host.cluster.clock.now += LIFETIME
    assert (await browser.get(PASSKEY)).headers["location"] == "https://example.com/login"
    assert (await browser.post("/invite", {"invitation": token})).status_code == 403


async def test_of_many_browsers_one_gets_it(host: Host) -> None:
    token = await invite(host)
    browsers = [Browser(host) for _ in range(10)]
    forms = [await look(browser, token) for browser in browsers]
    pairs = zip(browsers, forms, strict=True)
    await asyncio.gather(*(browser.post("/invite", form) for browser, form in pairs))
    assert sum(browser.session() is not None for browser in browsers) == 1
    assert len(host.cluster.sessions()) == 1


async def test_a_new_process_shows_the_question_again(host: Host) -> None:
    """Its key has gone with the process; the invitation has not."""
    browser, token = Browser(host), await invite(host)
    fields = await look(browser, token)
    browser.host = Host(host.cluster)
    answer = await browser.post("/invite", fields)
    assert answer.status_code == 400
    assert (await browser.post("/invite", fields_of(answer.text))).status_code == 303
    assert browser.session() is not None


@pytest.mark.parametrize("why", ["disabled", "gone", "replaced", "revoked", "late"])
async def test_what_happens_between_the_page_and_the_button(host: Host, why: str) -> None:
    browser, token = Browser(host), await invite(host)
    fields = await look(browser, token)
    guests = Guests(host.cluster)
    match why:
        case "disabled":
            user = host.cluster.get(host.cluster.alice)
            user.spec.is_disabled = True
            await host.cluster.change(user)
        case "gone":
            await host.cluster.delete(host.cluster.alice)
        case "replaced":
            await guests.invite()
        case "revoked":
            from tests.identity.guests import OWNER

            await guests.logins.revoke("alice", OWNER)
        case "late":
            host.cluster.clock.now += LIFETIME
    host.cluster.log.attempts.clear()
    answer = await browser.post("/invite", fields)
    assert answer.status_code == 403
    assert browser.session() is None
    assert host.cluster.log.last().outcome is Outcome.REFUSED
    assert host.cluster.sessions() == []


async def test_a_user_who_is_disabled_after_accepting(host: Host) -> None:
    browser = Browser(host)
    await accept(browser, await invite(host))
    page = await browser.post(PASSKEY)
    user = host.cluster.get(host.cluster.alice)
    user.spec.is_disabled = True
    await host.cluster.change(user)
    form = {"uid": uid_in(page), "response": new_key().create(options(page))}
    answer = await browser.post(FINISH, form)
    assert answer.headers["location"] == "https://example.com/login"
    assert registered(host) == []


async def test_nobody_else_makes_a_passkey_here(host: Host) -> None:
    browser = Browser(host)
    for path in (PASSKEY, FINISH):
        answer = await browser.post(path)
        assert answer.headers["location"] == "https://example.com/login"


async def test_a_passkey_that_is_refused_can_be_tried_again(host: Host) -> None:
    browser = Browser(host)
    await accept(browser, await invite(host))
    page = await browser.post(PASSKEY)
    answer = await browser.post(FINISH, {"uid": uid_in(page), "response": "{}"})
    assert answer.status_code == 400
    assert "Please try again" in answer.text
    answer = await browser.post(FINISH, {"uid": "none", "response": "{}"})
    assert "no such Authenticator" in answer.text
    answer = await browser.post(FINISH, {}, origin="https://evil.example")
    assert answer.status_code == 400
    answer = await browser.post(PASSKEY, {}, origin="https://evil.example")
    assert answer.status_code == 400
    assert onward_url(await make_passkey(browser, new_key()))


async def test_too_many_attempts(host: Host) -> None:
    browser = Browser(host)
    await accept(browser, await invite(host))
    for _ in range(20):
        assert (await browser.post(PASSKEY)).status_code == 200
    answer = await browser.post(PASSKEY)
    assert answer.status_code == 400
    assert "wait and try again" in answer.text


async def test_a_passkey_that_waits_for_approval(host: Host) -> None:
    config = host.cluster.resources.get(core.ClusterConfig, name="default")
    config.spec.authenticator.default_state = STATES.PENDING
    await host.cluster.change(config)
    browser = Browser(host)
    await accept(browser, await invite(host))
    answer = await make_passkey(browser, new_key())
    assert answer.status_code == 200
    assert "waits for approval" in answer.text
    assert browser.session() is None
    assert "octelium_rt" not in browser.cookies


async def test_who_is_signed_in_is_told(host: Host) -> None:
    await host.cluster.write(lambda tx: add_person(tx, "ben"))
    browser = Browser(host)
    await accept(browser, await invite(host, "ben"))
    assert onward_url(await make_passkey(browser, new_key()))
    page = await browser.post("/invite", {"invitation": await invite(host)})
    assert "signed in as <strong>ben</strong>" in page.text


async def test_too_many_sessions_leave_the_invitation_good(host: Host) -> None:
    user = host.cluster.get(host.cluster.alice)
    user.spec.session.max_per_user = 1
    await host.cluster.change(user)
    other, browser = Browser(host), Browser(host)
    await accept(other, await invite(host))
    assert onward_url(await make_passkey(other, new_key()))
    token = await invite(host)
    fields = await look(browser, token)
    answer = await browser.post("/invite", fields)
    assert answer.status_code == 403
    assert "too many Sessions" in answer.text
    await other.post("/logout")
    assert (await browser.post("/invite", fields)).status_code == 303


async def test_the_script_comes_from_here_and_the_token_stays_here(host: Host) -> None:
    page = await Browser(host).get("/invite")
    policy = page.headers["content-security-policy"]
    nonce = re.search(r'<script src="/assets/invitation.js" nonce="([^"]+)"', page.text)
    assert nonce is not None
    assert f"script-src 'nonce-{nonce[1]}'" in policy
    assert "form-action 'self'" in policy
    assert page.headers["referrer-policy"] == "same-origin"
    assert page.headers["cache-control"] == "no-store"
    script = await Browser(host).get("/assets/invitation.js")
    assert script.headers["content-type"].startswith("text/javascript")
    assert "replaceState" in script.text


@given(st.text(max_size=400))
def test_tokens_are_43_letters_and_digits(text: str) -> None:
    token = _token(text)
    assert token == "" or re.fullmatch(r"[A-Za-z0-9_-]{43}", token)
    assert token in text


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.dictionaries(st.sampled_from(["invitation", "proof", "x"]), st.text(max_size=60)))
async def test_no_form_gets_anywhere_without_an_invitation(
    host: Host, form: dict[str, str]
) -> None:
    browser = Browser(host)
    answer = await browser.post("/invite", form)
    assert answer.status_code in (400, 403)
    assert browser.session() is None


def test_a_proof_of_one_browser_and_token_is_that_of_no_other() -> None:
    proofs = FormTokens()
    assert not proofs.is_of(proofs.of("a b"), "a c")
    assert not proofs.is_of(proofs.of("a b"), "c b")
