from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

import grpc
import pytest
import pytest_asyncio
from grpc.aio import AioRpcError

from octelium.apiserver.auth import DESCRIPTOR, LIMITS, MAX_REQUEST_BYTES, AuthService
from octelium.apiserver.rpc import Binding, Call
from octelium.identity.errors import AuthenticationError
from octelium.identity.tokens import TokenType
from octelium.schema.pb import auth_v1_pb2 as auth
from octelium.schema.pb import core_v1_pb2 as core
from tests.apiserver.calls import PAGES, Calls, from_page, serving
from tests.identity.authenticators.people import People, open_people
from tests.identity.cluster import OAUTH2, Cluster, open_cluster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

SIGN_IN = "AuthenticateWithAuthenticationToken"
REFRESH = "AuthenticateWithRefreshToken"
CODE = grpc.StatusCode


@pytest_asyncio.fixture(name="cluster")
async def cluster_fixture(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with open_cluster(tmp_path) as cluster:
        yield cluster


@pytest_asyncio.fixture(name="calls")
async def calls_fixture(cluster: Cluster, tmp_path: Path) -> AsyncIterator[Calls]:
    binding = Binding(DESCRIPTOR, AuthService(cluster.authentication, PAGES), MAX_REQUEST_BYTES)
    async with serving(binding, tmp_path, LIMITS) as calls:
        yield calls


def sign_in(token: str, **more: object) -> auth.AuthenticateWithAuthenticationTokenRequest:
    request = auth.AuthenticateWithAuthenticationTokenRequest(authentication_token=token)
    for field, value in more.items():
        if isinstance(value, list):
            getattr(request, field).extend(value)
        else:
            setattr(request, field, value)
    return request


def with_refresh(token: str) -> list[tuple[str, str]]:
    return [("x-octelium-refresh-token", token)]


async def test_sign_in_refresh_log_out(cluster: Cluster, calls: Calls) -> None:
    credential = await cluster.add_credential(cluster.alice)
    first: auth.SessionToken = await calls(SIGN_IN, sign_in(cluster.token(credential)))
    assert first.access_token
    assert first.refresh_token
    assert (first.expires_in, first.refresh_token_expires_in) == (14400, 75600)
    (session,) = cluster.sessions()
    assert session.status.type == core.SessionStatusType__.CLIENT
    assert session.metadata.actor_operation == f"{DESCRIPTOR.full_name}/{SIGN_IN}"
    downstream = session.status.authentication.info.downstream
    assert downstream.user_agent.startswith("octelium-cli/0.9.0 grpc-python-asyncio/")

    second: auth.SessionToken = await calls(REFRESH, metadata=with_refresh(first.refresh_token))
    assert second.refresh_token_expires_in >= second.expires_in > 0
    (session,) = cluster.sessions()
    assert session.metadata.actor_ref.uid == session.metadata.uid
    claims = cluster.keyring.verifier.verify(second.access_token, TokenType.ACCESS)
    assert claims is not None
    assert claims.token_id == session.status.authentication.token_id

    reply = await calls("Logout", metadata=with_refresh(second.refresh_token))
    assert reply == auth.LogoutResponse()
    assert not cluster.sessions()
    assert calls.published == 3


async def code(calls: Calls, method: str, *args: object, **kwargs: object) -> grpc.StatusCode:
    with pytest.raises(AioRpcError) as caught:
        await calls(method, *args, **kwargs)  # type: ignore[arg-type]  # handed on as they came
    status = caught.value.code()
    if status is CODE.UNAUTHENTICATED:
        assert caught.value.details() == "Unauthenticated User"
    return status


@pytest.mark.parametrize("token", ["", "x", "A" * 178, "é", "A" * 100_000])
async def test_tokens_that_are_none(cluster: Cluster, calls: Calls, token: str) -> None:
    assert await code(calls, SIGN_IN, sign_in(token)) is CODE.UNAUTHENTICATED
    if token.isascii() and len(token) < 1000:
        for method in (REFRESH, "Logout"):
            assert await code(calls, method, metadata=with_refresh(token)) is CODE.UNAUTHENTICATED
    assert not cluster.sessions()


async def test_refresh_without_a_token(calls: Calls) -> None:
    for method in (REFRESH, "Logout"):
        assert await code(calls, method) is CODE.UNAUTHENTICATED


async def test_codes_of_a_sign_in(cluster: Cluster, calls: Calls) -> None:
    credential = await cluster.add_credential()
    token = cluster.token(credential)
    assert await code(calls, SIGN_IN, sign_in(token, scopes=["x"])) is CODE.INVALID_ARGUMENT
    assert await code(calls, SIGN_IN, sign_in("x", scopes=["x"])) is CODE.INVALID_ARGUMENT
    bound = sign_in(token, code_verifier=b"v" * 32)
    assert await code(calls, SIGN_IN, bound) is CODE.UNAUTHENTICATED
    secret = cluster.token(await cluster.add_credential(credential_type=OAUTH2))
    assert await code(calls, SIGN_IN, sign_in(secret)) is CODE.UNAUTHENTICATED

    cluster.robot.spec.session.max_per_user = 1
    await cluster.change(cluster.robot)
    assert await calls(SIGN_IN, sign_in(token, scopes=["service:wiki", "api:core"]))
    assert len(cluster.sessions()[0].status.scopes) == 2
    assert await code(calls, SIGN_IN, sign_in(token)) is CODE.PERMISSION_DENIED

    cluster.robot.spec.is_disabled = True
    await cluster.change(cluster.robot)
    assert await code(calls, SIGN_IN, sign_in(token)) is CODE.PERMISSION_DENIED
    await cluster.delete(cluster.robot)
    assert await code(calls, SIGN_IN, sign_in(token)) is CODE.UNAUTHENTICATED


async def test_code_verifier(cluster: Cluster, calls: Calls) -> None:
    challenge = hashlib.sha256(b"v" * 32).digest()
    credential = await cluster.add_credential(code_challenge=challenge)
    token = cluster.token(credential)
    assert await code(calls, SIGN_IN, sign_in(token)) is CODE.UNAUTHENTICATED
    assert await calls(SIGN_IN, sign_in(token, code_verifier=b"v" * 32))


async def test_refreshing_too_often_keeps_the_tokens(cluster: Cluster, calls: Calls) -> None:
    token = cluster.token(await cluster.add_credential())
    issued = await calls(SIGN_IN, sign_in(token))
    for _ in range(5):
        issued = await calls(REFRESH, metadata=with_refresh(issued.refresh_token))
    refused = await code(calls, REFRESH, metadata=with_refresh(issued.refresh_token))
    assert refused is CODE.ALREADY_EXISTS
    assert await calls("Logout", metadata=with_refresh(issued.refresh_token))


@pytest.mark.parametrize(
    ("state", "expected"),
    [("PENDING", None), ("REJECTED", CODE.UNAUTHENTICATED), ("locked", CODE.UNAUTHENTICATED)],
)
async def test_states(
    cluster: Cluster, calls: Calls, state: str, expected: grpc.StatusCode | None
) -> None:
    token = cluster.token(await cluster.add_credential())
    issued = await calls(SIGN_IN, sign_in(token))
    (session,) = cluster.sessions()
    if state == "locked":
        session.status.is_locked = True
    else:
        session.spec.state = getattr(core.SessionSpecState__, state)
    await cluster.change(session)
    metadata = with_refresh(issued.refresh_token)
    if expected is None:
        assert await calls(REFRESH, metadata=metadata)
    else:
        assert await code(calls, REFRESH, metadata=metadata) is expected
        assert await code(calls, "Logout", metadata=metadata) is expected


async def test_browsers_do_not_refresh_here(cluster: Cluster, calls: Calls) -> None:
    issued = await calls(SIGN_IN, sign_in(cluster.token(await cluster.add_credential())))
    (session,) = cluster.sessions()
    session.status.is_browser = True
    await cluster.change(session)
    refused = await code(calls, REFRESH, metadata=with_refresh(issued.refresh_token))
    assert refused is CODE.PERMISSION_DENIED


async def test_an_access_token_or_a_claimed_session_is_no_refresh_token(
    cluster: Cluster, calls: Calls
) -> None:
    issued = await calls(SIGN_IN, sign_in(cluster.token(await cluster.add_credential())))
    (session,) = cluster.sessions()
    for metadata in (
        with_refresh(issued.access_token),
        [("x-octelium-auth", issued.access_token)],
        [("x-octelium-session-uid", session.metadata.uid)],
    ):
        assert await code(calls, "Logout", metadata=metadata) is CODE.UNAUTHENTICATED
    assert cluster.sessions() == [session]


async def test_a_one_off_token_over_the_wire(cluster: Cluster, calls: Calls) -> None:
    credential = await cluster.add_credential(max_authentications=1, auto_delete=True)
    request = sign_in(cluster.token(credential))
    results = await asyncio.gather(
        *(calls(SIGN_IN, request) for _ in range(20)), return_exceptions=True
    )
    assert sum(isinstance(result, auth.SessionToken) for result in results) == 1
    assert len(cluster.sessions()) == 1


async def test_every_other_method_says_that_it_is_not_offered(calls: Calls) -> None:
    offered = {SIGN_IN, REFRESH, "Logout"}
    for method in DESCRIPTOR.methods:
        if method.name not in offered:
            with pytest.raises(AioRpcError) as caught:
                await calls(method.name)
            assert caught.value.code() is CODE.UNIMPLEMENTED
            assert method.name in (caught.value.details() or "")


async def test_large_requests_are_refused(calls: Calls) -> None:
    request = sign_in("A" * MAX_REQUEST_BYTES)
    assert await code(calls, SIGN_IN, request) is CODE.INVALID_ARGUMENT


@pytest_asyncio.fixture(name="people")
async def people_fixture(tmp_path: Path) -> AsyncIterator[People]:
    async with open_people(tmp_path) as people:
        yield people


def from_browser(origin: str, refresh_token: str) -> Call:
    call = Call(f"/{DESCRIPTOR.full_name}/Logout")
    call.origin = origin
    call.metadata = {"cookie": f"octelium_rt={refresh_token}"}
    return call


@pytest.mark.parametrize("origin", [PAGES.login, PAGES.portal])
async def test_a_browser_logs_out(people: People, origin: str) -> None:
    issued, other = await people.session(), await people.session()
    call = from_browser(origin, issued.refresh_token)
    await AuthService(people.cluster.authentication, PAGES).logout(auth.LogoutRequest(), call)
    assert [one.metadata.uid for one in people.cluster.sessions()] == [other.session.metadata.uid]
    gone = [cookie.split("; ") for cookie in call.set_cookies]
    assert [parts[0] for parts in gone] == ["octelium_auth=", "octelium_rt="]
    for parts in gone:
        assert {"Max-Age=0", "Domain=example.com", "Path=/", "Secure", "HttpOnly"} < set(parts)


@pytest.mark.parametrize(
    "origin", ["", "null", "https://evil.test", "https://wiki.example.com", "http://example.com"]
)
async def test_other_sites_log_nobody_out(people: People, origin: str) -> None:
    issued = await people.session()
    call = from_browser(origin, issued.refresh_token)
    with pytest.raises(AuthenticationError):
        await AuthService(people.cluster.authentication, PAGES).logout(auth.LogoutRequest(), call)
    assert len(people.cluster.sessions()) == 1
    assert call.set_cookies == []


async def test_clients_have_no_cookies(people: People) -> None:
    issued = await people.session(client=True)
    call = Call(f"/{DESCRIPTOR.full_name}/Logout")
    call.refresh_token = issued.refresh_token
    await AuthService(people.cluster.authentication, PAGES).logout(auth.LogoutRequest(), call)
    assert people.cluster.sessions() == []
    assert call.set_cookies == []


async def test_a_browser_is_not_renewed_here(people: People, tmp_path: Path) -> None:
    issued = await people.session()
    binding = Binding(
        DESCRIPTOR, AuthService(people.cluster.authentication, PAGES), MAX_REQUEST_BYTES
    )
    async with serving(binding, tmp_path, LIMITS) as calls:
        own = from_page(PAGES.login, issued.refresh_token)
        assert await code(calls, REFRESH, metadata=own) is CODE.PERMISSION_DENIED
        foreign = from_page("https://evil.test", issued.refresh_token)
        assert await code(calls, REFRESH, metadata=foreign) is CODE.UNAUTHENTICATED


async def test_a_session_that_must_use_its_authenticator(cluster: Cluster, calls: Calls) -> None:
    """It is renewed with that alone; the rest of auth.v1 is there for it."""
    issued = await calls(SIGN_IN, sign_in(cluster.token(await cluster.add_credential())))
    (session,) = cluster.sessions()
    session.status.required_authenticator_ref.uid = session.metadata.uid
    actions = core.SessionStatusAuthenticatorAction__
    session.status.authenticator_action = actions.AUTHENTICATION_REQUIRED
    await cluster.change(session)
    metadata = with_refresh(issued.refresh_token)
    assert await code(calls, REFRESH, metadata=metadata) is CODE.PERMISSION_DENIED
    assert await calls("Logout", metadata=metadata) == auth.LogoutResponse()


async def test_a_refresh_of_a_barred_user(cluster: Cluster, calls: Calls) -> None:
    issued = await calls(SIGN_IN, sign_in(cluster.token(await cluster.add_credential())))
    cluster.robot.spec.is_disabled = True
    await cluster.change(cluster.robot)
    metadata = with_refresh(issued.refresh_token)
    assert await code(calls, REFRESH, metadata=metadata) is CODE.PERMISSION_DENIED
