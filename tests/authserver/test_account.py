from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from octelium.authserver.moments import day, moment
from octelium.schema.pb import core_v1_pb2 as core
from octelium.store.metadata import reference
from tests.authserver.provider import set_cookies
from tests.authserver.test_pages import ESCAPED, EVIL, check_headers
from tests.identity.cluster import CLI, NOW, SDK

if TYPE_CHECKING:
    import httpx

    from octelium.identity.sessions import Downstream
    from octelium.store.transaction import Transaction
    from tests.authserver.browser import Host

PORTAL = "https://portal.example.com"
FORMS = "'self' https://example.com"


async def begin(host: Host, downstream: Downstream = CLI, **who: Any) -> core.Session:
    cluster = host.cluster
    user = who.get("user", cluster.alice)
    issued = await cluster.authentication.with_authentication_token(
        cluster.token(await cluster.add_credential(user)), downstream=downstream, operation="x"
    )
    return issued.session


async def show(host: Host, session: core.Session, query: str = "") -> httpx.Response:
    headers = {"x-octelium-session-uid": session.metadata.uid}
    return await host.portal.get(f"/account{query}", headers=headers)


async def change(
    host: Host, session: core.Session, form: dict[str, str], path: str = "/account", **headers: str
) -> httpx.Response:
    sent = {"x-octelium-session-uid": session.metadata.uid, "origin": PORTAL, **headers}
    return await host.portal.post(path, data=form, headers=sent)


def token(text: str) -> str:
    found = set(re.findall(r'name="token" value="([0-9a-f]{64})"', text))
    assert len(found) == 1
    return str(found.pop())


def done(response: httpx.Response) -> str:
    assert response.status_code == 303
    prefix = f"{PORTAL}/account?done="
    assert response.headers["location"].startswith(prefix)
    return str(response.headers["location"].removeprefix(prefix))


async def test_sessions_and_devices(host: Host) -> None:
    mine, other = await begin(host), await begin(host, SDK)
    foreign = await begin(host, user=host.cluster.robot)

    def add(tx: Transaction) -> None:
        device = core.Device()
        device.metadata.name = "laptop"
        device.status.hostname = EVIL
        device.status.os_type = core.DeviceStatusOsType__.LINUX
        device.status.user_ref.CopyFrom(reference(host.cluster.alice))
        tx.create(device)

    await host.cluster.write(add)
    response = await show(host, mine)
    assert response.status_code == 200
    check_headers(response, FORMS)
    html = response.text
    assert html.count("this one") == 1
    assert "octelium 0.9.0" in html
    assert "grpc-python/1.70" in html
    assert other.metadata.uid in html
    assert foreign.metadata.uid not in html
    assert ESCAPED in html
    assert "Linux" in html
    assert f'aria-label="End the Session {other.metadata.name}' in html


async def test_one_is_ended(host: Host) -> None:
    mine, other, third = [await begin(host) for _ in range(3)]
    secret = token((await show(host, mine)).text)
    form = {"token": secret, "what": "one", "session": other.metadata.uid}
    published = host.published
    assert done(await change(host, mine, form)) == "ended"
    assert host.published == published + 1
    left = {session.metadata.uid for session in host.cluster.sessions()}
    assert left == {mine.metadata.uid, third.metadata.uid}
    assert "has ended" in (await show(host, mine, "?done=ended")).text
    assert done(await change(host, mine, form)) == "failed"


async def test_all_others_are_ended(host: Host) -> None:
    mine, _, _ = [await begin(host) for _ in range(3)]
    foreign = await begin(host, user=host.cluster.robot)
    secret = token((await show(host, mine)).text)
    assert done(await change(host, mine, {"token": secret, "what": "others"})) == "others-ended"
    left = {session.metadata.uid for session in host.cluster.sessions()}
    assert left == {mine.metadata.uid, foreign.metadata.uid}
    assert "End all other" not in (await show(host, mine)).text


