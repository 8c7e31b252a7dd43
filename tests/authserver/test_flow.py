from __future__ import annotations

import asyncio
import json
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from octelium.authserver.cookies import LOGIN_STATE
from octelium.authserver.login_states import new_id
from octelium.authserver.providers.interface import ProviderDeniedError
from octelium.identity.attempts import Outcome
from octelium.schema.pb import core_v1_pb2 as core
from tests.authserver.provider import AGENT, set_cookies, state_of
from tests.authserver.test_pages import check_headers
from tests.authserver.test_targets import FOREIGN, request
from tests.authserver.walk import ORIGIN, Browser, onward_url, prepare

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from tests.authserver.browser import Host

WIKI = "https://wiki.example.com/start?a=b&c=d"
ACTIONS = core.SessionStatusAuthenticatorAction__


def location(response: httpx.Response) -> str:
    assert response.status_code == 303
    assert response.headers["cache-control"] == "no-store"
    return str(response.headers["location"])


async def nothing_came_of_it(host: Host, response: httpx.Response, code: str) -> None:
    """A login that failed: nobody is signed in, and the browser learns one word."""
    assert location(response).startswith(f"{ORIGIN}/login?error={code}")
    assert host.cluster.sessions() == []
    cookies = set_cookies(response)
    assert not {"octelium_auth", "octelium_rt"} & cookies.keys()
    for text in (location(response), response.text):
        assert "sesame" not in text


async def test_the_whole_way(host: Host) -> None:
    await prepare(host)
    browser = Browser(host)
    response = await browser.sign_in(urlencode({"redirect": WIKI}))
    assert location(response) == f"{ORIGIN}/callback/success?{urlencode({'redirect': WIKI})}"
    cookies = set_cookies(response)
    access, refresh = cookies["octelium_auth"], cookies["octelium_rt"]
    for cookie in (access, refresh):
        assert cookie["Domain"] == "example.com"
        assert cookie["Path"] == "/"
        assert cookie["SameSite"] == "lax"
        assert {"HttpOnly", "Secure"} <= cookie.keys()
    assert (access["Max-Age"], refresh["Max-Age"]) == (str(4 * 3600), str(21 * 3600))
    assert cookies[LOGIN_STATE]["Max-Age"] == "0"
    assert location(await browser.get(location(response).removeprefix(ORIGIN))) == WIKI
    (session,) = host.cluster.sessions()
    assert browser.session() == session
    assert session.status.is_browser
    assert session.status.type == core.SessionStatusType__.CLIENTLESS
    assert session.metadata.actor_operation == "callback"
    assert host.published == 1
    assert host.cluster.log.last().outcome is Outcome.SUCCEEDED


async def test_how_a_login_begins(host: Host) -> None:
    provider = await prepare(host)
    browser = Browser(host)
    response = await browser.post("/begin", {"uid": provider.metadata.uid})
    check_headers(response)
    cookie = set_cookies(response)[LOGIN_STATE]
    assert cookie["value"] == state_of(onward_url(response))
    assert cookie["Max-Age"] == "900"
    assert cookie["SameSite"] == "none"
    assert {"HttpOnly", "Secure"} <= cookie.keys()
    assert "Domain" not in cookie
    (begun,) = host.provider.begun
    assert begun.provider == provider


async def test_without_a_target_it_ends_in_the_portal(host: Host) -> None:
    await prepare(host)
    browser = Browser(host)
    response = await browser.sign_in()
    assert location(response) == f"{ORIGIN}/callback/success"
    assert location(await browser.get("/callback/success")) == "https://portal.example.com"


@pytest.mark.parametrize("url", FOREIGN)
async def test_no_login_leads_elsewhere(host: Host, url: str) -> None:
    await prepare(host)
    browser = Browser(host)
    response = await browser.sign_in(urlencode({"redirect": url}))
    assert location(response) == f"{ORIGIN}/callback/success"
    for path in ("/callback/success", "/login"):
        query = quote(url, safe="")
        response = await browser.get(f"{path}?redirect={query}")
        assert location(response) == "https://portal.example.com"


