from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from octelium.identity.tokens import TokenType
from octelium.schema.pb import core_v1_pb2 as core
from tests.authserver.test_oauth2 import check
from tests.authserver.walk import Browser, prepare

if TYPE_CHECKING:
    import httpx

    from tests.authserver.browser import Host

GRANT = "urn:ietf:params:oauth:grant-type:device_code"
CLI = {"user-agent": "octelium-cli/0.9.0", "x-octelium-client-address": "192.0.2.9"}


async def begin(host: Host, **form: str) -> dict[str, Any]:
    response = await host.client.post(
        "/oauth2/device_authorization", data={"client_id": "octelium-cli", **form}, headers=CLI
    )
    assert response.status_code == 200
    check(response)
    told: dict[str, Any] = response.json()
    return told


async def poll(host: Host, device_code: str, **form: str) -> httpx.Response:
    data = {"grant_type": GRANT, "device_code": device_code, "client_id": "octelium-cli", **form}
    response = await host.client.post("/oauth2/token", data=data, headers=CLI)
    check(response)
    return response


async def approved(host: Host, **form: str) -> tuple[dict[str, Any], Browser]:
    """A machine that ann has let in, and her browser."""
    told = await begin(host, **form)
    await prepare(host)
    browser = Browser(host)
    await browser.sign_in()
    answer = {"user_code": told["user_code"], "decision": "approve"}
    response = await browser.post("/device", answer)
    assert response.status_code == 200
    return told, browser


async def test_what_a_machine_is_told(host: Host) -> None:
    told = await begin(host)
    assert told.keys() == {
        "device_code",
        "user_code",
        "verification_uri",
        "verification_uri_complete",
        "expires_in",
        "interval",
    }
    assert told["verification_uri"] == "https://example.com/device"
    complete = f"https://example.com/device?user_code={told['user_code']}"
    assert told["verification_uri_complete"] == complete
    assert (told["expires_in"], told["interval"]) == (600, 5)


async def test_tokens_for_who_is_let_in(host: Host) -> None:
    told, _ = await approved(host, scope="service:wiki")
    published = host.published
    response = await poll(host, told["device_code"])
    assert response.status_code == 200
    assert host.published == published + 1
    body = response.json()
    assert body["token_type"] == "Bearer"
    assert body["expires_in"] == 4 * 3600
    assert body["refresh_token_expires_in"] == 21 * 3600
    verify = host.cluster.keyring.verifier.verify
    access = verify(body["access_token"], TokenType.ACCESS)
    refresh = verify(body["refresh_token"], TokenType.REFRESH)
    assert access is not None
    assert refresh is not None
    session = host.cluster.resources.get(core.Session, uid=access.subject)
    assert session.status.user_ref.name == "ann"
    assert session.status.type == core.SessionStatusType__.CLIENT
    assert not session.status.is_browser
    assert len(session.status.scopes) == 1
    assert host.cluster.resources.list(core.Credential) == []
    # Once.
    assert (await poll(host, told["device_code"])).json() == {"error": "expired_token"}
    assert len(host.cluster.sessions()) == 2


async def test_pending_then_slower(host: Host) -> None:
    told = await begin(host)
    answers = [(await poll(host, told["device_code"])).json()["error"] for _ in range(3)]
    assert answers == ["slow_down"] * 3


async def test_denied(host: Host) -> None:
    told = await begin(host)
    await prepare(host)
    browser = Browser(host)
    await browser.sign_in()
    await browser.post("/device", {"user_code": told["user_code"], "decision": "deny"})
    denied = host.cluster.log.attempts[-1]
    assert denied.user is not None
    assert denied.user.name == "ann"
    assert denied.reason == "this person did not let the machine in"
    response = await poll(host, told["device_code"])
    assert (response.status_code, response.json()) == (400, {"error": "access_denied"})
    assert len(host.cluster.sessions()) == 1


@pytest.mark.parametrize("problem", ["signed out", "user disabled", "session locked"])
async def test_who_let_it_in_must_still_count(host: Host, problem: str) -> None:
    told, browser = await approved(host)
    if problem == "signed out":
        await browser.post("/logout")
    elif problem == "user disabled":
        ann = host.cluster.resources.get(core.User, name="ann")
        ann.spec.is_disabled = True
        await host.cluster.change(ann)
    else:
        (session,) = host.cluster.sessions()
        session.status.is_locked = True
        await host.cluster.change(session)
    before = len(host.cluster.sessions())
    assert (await poll(host, told["device_code"])).json() == {"error": "access_denied"}
    assert len(host.cluster.sessions()) == before
    assert host.cluster.resources.list(core.Credential) == []


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"client_id": ""}, "invalid_client"),
        ({"client_id": "a b"}, "invalid_client"),
        ({"client_id": "x" * 65}, "invalid_client"),
        ({"scope": "everything"}, "invalid_scope"),
        ({"scope": "service:* service:*"}, "invalid_scope"),
        ({"scope": "service:" + "a" * 2048}, "invalid_scope"),
    ],
)
async def test_requests_that_are_refused(host: Host, form: dict[str, str], error: str) -> None:
    data = {"client_id": "octelium-cli", **form}
    response = await host.client.post("/oauth2/device_authorization", data=data)
    check(response)
    assert response.status_code in (400, 401)
    assert response.json()["error"] == error


async def test_bodies_that_are_none(host: Host) -> None:
    path = "/oauth2/device_authorization"
    form = {"content-type": "application/x-www-form-urlencoded"}
    for content, headers, status in (
        (b"{}", {"content-type": "application/json"}, 400),
        (b"client_id=a&client_id=b", form, 400),
        (b"client_id=" + b"a" * 9000, form, 413),
    ):
        response = await host.client.post(path, content=content, headers=headers)
        assert response.status_code == status
        assert response.json()["error"] == "invalid_request"
    assert (await host.client.get(path)).status_code == 303


async def test_another_client_does_not_get_the_tokens(host: Host) -> None:
    told, _ = await approved(host)
    other = await poll(host, told["device_code"], client_id="other")
    assert other.json() == {"error": "invalid_grant"}
    assert (await poll(host, told["device_code"])).status_code == 200


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=40,
)
@given(code=st.text(max_size=60))
async def test_no_code_that_was_made_up_gets_tokens(host: Host, code: str) -> None:
    await begin(host)
    data = {"grant_type": GRANT, "device_code": code, "client_id": "octelium-cli"}
    response = await host.client.post("/oauth2/token", data=data)
    assert response.json()["error"] in ("expired_token", "invalid_request")
    assert host.cluster.sessions() == []
