from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from octelium.schema.pb import core_v1_pb2 as core
from tests.authserver.provider import state_of
from tests.authserver.test_pages import ESCAPED, EVIL, check_headers, said
from tests.authserver.test_targets import request
from tests.authserver.walk import ORIGIN, Browser, fields_of, onward_url, prepare

if TYPE_CHECKING:
    import httpx

    from tests.authserver.browser import Host


@pytest.mark.parametrize("path", ["/", "/login", "/login?redirect=https://wiki.example.com/"])
async def test_how_to_sign_in(host: Host, path: str) -> None:
    response = await host.client.get(path)
    assert response.status_code == 200
    assert "no IdentityProvider" in response.text
    assert "octelium login --domain example.com --auth-token TOKEN" in response.text


async def test_nothing_of_the_query_is_repeated(host: Host) -> None:
    html = (await host.client.get("/login?redirect=https://evil.test/&x=%3Cscript%3E")).text
    assert "evil" not in said(html)
    assert "<script" not in html


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/login/", "/login"),
        ("/authenticator?x=1", "/login?x=1"),
        ("/begin?a=b&c=d%20e", "/login?a=b&c=d%20e"),
        ("/logout?a=b", "/login?a=b"),
        ("//evil.test/", "/login"),
        ("/%2F%2Fevil.test", "/login"),
        ("/\\evil.test?//evil.test", "/login?//evil.test"),
        ("/oauth2/", "/login"),
        ("/favicon.ico", "/login"),
    ],
)
async def test_every_other_page_is_the_login_page(host: Host, path: str, location: str) -> None:
    response = await host.client.get(f"https://example.com{path}")
    assert response.status_code == 303
    assert response.headers["location"] == location
    head = await host.client.head(f"https://example.com{path}")
    assert head.status_code == 303


async def test_the_host_of_a_request_leads_nowhere(host: Host) -> None:
    response = await host.client.get("/login/", headers={"host": "evil.test"})
    assert response.headers["location"] == "/login"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"])
@pytest.mark.parametrize("path", ["/", "/login", "/callback/success", "/elsewhere"])
async def test_other_methods_do_not_exist(host: Host, method: str, path: str) -> None:
    response = await host.client.request(method, path)
    assert response.status_code == 404
    check_headers(response)


async def test_cookies_of_a_dead_session_are_cleared(host: Host) -> None:
    fresh = await host.client.get("/login")
    assert len(fresh.headers.get_list("set-cookie")) == 1
    response = await host.client.get("/login", headers={"cookie": "octelium_rt=" + "A" * 178})
    cleared = [
        cookie
        for cookie in response.headers.get_list("set-cookie")
        if not cookie.startswith("octelium_domain=")
    ]
    assert [cookie.partition("=")[0] for cookie in cleared] == [
        "octelium_auth",
        "octelium_rt",
    ]
    for cookie in cleared:
        assert "Max-Age=0" in cookie
        assert "Domain=example.com" in cookie
        assert "Secure" in cookie
        assert "HttpOnly" in cookie
    assert "SameSite=lax" in cleared[1]


COOKIES = st.one_of(
    st.binary(max_size=100),
    st.lists(
        st.sampled_from(["octelium_rt", "octelium_auth", "=", ";", " ", '"', "\\", ",", "A", "$"]),
        max_size=12,
    ).map(lambda parts: "".join(parts).encode()),
).filter(lambda value: not set(value) & set(b"\r\n\0"))


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=60,
)
@given(cookie=COOKIES)
async def test_no_cookie_signs_anybody_in(host: Host, cookie: bytes) -> None:
    response = await host.client.get("/login", headers={b"cookie": cookie})
    assert response.status_code == 200
    assert "octelium login" in response.text
    for path in ("/callback/success", "/callback/success/approval"):
        denied = await host.client.get(path, headers={b"cookie": cookie})
        assert denied.status_code == 303
        assert denied.headers["location"] == "https://example.com/login"


def location(response: httpx.Response) -> str:
    assert response.status_code == 303
    return str(response.headers["location"])


WIKI = urlencode({"redirect": "https://wiki.example.com/"})


async def test_a_button_for_each_identity_provider(host: Host) -> None:
    provider = await prepare(host, display_name=EVIL)
    response = await Browser(host).get(f"/login?{WIKI}")
    check_headers(response, "'self'")
    assert f"Continue with {ESCAPED}" in response.text
    assert fields_of(response.text) == {"uid": provider.metadata.uid, "query": WIKI}
    assert "<strong>wiki.example.com</strong>" in response.text
    provider.spec.is_disabled = True
    await host.cluster.change(provider)
    gone = await Browser(host).get("/login")
    assert "Continue with" not in gone.text
    assert "no IdentityProvider" in gone.text


async def test_the_buttons_form_begins_a_login(host: Host) -> None:
    await prepare(host)
    browser = Browser(host)
    form = fields_of((await browser.get(f"/login?{WIKI}")).text)
    state = state_of(onward_url(await browser.post("/begin", form)))
    done = await browser.get(f"/callback?state={state}&code=ann")
    assert location(done) == f"{ORIGIN}/callback/success?{WIKI}"


