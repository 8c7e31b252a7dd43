from __future__ import annotations

import asyncio
import hashlib
import json
from base64 import urlsafe_b64decode
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from octelium.identity.errors import AuthenticationError
from octelium.schema.pb import auth_v1_pb2 as auth
from octelium.schema.pb import core_v1_pb2 as core
from tests.authserver.test_pages import ESCAPED, EVIL, check_headers
from tests.authserver.test_targets import request
from tests.authserver.walk import ORIGIN, Browser, fields_of, onward_url, prepare
from tests.identity.cluster import CLI

if TYPE_CHECKING:
    import httpx

    from tests.authserver.browser import Host

PATH = "/callback/success/approval"
VERIFIER = bytes(range(100, 132))
ASKED = f"octelium_req={request(code_challenge=hashlib.sha256(VERIFIER).digest())}"


async def asked(host: Host) -> Browser:
    """A browser at the question."""
    await prepare(host)
    browser = Browser(host)
    await browser.sign_in(ASKED)
    response = await browser.get("/callback/success")
    assert response.headers["location"] == ORIGIN + PATH
    return browser


def token_in(url: str) -> str:
    parts = urlsplit(url)
    assert (parts.scheme, parts.netloc, parts.path) == (
        "http",
        "localhost:23456",
        "/callback/success/abCD1234",
    )
    (text,) = parse_qs(parts.query)["octelium_response"]
    raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    return auth.ClientLoginResponse.FromString(raw).authentication_token


async def decide(browser: Browser, decision: str, **headers: str) -> httpx.Response:
    fields = fields_of((await browser.get(PATH)).text)
    return await browser.post(PATH, {**fields, "decision": decision}, **headers)


async def test_what_is_asked(host: Host) -> None:
    browser = await asked(host)
    response = await browser.get(PATH)
    check_headers(response, "'self'")
    assert "<strong>ann</strong>" in response.text
    assert "port 23456" in response.text
    assert fields_of(response.text)["decision"] == "approve"
    # Looking at it changes nothing.
    assert fields_of((await browser.get(PATH)).text) == fields_of(response.text)


async def test_names_are_escaped(host: Host) -> None:
    browser = await asked(host)
    ann = host.cluster.resources.get(core.User, name="ann")
    ann.metadata.display_name = EVIL
    await host.cluster.change(ann)
    assert ESCAPED in (await browser.get(PATH)).text


async def test_the_command_line_is_let_in(host: Host) -> None:
    browser = await asked(host)
    published = host.published
    response = await decide(browser, "approve")
    check_headers(response)
    token = token_in(onward_url(response))
    assert host.published == published + 1
    (credential,) = host.cluster.resources.list(core.Credential)
    assert credential.metadata.name.startswith("auth-token-")
    assert credential.metadata.actor_operation == "callback/success/approval"
    authentication = host.cluster.authentication
    for verifier in (b"", bytes(32)):
        with pytest.raises(AuthenticationError):
            await authentication.with_authentication_token(
                token, code_verifier=verifier, downstream=CLI, operation="x"
            )
    issued = await authentication.with_authentication_token(
        token, code_verifier=VERIFIER, downstream=CLI, operation="x"
    )
    assert issued.session.status.type == core.SessionStatusType__.CLIENT
    assert issued.session.status.user_ref.name == "ann"
    assert host.cluster.resources.list(core.Credential) == []


async def test_where_the_command_line_sends_the_browser(host: Host) -> None:
    browser = await asked(host)
    portal = (await browser.get("/")).headers["location"]
    assert portal == "https://portal.example.com"
    await decide(browser, "approve")
    # Elsewhere it is as ever.
    assert (await browser.get("/login")).headers["location"] == portal
    response = await browser.get("/")
    assert response.status_code == 200
    assert "You are signed in on the command line" in response.text
    assert "You may close this page." in response.text
    assert (await browser.get("/")).headers["location"] == portal


async def test_who_denies_is_told_of_no_command_line(host: Host) -> None:
    browser = await asked(host)
    await decide(browser, "deny")
    assert (await browser.get("/")).status_code == 303


async def test_it_is_not(host: Host) -> None:
    browser = await asked(host)
    response = await decide(browser, "deny")
    assert response.status_code == 200
    assert "was not let in" in response.text
    assert "refresh" not in response.headers
    assert host.cluster.resources.list(core.Credential) == []
    assert (await browser.get(PATH)).status_code == 404