async def test_another_browser_cannot_end_a_login(host: Host) -> None:
    await prepare(host)
    mine, other = Browser(host), Browser(host)
    state = state_of(await mine.begin())
    await nothing_came_of_it(host, await other.get(f"/callback?state={state}&code=ann"), "expired")
    own = state_of(await other.begin())
    await nothing_came_of_it(host, await other.get(f"/callback?state={state}&code=ann"), "expired")
    # A cookie that was planted is no better: the state of the cookie is what counts.
    victim = Browser(host)
    victim.cookies[LOGIN_STATE] = own
    await nothing_came_of_it(host, await victim.get(f"/callback?state={state}&code=ann"), "expired")
    assert host.provider.finished == []
    reasons = {attempt.reason for attempt in host.cluster.log.attempts}
    assert reasons == {"the login is not this browser's, has ended before, or took too long"}
    # None of it has harmed the login itself.
    assert location(await mine.get(f"/callback?state={state}&code=ann")).endswith("/success")


async def test_a_callback_counts_once(host: Host) -> None:
    await prepare(host)
    browser = Browser(host)
    state = state_of(await browser.begin())
    cookies = dict(browser.cookies)
    path = f"/callback?state={state}&code=ann"
    results = []
    for _ in range(5):
        one = Browser(host)
        one.cookies = dict(cookies)
        results.append(one.get(path))
    responses = await asyncio.gather(*results)
    signed_in = [each for each in responses if "octelium_rt" in set_cookies(each)]
    assert len(signed_in) == 1
    assert len(host.cluster.sessions()) == 1
    browser.cookies = dict(cookies)
    assert location(await browser.get(path)) == f"{ORIGIN}/login?error=expired"
    assert len(host.provider.finished) == 1


async def test_a_login_that_takes_too_long(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    await prepare(host)
    browser = Browser(host)
    state = state_of(await browser.begin())
    late = time.monotonic() + 8 * 60
    timer = SimpleNamespace(monotonic=lambda: late)  # for them alone, not for everybody's timers
    monkeypatch.setattr("octelium.authserver.short_lived.time", timer)
    response = await browser.get(f"/callback?state={state}&code=ann")
    await nothing_came_of_it(host, response, "expired")


@pytest.mark.parametrize(
    ("who", "code"), [("refused", "provider"), ("bob", "refused"), ("ANN", "refused")]
)
async def test_who_is_not_let_in(host: Host, who: str, code: str) -> None:
    await prepare(host)
    browser = Browser(host)
    response = await browser.sign_in(urlencode({"redirect": WIKI}), who)
    await nothing_came_of_it(host, response, code)
    # The way on is kept, and the login has ended.
    assert location(response).endswith(f"error={code}&{urlencode({'redirect': WIKI})}")
    assert LOGIN_STATE not in browser.cookies
    attempt = host.cluster.log.last()
    assert attempt.outcome is Outcome.REFUSED
    assert attempt.provider is not None


async def test_who_is_disabled_is_told_so_after_a_genuine_login_only(host: Host) -> None:
    await prepare(host)
    ann = host.cluster.resources.get(core.User, name="ann")
    ann.spec.is_disabled = True
    await host.cluster.change(ann)
    await nothing_came_of_it(host, await Browser(host).sign_in(), "disabled")
    # Whom the provider does not vouch for, and who is somebody else there, learn nothing.
    await nothing_came_of_it(host, await Browser(host).sign_in(who="refused"), "provider")
    await nothing_came_of_it(host, await Browser(host).sign_in(who="bob"), "refused")


async def test_who_has_too_many_sessions_is_told_so(host: Host) -> None:
    await prepare(host)
    ann = host.cluster.resources.get(core.User, name="ann")
    ann.spec.session.max_per_user = 1
    await host.cluster.change(ann)
    await Browser(host).sign_in()
    response = await Browser(host).sign_in()
    assert location(response) == f"{ORIGIN}/login?error=limit"
    assert len(host.cluster.sessions()) == 1


async def test_a_person_who_declines(host: Host) -> None:
    await prepare(host)
    host.provider.failure = ProviderDeniedError("access_denied; sesame")
    await nothing_came_of_it(host, await Browser(host).sign_in(), "denied")


async def test_a_fault_of_the_server(host: Host, caplog: pytest.LogCaptureFixture) -> None:
    await prepare(host)
    host.provider.failure = RuntimeError("sesame")
    await nothing_came_of_it(host, await Browser(host).sign_in(), "failed")
    assert "sesame" in caplog.text


async def test_an_identity_provider_that_is_switched_off_meanwhile(host: Host) -> None:
    provider = await prepare(host)
    browser = Browser(host)
    state = state_of(await browser.begin())
    provider.spec.is_disabled = True
    await host.cluster.change(provider)
    response = await browser.get(f"/callback?state={state}&code=ann")
    await nothing_came_of_it(host, response, "unavailable")
    assert host.provider.finished == []
    response = await browser.post("/begin", {"uid": provider.metadata.uid})
    assert location(response) == f"{ORIGIN}/login?error=unavailable"


@pytest.mark.parametrize("why", ["down", "http", "unicode", "other type"])
async def test_a_provider_where_nothing_can_begin(host: Host, why: str) -> None:
    provider = await prepare(host, kind="github" if why == "other type" else "oidc")
    host.provider.down = why == "down"
    if why == "http":
        host.provider.url = "http://idp.test/"
    elif why == "unicode":
        host.provider.url = "https://idp.test/\u2028"
    browser = Browser(host)
    response = await browser.post("/begin", {"uid": provider.metadata.uid})
    assert location(response) == f"{ORIGIN}/login?error=unavailable"
    assert browser.cookies.keys() <= {"octelium_domain"}


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.test"},
        {"origin": "https://wiki.example.com"},
        {"origin": "null"},
        {"origin": ""},
        {"sec-fetch-site": "cross-site"},
        {"content-type": "text/plain"},
        {"content-type": "multipart/form-data; boundary=x"},
    ],
)
async def test_no_other_site_begins_a_login(host: Host, headers: dict[str, str]) -> None:
    provider = await prepare(host)
    response = await Browser(host).post("/begin", {"uid": provider.metadata.uid}, **headers)
    assert location(response) == f"{ORIGIN}/login?error=again"
    assert host.provider.begun == []