@pytest.mark.parametrize(
    "error",
    [
        "again",
        "client",
        "disabled",
        "expired",
        "failed",
        "limit",
        "provider",
        "refused",
        "unavailable",
    ],
)
async def test_what_went_wrong(host: Host, error: str) -> None:
    await prepare(host)
    browser = Browser(host)
    text = (await browser.get(f"/login?error={error}")).text
    assert 'role="alert"' in text
    # Who is signed in is told too, instead of being sent round in circles.
    await browser.sign_in()
    host.cluster.clock.now += 5 * 3600
    told = await browser.get(f"/login?error={error}")
    assert told.status_code == 200
    assert 'role="alert"' in told.text
    assert browser.session() is not None


@pytest.mark.parametrize("query", ["error=x", "error=again&error=again", "error=%3Cb%3E"])
async def test_other_words_say_nothing(host: Host, query: str) -> None:
    text = (await Browser(host).get(f"/login?{query}")).text
    assert "role=" not in text
    assert "<b>" not in text


async def test_a_command_line_that_cannot_be_served(host: Host) -> None:
    await prepare(host)
    text = (await Browser(host).get("/login?octelium_req=x")).text
    assert "Update it" in text
    served = await Browser(host).get(f"/login?octelium_req={request()}")
    assert "command line" in served.text
    assert fields_of(served.text)["query"] == f"octelium_req={request()}"


async def test_who_is_signed_in_goes_on(host: Host) -> None:
    await prepare(host)
    browser = Browser(host)
    await browser.sign_in()
    for path in ("/", "/login"):
        assert location(await browser.get(path)) == "https://portal.example.com"
        assert location(await browser.get(f"{path}?{WIKI}")) == "https://wiki.example.com/"
    own = await browser.get(f"/login?{WIKI}", referer="https://wiki.example.com/x")
    assert location(own) == "https://wiki.example.com/"
    for referer in ("https://evil.test/", "https://example.com.evil.test/", "x", "https://[x/"):
        foreign = await browser.get(f"/login?{WIKI}", referer=referer)
        assert location(foreign) == "https://portal.example.com"
    client = await browser.get(f"/login?octelium_req={request()}")
    assert location(client) == f"{ORIGIN}/callback/success"
    asked = await browser.get("/callback/success")
    assert location(asked) == f"{ORIGIN}/callback/success/approval"


async def test_a_session_that_needs_its_tokens_renewed(host: Host) -> None:
    await prepare(host)
    browser = Browser(host)
    await browser.sign_in()
    (session,) = host.cluster.sessions()
    host.cluster.clock.now += 3 * 3600 + 1
    response = await browser.get(f"/login?{WIKI}")
    url = location(response)
    assert url.startswith("https://idp.test/authorize?")
    done = await browser.get(f"/callback?state={state_of(url)}&code=ann")
    assert location(done) == f"{ORIGIN}/callback/success?{WIKI}"
    (renewed,) = host.cluster.sessions()
    assert renewed.metadata.uid == session.metadata.uid
    assert renewed.status.total_authentications == 2


async def test_a_browser_that_lost_its_access_token(host: Host) -> None:
    await prepare(host)
    browser = Browser(host)
    await browser.sign_in()
    del browser.cookies["octelium_auth"]
    assert location(await browser.get("/login")).startswith("https://idp.test/")


async def test_a_provider_that_cannot_be_reached_ends_in_the_login_page(host: Host) -> None:
    await prepare(host)
    browser = Browser(host)
    await browser.sign_in()
    host.cluster.clock.now += 3 * 3600 + 1
    host.provider.down = True
    back = location(await browser.get(f"/login?{WIKI}"))
    assert back == f"{ORIGIN}/login?error=unavailable&{WIKI}"
    assert (await browser.get(back.removeprefix(ORIGIN))).status_code == 200


@pytest.mark.parametrize("how", ["disabled", "locked", "deleted"])
async def test_a_session_whose_provider_is_gone_ends(host: Host, how: str) -> None:
    provider = await prepare(host)
    browser = Browser(host)
    await browser.sign_in()
    if how == "deleted":
        await host.cluster.delete(provider)
    else:
        provider.spec.is_disabled = how == "disabled"
        provider.status.is_locked = how == "locked"
        await host.cluster.change(provider)
    assert location(await browser.get("/login")) == "https://portal.example.com"
    host.cluster.clock.now += 3 * 3600 + 1
    response = await browser.get("/login")
    assert response.status_code == 200
    assert host.cluster.sessions() == []
    assert "octelium_rt" not in browser.cookies
    assert host.published == 2


async def test_sessions_of_authenticators_are_renewed_with_them(host: Host) -> None:
    await prepare(host)
    browser = Browser(host)
    await browser.sign_in()
    (session,) = host.cluster.sessions()
    began = session.status.initial_authentication.info
    began.type = core.SessionStatusAuthenticationInfoType__.AUTHENTICATOR
    await host.cluster.change(session)
    host.cluster.clock.now += 3 * 3600 + 1
    response = await browser.get(f"/login?{WIKI}")
    assert location(response) == f"{ORIGIN}/authenticators/authenticate"
    assert len(host.provider.begun) == 1


