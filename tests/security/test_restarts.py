"""What the control process forgets when it ends: somebody in the middle of it is told to begin
again, nothing comes of it, and what is stored goes on.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from octelium.identity.attempts import Outcome
from octelium.identity.devices import DeviceError, DeviceInfo, Devices
from octelium.schema.pb import core_v1_pb2 as core
from tests.authserver.browser import Host, open_host
from tests.authserver.provider import state_of
from tests.authserver.test_account import PORTAL
from tests.authserver.test_authenticator_login import (
    AUTHENTICATE,
    PASSKEY,
    REDIRECT,
    enable_passkeys,
    stepping_up,
)
from tests.authserver.test_authenticator_pages import add_fido, options, signed_in
from tests.authserver.test_device_grant import begin as begin_machine
from tests.authserver.test_device_grant import poll
from tests.authserver.test_pages import check_headers
from tests.authserver.test_targets import request
from tests.authserver.walk import ORIGIN, Browser, fields_of, onward_url, prepare
from tests.identity.authenticators.people import People

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

APPROVAL = "/callback/success/approval"


@pytest_asyncio.fixture(name="host")
async def host_fixture(tmp_path: Path) -> AsyncIterator[Host]:
    async with open_host(tmp_path) as host:
        yield host


@asynccontextmanager
async def restarted(host: Host, *browsers: Browser) -> AsyncIterator[Host]:
    """Another process over the same store, and the browsers talk to that one."""
    after = Host(host.cluster)
    for browser in browsers:
        browser.host = after
    async with after.client, after.portal:
        yield after


@pytest.mark.parametrize("kind", ["oidc", "saml"])
async def test_a_login_at_a_provider(host: Host, kind: str) -> None:
    await prepare(host, kind)
    browser = Browser(host)
    state = state_of(await browser.begin(REDIRECT))
    async with restarted(host, browser) as after:
        if kind == "oidc":
            back = await browser.get(f"/callback?state={state}&code=ann")
        else:
            back = await browser.post("/callback", {"RelayState": state, "SAMLResponse": "ann"})
        assert back.status_code == 303
        assert back.headers["location"] == f"{ORIGIN}/login?error=expired"
        assert after.provider.finished == []
        assert host.cluster.sessions() == []
        attempt = host.cluster.log.last()
        assert (attempt.outcome, attempt.code) == (Outcome.REFUSED, "UNAUTHENTICATED")
        page = await browser.get("/login?error=expired")
        assert page.status_code == 200
        assert "Please sign in again." in page.text
        assert "Continue with" in page.text
        done = await browser.sign_in(REDIRECT)
        assert done.headers["location"] == f"{ORIGIN}/callback/success?{REDIRECT}"


async def test_a_command_line_that_waits_for_approval(host: Host) -> None:
    await prepare(host)
    browser = Browser(host)
    await browser.sign_in(f"octelium_req={request()}")
    await browser.get("/callback/success")
    answer = {**fields_of((await browser.get(APPROVAL)).text), "decision": "approve"}
    async with restarted(host, browser):
        response = await browser.post(APPROVAL, answer)
        assert response.status_code == 409
        assert "Begin again on the command line." in response.text
        again = await browser.get(APPROVAL)
        check_headers(again)
        assert again.status_code == 404
        assert "begin again there" in again.text
        assert host.cluster.resources.list(core.Credential) == []
        # The person is signed in all the same.
        assert browser.session() is not None


async def test_a_machine_with_a_code(host: Host) -> None:
    browser = await signed_in(host)
    told = await begin_machine(host)
    answer = fields_of((await browser.get(f"/device?user_code={told['user_code']}")).text)
    async with restarted(host, browser) as after:
        response = await browser.post("/device", answer)
        assert response.status_code == 404
        assert "No machine waits with this code." in response.text
        polled = await poll(after, told["device_code"])
        assert (polled.status_code, polled.json()["error"]) == (400, "expired_token")
        assert host.cluster.resources.list(core.Credential) == []


async def test_a_passkey(host: Host) -> None:
    await enable_passkeys(host)
    _, key = await add_fido(await signed_in(host))
    browser = Browser(host)
    asked = options(await browser.post(PASSKEY))
    count = len(host.cluster.sessions())
    async with restarted(host, browser):
        form = {"response": key.get(asked)}
        back = await browser.post(f"{PASSKEY}/finish", form)
        assert back.headers["location"] == f"{ORIGIN}/login?error=passkey"
        assert "Try again" in (await browser.get("/login?error=passkey")).text
        assert len(host.cluster.sessions()) == count
        form = {"response": key.get(options(await browser.post(PASSKEY)))}
        done = await browser.post(f"{PASSKEY}/finish", form)
        assert onward_url(done) == f"{ORIGIN}/callback/success"


async def test_a_second_factor_goes_on(host: Host) -> None:
    """Its challenge is stored with the Authenticator."""
    uid, key = await add_fido(await signed_in(host))
    browser = await stepping_up(host, REDIRECT)
    asked = await browser.post(AUTHENTICATE, {"uid": uid, "type": "fido"})
    form = {"uid": uid, "type": "fido", "response": key.get(options(asked))}
    async with restarted(host, browser):
        done = await browser.post(f"{AUTHENTICATE}/finish", form)
        assert onward_url(done) == f"{ORIGIN}/callback/success"
        # Where the browser wanted to is forgotten: the Portal is there for that.
        on = await browser.get("/callback/success")
        assert on.headers["location"] == PORTAL


async def test_a_form_of_the_portal(host: Host) -> None:
    browser = await signed_in(host)
    session = browser.session()
    assert session is not None
    headers = {"x-octelium-session-uid": session.metadata.uid, "origin": PORTAL}
    page = await host.portal.get("/account", headers=headers)
    form = {**fields_of(page.text), "what": "others"}
    async with restarted(host, browser) as after:
        response = await after.portal.post("/account", data=form, headers=headers)
        assert response.headers["location"] == f"{PORTAL}/account?done=failed"
        told = await after.portal.get("/account?done=failed", headers=headers)
        assert "Nothing has changed; please try again." in told.text
        assert browser.session() is not None


async def test_a_device_that_is_registered_in_two_steps(host: Host) -> None:
    people = People(host.cluster)
    await people.begin()
    session = await people.session(client=True)
    cluster = host.cluster
    before, after = (
        Devices(cluster.resources, cluster.keyring, clock=cluster.clock) for _ in range(2)
    )
    info = DeviceInfo(os_type=1, id="a" * 64)
    uid = await before.begin(session.refresh_token, info, "x")
    with pytest.raises(DeviceError, match="begin again"):
        await after.finish(session.refresh_token, uid, "x")
    uid = await after.begin(session.refresh_token, info, "x")
    assert await after.finish(session.refresh_token, uid, "x")