async def test_forms_that_are_none(host: Host) -> None:
    await prepare(host)
    browser = Browser(host)
    form = {"content-type": "application/x-www-form-urlencoded", "origin": ORIGIN}
    for content in ("uid=a&uid=b", "uid", "x" * 10_000, "uid=" + "x" * 9000):
        response = await browser.send("POST", "/begin", form, content=content)
        assert location(response) == f"{ORIGIN}/login?error=again"
    response = await browser.post("/begin", {"uid": "nobody"})
    assert location(response) == f"{ORIGIN}/login?error=unavailable"
    response = await browser.post("/begin", {"uid": "x", "query": "octelium_req=x"})
    assert location(response) == f"{ORIGIN}/login?error=client"


async def begin_json(host: Host, body: Any, **headers: str) -> httpx.Response:
    sent = {"content-type": "application/json", "origin": ORIGIN, "user-agent": AGENT, **headers}
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await host.client.post("/begin", content=content, headers=sent)


async def test_as_octeliums_pages_begin(host: Host) -> None:
    provider = await prepare(host)
    uid = provider.metadata.uid
    query = "?" + urlencode({"redirect": WIKI})
    response = await begin_json(host, {"uid": uid, "userAgent": AGENT, "query": query})
    assert response.status_code == 200
    url = response.json()["loginURL"]
    assert set_cookies(response)[LOGIN_STATE]["value"] == state_of(url)


