from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.routing import Route

from octelium.apiserver.core.view import TransactionView
from octelium.authserver import body, oauth2
from octelium.authserver.pace import Pace
from octelium.authserver.site import Site
from octelium.identity.attempts import Outcome, Way
from octelium.identity.tokens import TokenType
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.validation.computed import complete
from octelium.store.errors import Unavailable
from tests.authserver.browser import Host
from tests.identity.cluster import AUTH_TOKEN, OAUTH2, Clock
from tests.identity.providers import add_person
from tests.peers import issuer as peers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from octelium.store.transaction import Transaction

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
FORM = {"content-type": "application/x-www-form-urlencoded"}


def endpoint_of(host: Host, publish: oauth2.Publish) -> oauth2.OAuth2:
    """The endpoint without other grants, outside an application."""
    authentication = host.cluster.authentication
    return oauth2.OAuth2(Site("example.com"), authentication, publish, {}, {}, host.workloads)


async def client(host: Host, **spec: Any) -> dict[str, str]:
    """The form of a client that may ask for a token."""
    made = await host.cluster.generate(
        await host.cluster.add_credential(credential_type=OAUTH2, **spec)
    )
    return {
        "grant_type": "client_credentials",
        "client_id": made.oauth2_credentials.client_id,
        "client_secret": made.oauth2_credentials.client_secret,
    }


async def post(host: Host, form: dict[str, str], **more: Any) -> httpx.Response:
    return await host.client.post("/oauth2/token", data=form, **more)


async def refused(host: Host, form: dict[str, str]) -> tuple[int, str]:
    """Status and error of a request that must not issue anything."""
    before = host.cluster.resources.revision
    response = await post(host, form)
    check(response)
    assert "access_token" not in response.json()
    assert host.cluster.resources.revision == before
    return response.status_code, response.json()["error"]


def check(response: httpx.Response) -> None:
    """What every answer of the endpoint looks like."""
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["pragma"] == "no-cache"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "set-cookie" not in response.headers


async def test_a_token(host: Host) -> None:
    form = await client(host)
    response = await post(host, form, headers={"user-agent": "curl/8"})
    assert response.status_code == 200
    check(response)
    body = response.json()
    assert body.keys() == {"access_token", "token_type", "expires_in"}
    assert body["token_type"] == "Bearer"
    assert body["expires_in"] == 4 * 3600
    (session,) = host.cluster.sessions()
    claims = host.cluster.keyring.verifier.verify(body["access_token"], TokenType.ACCESS)
    assert claims is not None
    assert claims.subject == session.metadata.uid
    assert claims.token_id == session.status.authentication.token_id
    assert session.status.type == core.SessionStatusType__.CLIENTLESS
    assert session.status.authentication.info.downstream.user_agent == "curl/8"
    assert session.metadata.actor_operation == "oauth2/token"
    assert host.published == 1


async def test_scopes_are_those_of_the_first_request_and_are_told(host: Host) -> None:
    form = await client(host)
    first = await post(host, {**form, "scope": "service:wiki api:core.MainService"})
    assert first.json()["scope"] == "service:wiki.default api:core.MainService"
    for scope in ({}, {"scope": "service:*"}):
        later = await post(host, {**form, **scope})
        assert later.json()["scope"] == "service:wiki.default api:core.MainService"
    unlimited = await client(host)
    assert "scope" not in (await post(host, unlimited)).json()
    asked = await post(host, {**unlimited, "scope": "service:wiki"})
    assert asked.json()["scope"] == "api:* service:*"


async def test_the_address_is_the_one_that_the_proxy_saw(host: Host) -> None:
    config = host.cluster.resources.get(core.ClusterConfig, name="default")
    config.spec.ingress.use_forwarded_for_header = True
    await host.cluster.change(config)
    headers = {"x-octelium-client-address": "192.0.2.7", "x-forwarded-for": "198.51.100.1"}
    await post(host, await client(host), headers=headers)
    (session,) = host.cluster.sessions()
    assert session.status.authentication.info.downstream.ip_address == "192.0.2.7"


