from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest
import pytest_asyncio
from grpc.aio import AioRpcError

from octelium.apiserver.auth import DESCRIPTOR, LIMITS, MAX_REQUEST_BYTES, AuthService, methods
from octelium.apiserver.authenticators import AuthenticatorService
from octelium.apiserver.rpc import ApiError, Binding, Call
from octelium.schema.pb import auth_v1_pb2 as auth
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta
from tests.apiserver.calls import PAGES, Calls, from_page, serving
from tests.identity.authenticators.people import ACTIONS, PARTY, People, open_people, secret_of
from tests.identity.authenticators.soft_key import SoftKey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from octelium.identity.admission import IssuedTokens

CODE = grpc.StatusCode
TYPES = auth.AuthenticatorStatusType__
BROWSER = "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"


@pytest_asyncio.fixture(name="people")
async def people_fixture(tmp_path: Path) -> AsyncIterator[People]:
    async with open_people(tmp_path) as people:
        yield people


@pytest_asyncio.fixture(name="calls")
async def calls_fixture(people: People, tmp_path: Path) -> AsyncIterator[Calls]:
    service = methods(
        AuthService(people.cluster.authentication, PAGES),
        AuthenticatorService(people.authenticators, PAGES),
    )
    async with serving(Binding(DESCRIPTOR, service, MAX_REQUEST_BYTES), tmp_path, LIMITS) as calls:
        yield calls


def by(session: IssuedTokens) -> list[tuple[str, str]]:
    return [("x-octelium-refresh-token", session.refresh_token)]


async def code(calls: Calls, method: str, *args: Any) -> grpc.StatusCode:
    with pytest.raises(AioRpcError) as caught:
        await calls(method, *args)
    return caught.value.code()


def ref(made: auth.Authenticator) -> meta.ObjectReference:
    return meta.ObjectReference(uid=made.metadata.uid)


async def register_totp(
    people: People, calls: Calls, session: IssuedTokens
) -> tuple[auth.Authenticator, bytes]:
    request = auth.CreateAuthenticatorRequest(type=TYPES.TOTP, display_name="My phone")
    made = await calls("CreateAuthenticator", request, by(session))
    begin = auth.RegisterAuthenticatorBeginRequest(authenticator_ref=ref(made))
    begun = await calls("RegisterAuthenticatorBegin", begin, by(session))
    secret = secret_of(begun.challenge_request.totp.url)
    finish = auth.RegisterAuthenticatorFinishRequest(authenticator_ref=ref(made))
    finish.challenge_response.totp.response = people.password(secret)
    await calls("RegisterAuthenticatorFinish", finish, by(session))
    people.cluster.clock.now += 60
    return made, secret


async def test_totp_of_a_client(people: People, calls: Calls) -> None:
    session = await people.session(client=True)
    made, secret = await register_totp(people, calls, session)
    listed = await calls("ListAuthenticator", None, by(session))
    (shown,) = listed.items
    assert shown.metadata.uid == made.metadata.uid
    assert shown.status.is_registered
    assert (shown.kind, shown.spec.display_name) == ("Authenticator", "My phone")
    assert listed.list_response_meta.total_count == 1
    found = await calls("GetAvailableAuthenticator", None, by(session))
    assert not found.HasField("main_authenticator")
    assert list(found.available_authenticators) == [shown]

    begin = auth.AuthenticateAuthenticatorBeginRequest(authenticator_ref=ref(made))
    begun = await calls("AuthenticateAuthenticatorBegin", begin, by(session))
    assert begun.challenge_request.WhichOneof("type") == "totp"
    finish = auth.AuthenticateWithAuthenticatorRequest(authenticator_ref=ref(made))
    finish.challenge_response.totp.response = people.password(secret)
    token = await calls("AuthenticateWithAuthenticator", finish, by(session))
    assert token.access_token
    assert token.expires_in == 14400
    assert await code(calls, "ListAuthenticator", None, by(session)) is CODE.UNAUTHENTICATED
    renewed = [("x-octelium-refresh-token", token.refresh_token)]
    assert await code(calls, "AuthenticateWithAuthenticator", finish, renewed) is (
        CODE.PERMISSION_DENIED
    )

    shown.spec.display_name = "Other phone"
    shown.status.is_registered = False
    changed = await calls("UpdateAuthenticator", shown, renewed)
    assert changed.spec.display_name == "Other phone"
    assert changed.status.is_registered
    one = meta.GetOptions(name=made.metadata.name)
    assert await calls("GetAuthenticator", one, renewed) == changed
    await calls("DeleteAuthenticator", meta.DeleteOptions(uid=made.metadata.uid), renewed)
    assert await code(calls, "GetAuthenticator", one, renewed) is CODE.PERMISSION_DENIED