async def test_a_required_authenticator_comes_first(host: Host) -> None:
    await prepare(host)
    browser = Browser(host)
    await browser.sign_in()
    (session,) = host.cluster.sessions()
    actions = core.SessionStatusAuthenticatorAction__
    session.status.authenticator_action = actions.REGISTRATION_REQUIRED
    await host.cluster.change(session)
    response = await browser.get(f"/login?{WIKI}")
    assert location(response) == f"{ORIGIN}/authenticators/register"
    # A page of another site leads to the Authenticator too, and nowhere behind it.
    client = f"/login?octelium_req={request()}"
    foreign = await browser.get(client, referer="https://evil.test/")
    assert location(foreign) == f"{ORIGIN}/authenticators/register"
    session.status.authenticator_action = actions.AUTHENTICATOR_ACTION_UNSET
    await host.cluster.change(session)
    assert location(await browser.get("/callback/success")) == "https://wiki.example.com/"


async def test_a_session_that_waits_for_approval(host: Host) -> None:
    await prepare(host)
    ann = host.cluster.resources.get(core.User, name="ann")
    ann.spec.session.default_state = core.SessionSpecState__.PENDING
    await host.cluster.change(ann)
    browser = Browser(host)
    response = await browser.sign_in(WIKI)
    response = await browser.get(location(response).removeprefix(ORIGIN))
    assert location(response) == f"{ORIGIN}/login"
    page = await browser.get("/login")
    check_headers(page, "'self'")
    assert "approve" in page.text
    await browser.post("/logout")
    assert host.cluster.sessions() == []


@pytest.mark.parametrize("why", ["disabled", "locked", "rejected", "over"])
async def test_a_session_that_counts_no_longer(host: Host, why: str) -> None:
    await prepare(host)
    browser = Browser(host)
    await browser.sign_in()
    ann = host.cluster.resources.get(core.User, name="ann")
    (session,) = host.cluster.sessions()
    match why:
        case "disabled":
            ann.spec.is_disabled = True
            await host.cluster.change(ann)
        case "locked":
            session.status.is_locked = True
            await host.cluster.change(session)
        case "rejected":
            session.spec.state = core.SessionSpecState__.REJECTED
            await host.cluster.change(session)
        case "over":
            host.cluster.clock.now += 30 * 3600
    response = await browser.get(f"/login?{WIKI}")
    assert response.status_code == 200
    assert "Continue with" in response.text
    assert not {"octelium_rt", "octelium_auth"} & browser.cookies.keys()
    told = {
        "disabled": "Your User is switched off at present.",
        "locked": "An administrator has ended your Session.",
        "rejected": "An administrator has ended your Session.",
    }
    assert [text for text in sorted({*told.values()}) if text in response.text] == (
        [told[why]] if why in told else []
    )
    stranger = await Browser(host).get(f"/login?{WIKI}")
    assert not any(text in stranger.text for text in told.values())


async def test_signing_out(host: Host) -> None:
    await prepare(host)
    browser = Browser(host)
    await browser.sign_in()
    kept = dict(browser.cookies)
    response = await browser.post("/logout")
    assert location(response) == f"{ORIGIN}/login?done=signed-out"
    assert host.cluster.sessions() == []
    assert not {"octelium_rt", "octelium_auth"} & browser.cookies.keys()
    assert host.published == 2
    page = await browser.get("/login?done=signed-out")
    assert "You are signed out." in page.text
    browser.cookies = kept
    assert location(await browser.post("/logout")).endswith("done=signed-out")
    assert host.published == 2


@pytest.mark.parametrize(
    "origin",
    ["https://evil.test", "https://wiki.example.com", "https://portal.example.com", "null", ""],
)
async def test_no_other_site_signs_anybody_out(host: Host, origin: str) -> None:
    await prepare(host)
    browser = Browser(host)
    await browser.sign_in()
    response = await browser.post("/logout", origin=origin)
    assert location(response) == f"{ORIGIN}/login?error=again"
    assert browser.session() is not None
    assert location(await browser.get("/logout")) == "/login"
    assert browser.session() is not None


async def test_what_else_a_browser_asks_for_does_not_end_its_login(host: Host) -> None:
    await prepare(host)
    browser = Browser(host)
    state = state_of(await browser.begin())
    for path in ("/favicon.ico", "/login", "/"):
        await browser.get(path)
    assert location(await browser.get(f"/callback?state={state}&code=ann")).endswith("/success")


async def test_who_lets_a_machine_in_reads_what_for(host: Host) -> None:
    await prepare(host)
    shown = (await host.client.get("/login?redirect=https://example.com/device?code=x")).text
    assert "Sign in to let a machine in." in shown
    assert "Sign in to open" not in shown
    shown = (await host.client.get("/login?redirect=https://wiki.example.com/device")).text
    assert "Sign in to open <strong>wiki.example.com</strong>." in shown