async def test_an_answer_counts_once(host: Host) -> None:
    browser = await asked(host)
    fields = {**fields_of((await browser.get(PATH)).text), "decision": "approve"}
    responses = await asyncio.gather(*(browser.post(PATH, fields) for _ in range(5)))
    assert sorted(response.status_code for response in responses) == [200, 409, 409, 409, 409]
    assert len(host.cluster.resources.list(core.Credential)) == 1


async def test_an_answer_to_another_question_does_not_count(host: Host) -> None:
    """Who has the browser ask about another command line meanwhile gets nothing for it."""
    browser = await asked(host)
    fields = {**fields_of((await browser.get(PATH)).text), "decision": "approve"}
    other = request(callback_port=33333)
    await browser.get(f"/login?octelium_req={other}")
    await browser.get("/callback/success")
    assert (await browser.post(PATH, fields)).status_code == 409
    assert host.cluster.resources.list(core.Credential) == []


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.test"},
        {"origin": "https://portal.example.com"},
        {"origin": "https://wiki.example.com"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"content-type": "text/plain"},
    ],
)
async def test_no_other_site_answers(host: Host, headers: dict[str, str]) -> None:
    browser = await asked(host)
    response = await decide(browser, "approve", **headers)
    assert response.status_code in (400, 403)
    assert host.cluster.resources.list(core.Credential) == []
    assert (await decide(browser, "approve")).status_code == 200


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"decision": "approve"},
        {"request": "x", "decision": "yes"},
        {"request": "x", "decision": "approve"},
        {"request": "x", "decision": "approve", "more": "x"},
    ],
)
async def test_answers_that_are_none(host: Host, form: dict[str, str]) -> None:
    browser = await asked(host)
    assert (await browser.post(PATH, form)).status_code in (400, 409)
    assert host.cluster.resources.list(core.Credential) == []


async def test_nobody_is_asked_nothing(host: Host) -> None:
    await prepare(host)
    browser = Browser(host)
    assert (await browser.get(PATH)).headers["location"] == f"{ORIGIN}/login"
    form = {"request": "x", "decision": "approve"}
    assert (await browser.post(PATH, form)).status_code == 403
    await browser.sign_in()
    nothing = await browser.get(PATH)
    assert nothing.status_code == 404
    check_headers(nothing)
    assert "begin again there" in nothing.text
    assert (await browser.post(PATH, form)).status_code == 409


async def test_a_session_that_may_nothing_lets_nobody_in(host: Host) -> None:
    browser = await asked(host)
    (session,) = host.cluster.sessions()
    session.spec.state = core.SessionSpecState__.PENDING
    await host.cluster.change(session)
    assert (await decide(browser, "approve")).status_code == 403
    assert host.cluster.resources.list(core.Credential) == []


async def send_json(browser: Browser, body: Any, origin: str = ORIGIN) -> httpx.Response:
    headers = {"content-type": "application/json", "origin": origin}
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await browser.send("POST", PATH, headers, content=content)


async def test_as_octeliums_pages_answer(host: Host) -> None:
    browser = await asked(host)
    assert (await send_json(browser, {"isApproved": True}, "https://evil.test")).status_code == 403
    response = await send_json(browser, {"isApproved": True})
    assert response.status_code == 200
    assert token_in(response.json()["redirectURL"])
    assert (await send_json(browser, {"isApproved": True})).status_code == 409


@pytest.mark.parametrize("body", [{"isApproved": False}, {}])
async def test_as_they_deny(host: Host, body: dict[str, bool]) -> None:
    browser = await asked(host)
    response = await send_json(browser, body)
    assert response.json() == {"redirectURL": "https://portal.example.com"}
    assert host.cluster.resources.list(core.Credential) == []


DEEP = b"[" * 4000


async def test_what_strangers_send_is_not_read(host: Host) -> None:
    browser = await asked(host)
    assert (await send_json(Browser(host), DEEP)).status_code == 403
    assert (await send_json(browser, DEEP, "https://evil.test")).status_code == 403
    assert (await send_json(browser, DEEP)).status_code == 400


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", DEEP, {"isApproved": "true"}, {"isApproved": 1}]
)
async def test_json_that_says_nothing(host: Host, body: Any) -> None:
    browser = await asked(host)
    assert (await send_json(browser, body)).status_code == 400
    assert host.cluster.resources.list(core.Credential) == []