async def test_fido_of_a_browser(people: People, calls: Calls) -> None:
    session = await people.session(authenticator_action=ACTIONS.REGISTRATION_REQUIRED)
    key = SoftKey(PARTY.origin, PARTY.domain)
    cookies = [
        ("cookie", f"octelium_rt={session.refresh_token}"),
        ("x-octelium-origin", PARTY.origin),
        ("user-agent", BROWSER),
    ]
    request = auth.CreateAuthenticatorRequest(type=TYPES.FIDO)
    made = await calls("CreateAuthenticator", request, cookies)
    begin = auth.RegisterAuthenticatorBeginRequest(authenticator_ref=ref(made))
    begun = await calls("RegisterAuthenticatorBegin", begin, cookies)
    finish = auth.RegisterAuthenticatorFinishRequest(authenticator_ref=ref(made))
    finish.challenge_response.fido.response = key.create(begun.challenge_request.fido.request)
    assert await calls("RegisterAuthenticatorFinish", finish, cookies) is not None
    # It could do nothing before: its old tokens still can do nothing.
    assert await code(calls, "ListAuthenticator", None, cookies) is CODE.UNAUTHENTICATED
    access, renewed = calls.cookies
    assert access.startswith("octelium_auth=")
    assert renewed.startswith("octelium_rt=")
    assert session.refresh_token not in renewed
    cookies[0] = ("cookie", renewed.partition(";")[0])

    begin2 = auth.AuthenticateAuthenticatorBeginRequest(authenticator_ref=ref(made))
    begun2 = await calls("AuthenticateAuthenticatorBegin", begin2, cookies)
    finish2 = auth.AuthenticateWithAuthenticatorRequest(authenticator_ref=ref(made))
    finish2.challenge_response.fido.response = key.get(begun2.challenge_request.fido.request)
    token = await calls("AuthenticateWithAuthenticator", finish2, cookies)
    assert token == auth.SessionToken()
    evil = [cookies[0], ("x-octelium-origin", "https://evil.test")]
    assert await code(calls, "ListAuthenticator", None, evil) is CODE.UNAUTHENTICATED


async def test_codes(people: People, calls: Calls) -> None:
    alice, bob = await people.session(client=True), await people.session(people.bob)
    made, _ = await register_totp(people, calls, alice)
    for method, request in (
        ("GetAuthenticator", meta.GetOptions(uid=made.metadata.uid)),
        ("DeleteAuthenticator", meta.DeleteOptions(uid=made.metadata.uid)),
        ("UpdateAuthenticator", made),
        (
            "AuthenticateAuthenticatorBegin",
            auth.AuthenticateAuthenticatorBeginRequest(authenticator_ref=ref(made)),
        ),
    ):
        assert await code(calls, method, request, by(bob)) is CODE.PERMISSION_DENIED
        assert await code(calls, method, request) is CODE.UNAUTHENTICATED
    create = auth.CreateAuthenticatorRequest
    for kind, who, expected in (
        (TYPES.TPM, alice, CODE.UNIMPLEMENTED),
        (TYPES.TPM, bob, CODE.PERMISSION_DENIED),
        (TYPES.FIDO, alice, CODE.PERMISSION_DENIED),
        (TYPES.TYPE_UNKNOWN, alice, CODE.INVALID_ARGUMENT),
    ):
        assert await code(calls, "CreateAuthenticator", create(type=kind), by(who)) is expected
    finish = auth.AuthenticateWithAuthenticatorRequest(authenticator_ref=ref(made))
    method = "AuthenticateWithAuthenticator"
    assert await code(calls, method, finish, by(alice)) is CODE.INVALID_ARGUMENT
    finish.challenge_response.tpm.response = b"x"
    assert await code(calls, method, finish, by(alice)) is CODE.INVALID_ARGUMENT
    finish.challenge_response.totp.response = "123456"
    assert await code(calls, method, finish, by(alice)) is CODE.PERMISSION_DENIED


async def test_passkeys(people: People, calls: Calls) -> None:
    await people.configure(enable_passkey_login=True)
    _, key = await people.add_fido(await people.session())
    begin, finish = "AuthenticateWithPasskeyBegin", "AuthenticateWithPasskey"
    page = [("x-octelium-origin", PARTY.origin)]
    assert await code(calls, begin) is CODE.PERMISSION_DENIED
    # The client of this test names itself octelium-cli: no browser.
    assert await code(calls, begin, None, page) is CODE.PERMISSION_DENIED
    service = AuthenticatorService(people.authenticators, PAGES)
    call = _browser_call()
    request = auth.AuthenticateWithPasskeyBeginRequest(query="redirect=x")
    options = (await service.authenticate_with_passkey_begin(request, call)).request
    response = auth.AuthenticateWithPasskeyRequest(response=key.get(options))
    token = await service.authenticate_with_passkey(response, call)
    assert token == auth.SessionToken()
    assert [cookie.partition("=")[0] for cookie in call.set_cookies] == [
        "octelium_auth",
        "octelium_rt",
    ]
    assert await code(calls, finish, response, page) is CODE.PERMISSION_DENIED
    assert (
        sum(
            one.status.authentication.info.authenticator.mode
            == core.SessionStatusAuthenticationInfoAuthenticatorMode__.PASSKEY
            for one in people.cluster.sessions()
        )
        == 1
    )
    long = auth.AuthenticateWithPasskeyBeginRequest(query="x" * 1001)
    with pytest.raises(ApiError, match="1000"):
        await service.authenticate_with_passkey_begin(long, call)