async def test_nobody_elses(host: Host) -> None:
    mine, _ = await begin(host), await begin(host)
    foreign = await begin(host, user=host.cluster.robot)
    secret = token((await show(host, mine)).text)
    for uid in (foreign.metadata.uid, mine.metadata.uid, "", "x"):
        form = {"token": secret, "what": "one", "session": uid}
        assert done(await change(host, mine, form)) == "failed"
    assert len(host.cluster.sessions()) == 3


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.test"},
        {"origin": "https://example.com"},
        {"origin": "https://wiki.example.com"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
async def test_no_other_site_ends_any(host: Host, headers: dict[str, str]) -> None:
    mine, _ = await begin(host), await begin(host)
    secret = token((await show(host, mine)).text)
    form = {"token": secret, "what": "others"}
    for path in ("/account", "/sign-out"):
        assert done(await change(host, mine, form, path, **headers)) == "failed"
    assert len(host.cluster.sessions()) == 2


async def test_the_token_is_of_the_session(host: Host) -> None:
    mine, other = await begin(host), await begin(host)
    theirs = token((await show(host, other)).text)
    for wrong in (theirs, "", "x", "\u00e9"):
        assert done(await change(host, mine, {"token": wrong, "what": "others"})) == "failed"
    assert len(host.cluster.sessions()) == 2


@pytest.mark.parametrize("what", ["", "all", "others "])
async def test_what_is_not_offered(host: Host, what: str) -> None:
    mine, _ = await begin(host), await begin(host)
    secret = token((await show(host, mine)).text)
    assert done(await change(host, mine, {"token": secret, "what": what})) == "failed"
    assert len(host.cluster.sessions()) == 2


async def test_a_session_that_may_nothing_ends_none(host: Host) -> None:
    mine, other = await begin(host), await begin(host)
    secret = token((await show(host, mine)).text)
    mine.spec.state = core.SessionSpecState__.PENDING
    await host.cluster.change(mine)
    form = {"token": secret, "what": "one", "session": other.metadata.uid}
    assert done(await change(host, mine, form)) == "failed"
    assert len(host.cluster.sessions()) == 2


async def test_those_that_are_over_are_not_shown(host: Host) -> None:
    mine, other = await begin(host), await begin(host)
    other.spec.expires_at.seconds = int(host.cluster.clock())
    await host.cluster.change(other)
    assert other.metadata.uid not in (await show(host, mine)).text


async def test_nobody_is_sent_to_the_login_page(host: Host) -> None:
    for response in (
        await host.portal.get("/account"),
        await host.portal.post("/account", data={"what": "others"}, headers={"origin": PORTAL}),
    ):
        assert response.status_code == 303
        assert response.headers["location"] == "https://example.com/login"


async def test_words_that_are_unknown_say_nothing(host: Host) -> None:
    mine = await begin(host)
    for query in ("?done=x", "?done=ended&done=ended", "?done=<b>"):
        text = (await show(host, mine, query)).text
        assert "role=" not in text
        assert "<b>" not in text


async def test_signing_out(host: Host) -> None:
    mine, other = await begin(host), await begin(host)
    secret = token((await show(host, mine)).text)
    for wrong in ("", "x", token((await show(host, other)).text)):
        assert done(await change(host, mine, {"token": wrong}, "/sign-out")) == "failed"
    published = host.published
    response = await change(host, mine, {"token": secret}, "/sign-out")
    assert response.status_code == 303
    assert response.headers["location"] == "https://example.com/login?done=signed-out"
    cleared = set_cookies(response)
    assert {"octelium_auth", "octelium_rt"} <= cleared.keys()
    assert all(each["Max-Age"] == "0" for each in cleared.values())
    assert [each.metadata.uid for each in host.cluster.sessions()] == [other.metadata.uid]
    assert host.published == published + 1
    assert (await host.portal.get("/sign-out")).status_code == 303


async def test_when_sessions_began_and_how_long_they_last(host: Host) -> None:
    mine, other = await begin(host), await begin(host, SDK)
    began = moment(NOW)
    page = (await show(host, mine)).text
    assert page.count(f"signed in {began}") == 2
    assert page.count(f"ends {moment(mine.spec.expires_at.seconds)}") == 2
    assert "last renewed" not in page
    for session, change in ((mine, "renewed"), (other, "connected")):
        stored = host.cluster.get(session)
        if change == "renewed":
            stored.status.authentication.set_at.seconds = NOW + 7200
        else:
            stored.status.is_connected = True
            stored.status.connection.started_at.seconds = NOW + 60
        await host.cluster.change(stored)
    page = (await show(host, mine)).text
    assert page.count(f"signed in {began}\nlast renewed {moment(NOW + 7200)}") == 1
    assert page.count(f"signed in {began}\nconnected since {moment(NOW + 60)}") == 1


async def test_when_devices_were_used(host: Host) -> None:
    def add(tx: Transaction) -> core.Device:
        device = core.Device()
        device.metadata.name = "laptop"
        device.spec.state = core.DeviceSpecState__.PENDING
        device.status.os_type = core.DeviceStatusOsType__.MAC
        device.status.user_ref.CopyFrom(reference(host.cluster.alice))
        return tx.create(device)

    device = await host.cluster.write(add)
    mine = await begin(host)
    page = (await show(host, mine)).text
    registered = day(device.metadata.created_at.seconds)
    assert f"macOS · waits for an administrator&#x27;s approval\nregistered {registered}<" in page
    stored = host.cluster.get(mine)
    stored.status.device_ref.CopyFrom(reference(device))
    await host.cluster.change(stored)
    page = (await show(host, mine)).text
    assert f"registered {registered}\nlast used {moment(NOW)}<" in page