@pytest.mark.parametrize(
    ("change", "headers"),
    [
        ({"uid": "x"}, {}),
        ({"uid": ""}, {}),
        ({"uid": None}, {}),
        ({"uid": 7}, {}),
        ({"userAgent": "Mozilla/5.0 (another)"}, {}),
        ({"userAgent": "curl/8.0"}, {"user-agent": "curl/8.0"}),
        ({"userAgent": ""}, {"user-agent": ""}),
        ({"query": 1}, {}),
        ({"query": "x" * 1001}, {}),
        ({"query": "octelium_req=x"}, {}),
        ({"x": "x" * 512}, {}),
        ({}, {"origin": "https://evil.test"}),
        ({}, {"origin": "https://portal.example.com"}),
        ({}, {"sec-fetch-site": "cross-site"}),
    ],
)
async def test_faults_of_it(host: Host, change: dict[str, Any], headers: dict[str, str]) -> None:
    provider = await prepare(host)
    body = {"uid": provider.metadata.uid, "userAgent": AGENT, **change}
    response = await begin_json(host, body, **headers)
    assert (response.status_code, response.content) == (400, b"")
    assert "set-cookie" not in response.headers
    assert host.provider.begun == []


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"null", b"\xff", b"[" * 400, b"1" * 500])
async def test_bodies_that_are_no_json(host: Host, body: bytes) -> None:
    assert (await begin_json(host, body)).status_code == 400


async def test_a_saml_answer_comes_as_a_form_of_another_site(host: Host) -> None:
    await prepare(host, kind="saml")
    browser = Browser(host)
    await browser.sign_in()
    # Later: the form comes with the login's cookie alone, the Session's stay behind.
    state = state_of(await browser.begin())
    (first,) = host.cluster.sessions()
    kept = browser.cookies
    browser.cookies = {LOGIN_STATE: kept[LOGIN_STATE]}
    form = {"RelayState": state, "SAMLResponse": "ann"}
    response = await browser.post("/callback", form, origin="https://idp.test")
    assert location(response) == f"{ORIGIN}/callback/success"
    (second,) = host.cluster.sessions()
    assert second.metadata.uid == first.metadata.uid
    assert second.status.total_authentications == 2
    login, parameters, _ = host.provider.finished[-1]
    assert (login.state, parameters) == (state, form)


@pytest.mark.parametrize("cookie", [None, "a" * 36, "x"])
async def test_what_strangers_post_is_not_read(host: Host, cookie: str | None) -> None:
    await prepare(host, kind="saml")
    browser = Browser(host)
    if cookie is not None:
        browser.cookies[LOGIN_STATE] = cookie
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield b"a" * 1024

    headers = {"content-type": "application/x-www-form-urlencoded"}
    response = await browser.send("POST", "/callback", headers, content=endless())
    await nothing_came_of_it(host, response, "expired")
    assert read == 0


@pytest.mark.parametrize(("kind", "most"), [("saml", 512 << 10), ("oidc", 16 << 10)])
async def test_how_large_an_answer_may_be(host: Host, kind: str, most: int) -> None:
    await prepare(host, kind=kind)
    browser = Browser(host)
    form = {"RelayState": state_of(await browser.begin()), "code": ""}
    form["code"] = "x" * (most - len(urlencode(form)) + 1)
    response = await browser.post("/callback", form)
    await nothing_came_of_it(host, response, "again")
    assert host.provider.finished == []
    form["code"] = "x" * 8000
    await browser.post("/callback", form)
    assert len(host.provider.finished) == 1


async def test_the_parameters_of_the_two_methods_are_not_mixed_up(host: Host) -> None:
    await prepare(host)
    browser = Browser(host)
    state = state_of(await browser.begin())
    for response in (
        await browser.get(f"/callback?RelayState={state}&code=ann"),
        await browser.post("/callback", {"state": state, "code": "ann"}),
        await browser.post(f"/callback?state={state}", {"code": "ann"}),
    ):
        await nothing_came_of_it(host, response, "expired")


@pytest.mark.parametrize(
    "query",
    ["state={0}&state={0}&code=ann", "state={0}&code=ann&code=bob", "state={0}&code=%ff", "state"],
)
async def test_ambiguous_callbacks(host: Host, query: str) -> None:
    await prepare(host)
    browser = Browser(host)
    state = state_of(await browser.begin())
    response = await browser.get(f"/callback?{query.format(state)}")
    await nothing_came_of_it(host, response, "again")
    assert host.provider.finished == []


async def test_looking_at_a_callback_does_not_use_it_up(host: Host) -> None:
    await prepare(host)
    browser = Browser(host)
    state = state_of(await browser.begin())
    path = f"/callback?state={state}&code=ann"
    await nothing_came_of_it(host, await browser.send("HEAD", path, {}), "again")
    assert "octelium_rt" in set_cookies(await browser.get(path))