async def test_one_live_token_per_client(host: Host) -> None:
    form = await client(host)
    responses = await asyncio.gather(*(post(host, form) for _ in range(10)))
    (session,) = host.cluster.sessions()
    current = session.status.authentication.token_id
    ids = []
    for response in responses:
        claims = host.cluster.keyring.verifier.verify(
            response.json()["access_token"], TokenType.ACCESS
        )
        assert claims is not None
        ids.append(claims.token_id)
    assert len(set(ids)) == 10
    assert ids.count(current) == 1


async def test_a_limited_client_is_limited_in_a_race(host: Host) -> None:
    form = await client(host, max_authentications=3, auto_delete=True)
    responses = await asyncio.gather(*(post(host, form) for _ in range(12)))
    assert sorted(response.status_code for response in responses) == [200] * 3 + [401] * 9


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"grant_type": "password"}, (400, "unsupported_grant_type")),
        ({"grant_type": "authorization_code"}, (400, "unsupported_grant_type")),
        ({"grant_type": "refresh_token"}, (400, "unsupported_grant_type")),
        ({"grant_type": "Client_Credentials"}, (400, "unsupported_grant_type")),
        ({"grant_type": ""}, (400, "invalid_request")),
        ({"client_id": ""}, (401, "invalid_client")),
        ({"client_id": "nobody-here"}, (401, "invalid_client")),
        ({"client_secret": ""}, (401, "invalid_client")),
        ({"client_secret": "A" * 178}, (401, "invalid_client")),
        ({"client_secret": "\U0001f511"}, (401, "invalid_client")),
        ({"scope": " "}, (401, "invalid_scope")),
        ({"scope": "everything"}, (401, "invalid_scope")),
        ({"scope": "service:* service:*"}, (401, "invalid_scope")),
        ({"scope": "service:*  api:*"}, (401, "invalid_scope")),
        ({"scope": "service:é"}, (401, "invalid_scope")),
        ({"scope": "service:" + "a" * 2048}, (401, "invalid_scope")),
        (
            {
                "client_assertion_type": ASSERTION,
                "client_assertion": "e30.e30.",
            },
            (400, "invalid_request"),
        ),
        ({"client_assertion_type": ASSERTION, "client_secret": ""}, (400, "invalid_request")),
        ({"client_assertion": "e30.e30.", "client_secret": ""}, (400, "invalid_request")),
        (
            {
                "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:saml2-bearer",
                "client_assertion": "e30.e30.",
                "client_secret": "",
            },
            (400, "invalid_request"),
        ),
        (
            {
                "client_assertion_type": ASSERTION,
                "client_assertion": "e30.e30.",
                "client_secret": "",
            },
            (401, "invalid_client"),
        ),
    ],
)
async def test_requests_that_are_refused(
    host: Host, change: dict[str, str], expected: tuple[int, str]
) -> None:
    form = {**await client(host), **change}
    assert await refused(host, form) == expected


@pytest.mark.parametrize(
    ("problem", "expected"),
    [
        ("expired", (401, "invalid_client")),
        ("credential disabled", (401, "invalid_client")),
        ("credential locked", (401, "invalid_client")),
        ("credential deleted", (401, "invalid_client")),
        ("rotated", (401, "invalid_client")),
        ("user deleted", (400, "invalid_client")),
        ("user disabled", (400, "invalid_request")),
        ("user locked", (400, "invalid_request")),
        ("human", (400, "invalid_request")),
        ("limit", (400, "invalid_request")),
        ("session rejected", (400, "invalid_client")),
        ("session locked", (400, "invalid_client")),
    ],
)
async def test_states_that_are_refused(host: Host, problem: str, expected: tuple[int, str]) -> None:
    cluster = host.cluster
    form = await client(host, expires_at=int(cluster.clock()) + 60)
    (credential,) = cluster.resources.list(core.Credential)
    robot = cluster.get(cluster.robot)
    match problem.split():
        case ["expired"]:
            cluster.clock.now += 60
        case ["credential", "deleted"]:
            await cluster.delete(credential)
        case ["credential", state]:
            credential.spec.is_disabled = state == "disabled"
            credential.status.is_locked = state == "locked"
            await cluster.change(credential)
        case ["rotated"]:
            await cluster.generate(credential)
        case ["user", "deleted"]:
            await cluster.delete(robot)
        case ["user", state]:
            robot.spec.is_disabled = state == "disabled"
            robot.status.is_locked = state == "locked"
            await cluster.change(robot)
        case ["human"]:
            robot.spec.type = core.UserSpecType__.HUMAN
            await cluster.change(robot)
        case ["limit"]:
            robot.spec.session.max_per_user = 1
            await cluster.change(robot)
            assert (await post(host, await client(host))).status_code == 200
        case ["session", state]:
            assert (await post(host, form)).status_code == 200
            (session,) = cluster.sessions()
            session.status.is_locked = state == "locked"
            if state == "rejected":
                session.spec.state = core.SessionSpecState__.REJECTED
            await cluster.change(session)
    assert await refused(host, form) == expected


