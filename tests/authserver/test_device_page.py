from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from octelium.schema.pb import core_v1_pb2 as core
from tests.authserver.test_device_grant import begin, poll
from tests.authserver.test_pages import ESCAPED, EVIL, check_headers
from tests.authserver.walk import ORIGIN, Browser, fields_of, prepare

if TYPE_CHECKING:
    from tests.authserver.browser import Host


async def signed_in(host: Host) -> Browser:
    await prepare(host)
    browser = Browser(host)
    await browser.sign_in()
    return browser


async def test_the_way_from_the_code_to_the_verdict(host: Host) -> None:
    browser = await signed_in(host)
    told = await begin(host)
    empty = await browser.get("/device")
    check_headers(empty, "'self'")
    assert 'name="user_code"' in empty.text
    asked = await browser.get(f"/device?user_code={told['user_code'].lower()}")
    check_headers(asked, "'self'")
    for known in (told["user_code"], "192.0.2.9", "octelium-cli/0.9.0", "<strong>ann</strong>"):
        assert known in asked.text
    done = await browser.post("/device", fields_of(asked.text))
    assert "is let in" in done.text
    assert (await poll(host, told["device_code"])).status_code == 200
    again = await browser.post("/device", fields_of(asked.text))
    assert again.status_code == 404


async def test_what_a_machine_says_of_itself_is_escaped(host: Host) -> None:
    browser = await signed_in(host)
    response = await host.client.post(
        "/oauth2/device_authorization", data={"client_id": "x"}, headers={"user-agent": EVIL}
    )
    page = await browser.get(f"/device?user_code={response.json()['user_code']}")
    assert ESCAPED in page.text


async def test_whoever_is_not_signed_in_does_that_first(host: Host) -> None:
    await prepare(host)
    told = await begin(host)
    code = told["user_code"]
    browser = Browser(host)
    response = await browser.get(f"/device?user_code={code}")
    assert response.status_code == 303
    back = f"{ORIGIN}/device?user_code={code.replace('-', '')}"
    assert response.headers["location"] == f"{ORIGIN}/login?{urlencode({'redirect': back})}"
    done = await browser.sign_in(urlencode({"redirect": back}))
    landed = await browser.get(done.headers["location"].removeprefix(ORIGIN))
    assert landed.headers["location"] == back
    assert (await browser.get(back.removeprefix(ORIGIN))).status_code == 200
    stranger = await Browser(host).get("/device?user_code=<script>")
    assert stranger.headers["location"].endswith(urlencode({"redirect": f"{ORIGIN}/device"}))


async def test_wrong_codes(host: Host) -> None:
    browser = await signed_in(host)
    for query in ("user_code=BCDFGHJK", "user_code=x", "user_code=", "user_code=a&user_code=b"):
        response = await browser.get(f"/device?{query}")
        assert response.status_code == 404
        assert 'role="alert"' in response.text
        check_headers(response, "'self'")


async def test_after_many_wrong_codes_the_right_one_is_none(host: Host) -> None:
    browser = await signed_in(host)
    told = await begin(host)
    for _ in range(10):
        await browser.get("/device?user_code=BCDFGHJK")
    assert (await browser.get(f"/device?user_code={told['user_code']}")).status_code == 404
    form = {"user_code": told["user_code"], "decision": "approve"}
    assert (await browser.post("/device", form)).status_code == 404
    assert (await poll(host, told["device_code"])).status_code == 400


@pytest.mark.parametrize("origin", ["https://evil.test", "https://wiki.example.com", "null", ""])
async def test_no_other_site_lets_a_machine_in(host: Host, origin: str) -> None:
    browser = await signed_in(host)
    told = await begin(host)
    form = {"user_code": told["user_code"], "decision": "approve"}
    assert (await browser.post("/device", form, origin=origin)).status_code == 404
    assert (await poll(host, told["device_code"])).status_code == 400


@pytest.mark.parametrize("decision", ["", "yes", "APPROVE"])
async def test_answers_that_are_none(host: Host, decision: str) -> None:
    browser = await signed_in(host)
    told = await begin(host)
    form = {"user_code": told["user_code"], "decision": decision}
    assert (await browser.post("/device", form)).status_code == 404
    assert (await poll(host, told["device_code"])).status_code == 400


@pytest.mark.parametrize("problem", ["pending", "authenticator", "old"])
async def test_a_session_that_may_not(host: Host, problem: str) -> None:
    browser = await signed_in(host)
    told = await begin(host)
    (session,) = host.cluster.sessions()
    if problem == "pending":
        session.spec.state = core.SessionSpecState__.PENDING
    elif problem == "authenticator":
        actions = core.SessionStatusAuthenticatorAction__
        session.status.authenticator_action = actions.AUTHENTICATION_REQUIRED
    else:
        host.cluster.clock.now += 3 * 3600 + 1
    await host.cluster.change(session)
    form = {"user_code": told["user_code"], "decision": "approve"}
    assert (await browser.post("/device", form)).status_code == 303
    assert (await poll(host, told["device_code"])).status_code == 400