@pytest.mark.parametrize("origin", [PAGES.login, PAGES.portal])
async def test_a_page_with_cookies_alone(people: People, calls: Calls, origin: str) -> None:
    session = await people.session()
    own = from_page(origin, session.refresh_token)
    request = auth.CreateAuthenticatorRequest(type=TYPES.TOTP, display_name="My phone")
    made = await calls("CreateAuthenticator", request, own)
    begin = auth.RegisterAuthenticatorBeginRequest(authenticator_ref=ref(made))
    begun = await calls("RegisterAuthenticatorBegin", begin, own)
    secret = secret_of(begun.challenge_request.totp.url)
    finish = auth.RegisterAuthenticatorFinishRequest(authenticator_ref=ref(made))
    finish.challenge_response.totp.response = people.password(secret)
    await calls("RegisterAuthenticatorFinish", finish, own)
    people.cluster.clock.now += 60
    (shown,) = (await calls("ListAuthenticator", None, own)).items
    found = await calls("GetAvailableAuthenticator", None, own)
    assert list(found.available_authenticators) == [shown]
    assert await calls("GetAuthenticator", meta.GetOptions(uid=made.metadata.uid), own) == shown
    shown.spec.display_name = "Other phone"
    assert await calls("UpdateAuthenticator", shown, own) == shown
    proof = auth.AuthenticateAuthenticatorBeginRequest(authenticator_ref=ref(made))
    await calls("AuthenticateAuthenticatorBegin", proof, own)
    answer = auth.AuthenticateWithAuthenticatorRequest(authenticator_ref=ref(made))
    answer.challenge_response.totp.response = people.password(secret)
    # The tokens are in cookies, where no script reads them.
    assert await calls("AuthenticateWithAuthenticator", answer, own) == auth.SessionToken()


@pytest.mark.parametrize("origin", ["", "null", "https://evil.test", "https://wiki.example.com"])
async def test_other_pages_with_the_cookies(people: People, calls: Calls, origin: str) -> None:
    session = await people.session()
    foreign = from_page(origin, session.refresh_token)
    for method in (
        "CreateAuthenticator",
        "GetAuthenticator",
        "ListAuthenticator",
        "UpdateAuthenticator",
        "DeleteAuthenticator",
        "RegisterAuthenticatorBegin",
        "RegisterAuthenticatorFinish",
        "AuthenticateAuthenticatorBegin",
        "AuthenticateWithAuthenticator",
        "GetAvailableAuthenticator",
    ):
        request = None
        if method == "CreateAuthenticator":
            request = auth.CreateAuthenticatorRequest(type=TYPES.TOTP)
        elif method in ("RegisterAuthenticatorFinish", "AuthenticateWithAuthenticator"):
            name = f"{method}Request"
            request = getattr(auth, name)()
            request.challenge_response.totp.response = "123456"
        assert await code(calls, method, request, foreign) is CODE.UNAUTHENTICATED
    assert people.cluster.resources.count(core.Authenticator) == 0


def _browser_call() -> Call:
    call = Call("/x/y")
    call.origin, call.user_agent = PARTY.origin, BROWSER
    return call


def test_every_method_is_found_once() -> None:
    found = methods(AuthService, AuthenticatorService)
    assert found["logout"] is AuthService.logout
    assert found["create_authenticator"] is AuthenticatorService.create_authenticator
    assert "run_device_probe_begin" not in found


async def test_tpm_is_not_offered(people: People, calls: Calls) -> None:
    """With a status that the official clients take for that, and a word of what to do."""
    request = auth.CreateAuthenticatorRequest(type=TYPES.TPM)
    client, browser = await people.session(client=True), await people.session()
    with pytest.raises(AioRpcError) as caught:
        await calls("CreateAuthenticator", request, by(client))
    assert caught.value.code() is CODE.UNIMPLEMENTED
    assert "does not offer TPM Authenticators; use TOTP" in (caught.value.details() or "")
    assert await code(calls, "CreateAuthenticator", request, by(browser)) is CODE.PERMISSION_DENIED


@pytest.mark.parametrize("wanted", [ACTIONS.AUTHENTICATION_REQUIRED, ACTIONS.REGISTRATION_REQUIRED])
async def test_a_session_that_needs_one_first_may_ask(
    people: People, calls: Calls, wanted: Any
) -> None:
    """Elsewhere it may do nothing."""
    session = await people.session(authenticator_action=wanted)
    assert await calls("ListAuthenticator", None, by(session)) is not None
    assert await calls("GetAvailableAuthenticator", None, by(session)) is not None