async def test_tokens_of_other_types_are_no_secrets(host: Host) -> None:
    cluster = host.cluster
    form = await client(host)
    access = (await post(host, form)).json()["access_token"]
    other = await cluster.add_credential(credential_type=AUTH_TOKEN)
    for token, client_id in (
        (access, form["client_id"]),
        (cluster.token(other), other.status.id),
        (cluster.token(other), form["client_id"]),
    ):
        wrong = {**form, "client_id": client_id, "client_secret": token}
        assert await refused(host, wrong) == (401, "invalid_client")


async def test_an_unknown_client_and_a_wrong_secret_look_the_same(host: Host) -> None:
    form, other = await client(host), await client(host)
    answers = set()
    for change in (
        {"client_id": "nobody-here"},
        {"client_id": other["client_id"]},
        {"client_secret": other["client_secret"]},
        {"client_secret": "A" * 178},
        {"client_secret": form["client_secret"][:-1]},
    ):
        response = await post(host, {**form, **change})
        answers.add((response.status_code, response.text))
    assert answers == {(401, '{"error":"invalid_client"}')}


async def test_basic_authentication_is_not_taken(host: Host) -> None:
    form = await client(host)
    basic = httpx.BasicAuth(form.pop("client_id"), form.pop("client_secret"))
    response = await post(host, form, auth=basic)
    assert response.status_code == 401
    assert response.json() == {"error": "invalid_client"}


async def test_parameters_in_the_address_are_not_taken(host: Host) -> None:
    form = await client(host)
    response = await host.client.post("/oauth2/token", params=form, headers=FORM)
    assert response.json()["error"] == "invalid_request"


@pytest.mark.parametrize(
    "content_type", ["", "application/json", "multipart/form-data; boundary=x", "text/plain"]
)
async def test_other_media_types(host: Host, content_type: str) -> None:
    body = urlencode(await client(host)).encode()
    headers = {"content-type": content_type}
    response = await host.client.post("/oauth2/token", content=body, headers=headers)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")


async def test_the_media_type_may_have_parameters(host: Host) -> None:
    body = urlencode(await client(host)).encode()
    headers = {"content-type": "Application/X-WWW-Form-Urlencoded; charset=UTF-8"}
    response = await host.client.post("/oauth2/token", content=body, headers=headers)
    assert response.status_code == 200


@pytest.mark.parametrize("name", ["grant_type", "client_id", "client_secret", "scope", "other"])
async def test_repeated_parameters(host: Host, name: str) -> None:
    form = {**await client(host), "scope": "service:*", "other": "x"}
    body = urlencode(form) + "&" + urlencode({name: form[name]})
    response = await host.client.post("/oauth2/token", content=body, headers=FORM)
    check(response)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")
    assert form["client_secret"] not in response.text


async def test_unknown_parameters_are_ignored(host: Host) -> None:
    response = await post(host, {**await client(host), "resource": "https://example.com/x"})
    assert response.status_code == 200