async def test_tokens_change_with_every_login(host: Host) -> None:
    """A Session that somebody planted is not the one that its victim goes on with."""
    await prepare(host)
    browser = Browser(host)
    await browser.sign_in()
    before = dict(browser.cookies)
    await browser.sign_in()
    assert browser.cookies["octelium_rt"] != before["octelium_rt"]
    verify = host.cluster.authentication.browser_session
    assert verify(before["octelium_rt"]) is None
    assert verify(browser.cookies["octelium_rt"]) is not None
    assert len(host.cluster.sessions()) == 1


@pytest.mark.parametrize(
    ("action", "path"),
    [
        (ACTIONS.AUTHENTICATION_REQUIRED, "/authenticators/authenticate"),
        (ACTIONS.REGISTRATION_REQUIRED, "/authenticators/register"),
        (ACTIONS.AUTHENTICATION_RECOMMENDED, "/authenticators/authenticate"),
        (ACTIONS.REGISTRATION_RECOMMENDED, "/authenticators/register"),
    ],
)
async def test_an_authenticator_comes_before_the_target(host: Host, action: Any, path: str) -> None:
    await prepare(host)
    host.cluster.enforcement.wanted = action
    browser = Browser(host)
    response = await browser.sign_in(urlencode({"redirect": WIKI}))
    assert location(response) == ORIGIN + path
    required = action in (ACTIONS.AUTHENTICATION_REQUIRED, ACTIONS.REGISTRATION_REQUIRED)
    for _ in range(2):
        skipped = await browser.get("/callback/success")
        if required:
            assert location(skipped) == ORIGIN + path
    if required:
        (session,) = host.cluster.sessions()
        session.status.authenticator_action = ACTIONS.AUTHENTICATOR_ACTION_UNSET
        await host.cluster.change(session)
        assert location(await browser.get("/callback/success")) == WIKI
    assert location(await browser.get("/callback/success")) == "https://portal.example.com"


async def test_success_wants_a_fresh_session(host: Host) -> None:
    await prepare(host)
    browser = Browser(host)
    await browser.sign_in()
    host.cluster.clock.now += 3 * 3600 + 1
    path = f"/callback/success?{urlencode({'redirect': WIKI})}"
    expected = f"{ORIGIN}/login?{urlencode({'redirect': WIKI})}"
    assert location(await browser.get(path)) == expected
    assert location(await browser.get(f"{path}&octelium_req=x")) == expected
    assert location(await browser.get("/callback/success?octelium_req=x")) == f"{ORIGIN}/login"


async def test_a_command_line_is_asked_about(host: Host) -> None:
    await prepare(host)
    browser = Browser(host)
    response = await browser.sign_in(f"octelium_req={request()}")
    assert location(response) == f"{ORIGIN}/callback/success"
    approval = f"{ORIGIN}/callback/success/approval"
    assert location(await browser.get("/callback/success")) == approval
    # Once: whoever comes by later goes to the Portal.
    assert location(await browser.get("/callback/success")) == "https://portal.example.com"


PARAMETERS = st.dictionaries(
    st.sampled_from(["state", "code", "error", "RelayState", "SAMLResponse", "x"]),
    st.one_of(st.text(max_size=20), st.just("STATE"), st.builds(new_id)),
    max_size=4,
)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=60,
)
@given(parameters=PARAMETERS, cookie=st.sampled_from(["STATE", "", "x", "\u00e9"]))
async def test_no_callback_that_was_made_up_signs_anybody_in(
    host: Host, parameters: dict[str, str], cookie: str
) -> None:
    content = urlencode(parameters)
    headers = {"cookie": f"{LOGIN_STATE}={cookie}".encode()}
    for method, path, body in (
        ("GET", f"/callback?{content}", b""),
        ("POST", "/callback", content.encode()),
    ):
        sent: Any = {"content-type": "application/x-www-form-urlencoded", **headers}
        response = await host.client.request(method, path, headers=sent, content=body)
        assert location(response) in (
            f"{ORIGIN}/login?error=expired",
            f"{ORIGIN}/login?error=again",
        )
    assert host.cluster.sessions() == []
    assert host.provider.finished == []