async def test_a_client_that_never_uses_its_tokens(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = endpoint_of(host, host.publish)
    clock = Clock(0)
    monkeypatch.setattr(endpoint, "_issued", Pace(2, 1, clock))
    app = Starlette(routes=[Route("/oauth2/token", endpoint.token, methods=["POST"])])
    form = await client(host)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="https://example.com"
    ) as browser:
        for _ in range(5):  # strangers cannot use up what is the client's
            wrong = await browser.post("/oauth2/token", data={**form, "client_secret": "x"})
            assert wrong.status_code == 401
        for _ in range(2):
            assert (await browser.post("/oauth2/token", data=form)).status_code == 200
        response = await browser.post("/oauth2/token", data=form)
        assert (response.status_code, response.json()["error"]) == (429, "slow_down")
        assert response.headers["retry-after"] == "1"
        clock.now = 1
        assert (await browser.post("/oauth2/token", data=form)).status_code == 200


async def test_the_body_is_bounded(host: Host) -> None:
    form = await client(host)
    form["padding"] = "x"
    form["padding"] = "x" * (oauth2.MAX_BODY - len(urlencode(form)) + 1)
    assert len(urlencode(form)) == oauth2.MAX_BODY
    assert (await post(host, form)).status_code == 200
    form["padding"] += "x"
    response = await post(host, form)
    check(response)
    assert (response.status_code, response.json()["error"]) == (413, "invalid_request")


async def test_an_endless_body_is_not_read_to_its_end(host: Host) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 100 * oauth2.MAX_BODY:
            sent += 1024
            yield b"x" * 1024

    response = await host.client.post("/oauth2/token", content=endless(), headers=FORM)
    assert response.status_code == 413
    assert sent <= oauth2.MAX_BODY + 2048


async def test_a_slow_body(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "SECONDS", 0.02)

    async def stuck() -> AsyncIterator[bytes]:
        yield b"grant_type="
        await asyncio.Event().wait()

    response = await host.client.post("/oauth2/token", content=stuck(), headers=FORM)
    check(response)
    assert (response.status_code, response.json()["error"]) == (408, "invalid_request")


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
async def test_other_methods(host: Host, method: str) -> None:
    response = await host.client.request(method, "/oauth2/token?client_secret=x")
    assert response.status_code == 405
    assert response.headers["allow"] == "POST"
    assert "location" not in response.headers


async def test_a_fault_is_a_server_error(
    host: Host, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    form = await client(host)

    async def fail(*_args: object, **_kwargs: object) -> None:
        raise Unavailable("the disk is full")

    monkeypatch.setattr(host.cluster.authentication, "with_client_secret", fail)
    response = await post(host, form)
    check(response)
    assert (response.status_code, response.json()) == (500, {"error": "server_error"})
    assert "the disk is full" in caplog.text
    assert form["client_secret"] not in caplog.text


async def test_what_is_not_published_is_not_issued(host: Host) -> None:
    async def fail() -> None:
        raise Unavailable("nobody listens")

    form = await client(host)
    endpoint = oauth2.OAuth2(
        Site("example.com"), host.cluster.authentication, fail, {}, {}, host.workloads
    )
    scope = {
        "type": "http",
        "method": "POST",
        "headers": [(b"content-type", FORM["content-type"].encode())],
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": urlencode(form).encode(), "more_body": False}

    from starlette.requests import Request

    response = await endpoint.token(Request(scope, receive))
    assert response.status_code == 500
    assert bytes(response.body) == b'{"error":"server_error"}'


async def test_a_client_that_hangs_up(host: Host, caplog: pytest.LogCaptureFixture) -> None:
    from starlette.requests import Request

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    scope = {
        "type": "http",
        "method": "POST",
        "headers": [(b"content-type", FORM["content-type"].encode())],
    }
    endpoint = oauth2.OAuth2(
        Site("example.com"), host.cluster.authentication, host.publish, {}, {}, host.workloads
    )
    assert (await endpoint.token(Request(scope, receive))).status_code == 400
    assert not caplog.records


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=80,
)
@given(
    body=st.one_of(
        st.binary(max_size=300),
        st.dictionaries(
            st.sampled_from(["grant_type", "client_id", "client_secret", "scope"]),
            st.one_of(st.text(max_size=50), st.just("client_credentials")),
        ).map(lambda fields: urlencode(fields, errors="replace").encode()),
    )
)
async def test_no_body_gets_a_token_or_a_fault(host: Host, body: bytes) -> None:
    response = await host.client.post("/oauth2/token", content=body, headers=FORM)
    check(response)
    assert response.status_code in (400, 401)
    assert "access_token" not in response.json()
    assert not host.cluster.sessions()


@pytest.mark.parametrize(
    ("port", "token_endpoint"),
    [
        (443, "https://example.com/oauth2/token"),
        (8443, "https://example.com:8443/oauth2/token"),
    ],
)
async def test_metadata(host: Host, port: int, token_endpoint: str) -> None:
    other = Host(host.cluster, Site("example.com", port))
    async with other.client, other.portal:
        response = await other.client.get("/.well-known/oauth-authorization-server")
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.json() == {
        "issuer": "https://example.com",
        "token_endpoint": token_endpoint,
        "device_authorization_endpoint": token_endpoint.replace("token", "device_authorization"),
        "grant_types_supported": [
            "client_credentials",
            "urn:ietf:params:oauth:grant-type:device_code",
        ],
        "token_endpoint_auth_methods_supported": ["client_secret_post"],
        "response_types_supported": ["code"],
    }


async def add_workload(host: Host, issuer: peers.Issuer, **spec: Any) -> None:
    """An IdentityProvider for `issuer`, at which the User `ci` is `repo:org/app`."""

    def add(tx: Transaction) -> None:
        provider = core.IdentityProvider()
        provider.metadata.name = "actions"
        provider.spec.oidc_identity_token.issuer_url = issuer.url
        complete(provider, TransactionView(tx))
        tx.create(provider)

    await host.cluster.write(add)
    identities = (("actions", "repo:org/app"),)
    await host.cluster.write(
        lambda tx: add_person(tx, "ci", human=False, identities=identities, **spec)
    )


@pytest.fixture(name="issuer")
def issuer_fixture() -> Iterator[peers.Issuer]:
    with peers.issuer() as issuer:
        yield issuer


async def test_a_token_for_an_assertion(host: Host, issuer: peers.Issuer) -> None:
    await add_workload(host, issuer)
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION,
        "client_assertion": issuer.token("repo:org/app", "https://example.com"),
        "scope": "service:wiki",
    }
    agent = {"user-agent": "octelium-cli/1.0"}
    responses = [await post(host, form, headers=agent) for _ in range(2)]
    assert host.published == 2
    for response in responses:
        check(response)
        assert response.status_code == 200
        assert response.json()["scope"] == "service:wiki.default"
    sessions = host.cluster.sessions()
    (session,) = sessions  # one assertion, one Session
    assert session.status.user_ref.name == "ci"
    assert session.status.type == core.SessionStatusType__.CLIENTLESS
    assert session.metadata.actor_operation == "oauth2/token"
    another = issuer.token("repo:org/app", "https://example.com", jti="another")
    assert (await post(host, {**form, "client_assertion": another}, headers=agent)).is_success
    assert len(host.cluster.sessions()) == 2
    assert await refused(host, {**form, "scope": "everything"}) == (401, "invalid_scope")
    stranger = {**form, "client_assertion": issuer.token("repo:org/other", "https://example.com")}
    assert await refused(host, stranger) == (400, "invalid_client")


async def test_assertions_that_prove_nothing(host: Host, issuer: peers.Issuer) -> None:
    await add_workload(host, issuer)
    form = {"grant_type": "client_credentials", "client_assertion_type": ASSERTION}
    for token in (
        issuer.token("repo:org/app", "https://other.example"),
        issuer.token("repo:org/app", "https://example.com", exp=1_000_000_000),
        issuer.token("repo:org/app", "https://example.com", iss="https://other.example"),
        issuer.token("repo:org/app", "https://example.com")[:-4],
        "A" * 9000,
    ):
        refusal = await refused(host, {**form, "client_assertion": token})
        assert refusal == (401, "invalid_client")
        assert host.cluster.log.attempts[-1].way == Way.ASSERTION
        assert host.cluster.log.attempts[-1].outcome == Outcome.REFUSED
    assert not host.cluster.sessions()


async def test_a_workload_that_is_barred(host: Host, issuer: peers.Issuer) -> None:
    await add_workload(host, issuer, disabled=True)
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION,
        "client_assertion": issuer.token("repo:org/app", "https://example.com"),
    }
    assert await refused(host, form) == (400, "invalid_request")
