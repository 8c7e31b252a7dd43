from __future__ import annotations

import asyncio
import hashlib
import logging
import uuid
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from octelium.identity import keys
from octelium.identity.errors import (
    AuthenticationError,
    CredentialUnusableError,
    RefusedError,
    SessionLimitError,
    SessionRefusedError,
    TooEarlyError,
    UnauthenticatedError,
    UnknownUserError,
)
from octelium.identity.scopes import ScopeError
from octelium.identity.sessions import Downstream
from octelium.identity.tokens import Signer, TokenType
from octelium.schema.pb import core_v1_pb2 as core
from tests.identity.cluster import (
    ACCESS_TOKEN,
    AUTH_TOKEN,
    CLI,
    NOW,
    OAUTH2,
    SDK,
    Cluster,
    open_cluster,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from octelium.identity.admission import IssuedTokens

HOUR = 3600
CLIENT = core.SessionStatusType__.CLIENT
CLIENTLESS = core.SessionStatusType__.CLIENTLESS
INFO_TYPES = core.SessionStatusAuthenticationInfoType__


@pytest_asyncio.fixture(name="cluster")
async def cluster_fixture(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with open_cluster(tmp_path) as cluster:
        yield cluster


async def sign_in(
    cluster: Cluster,
    credential: core.Credential,
    *,
    scopes: Sequence[str] = (),
    code_verifier: bytes = b"",
    downstream: Downstream = CLI,
) -> IssuedTokens:
    return await cluster.authentication.with_authentication_token(
        cluster.token(credential),
        scopes=scopes,
        code_verifier=code_verifier,
        downstream=downstream,
        operation="sign-in",
    )


async def client_token(
    cluster: Cluster,
    credential: core.Credential,
    *,
    client_id: str | None = None,
    scopes: Sequence[str] | None = None,
) -> IssuedTokens:
    return await cluster.authentication.with_client_secret(
        credential.status.id if client_id is None else client_id,
        cluster.token(credential),
        scopes=scopes,
        downstream=SDK,
        operation="/oauth2/token",
    )


async def refresh(cluster: Cluster, token: str) -> IssuedTokens:
    return await cluster.authentication.with_refresh_token(
        token, downstream=CLI, operation="refresh"
    )


def token_ids(cluster: Cluster, issued: IssuedTokens) -> str:
    """The id both tokens carry, if they are those of the Session as it is stored."""
    verifier = cluster.keyring.verifier
    access = verifier.verify(issued.access_token, TokenType.ACCESS)
    refreshing = verifier.verify(issued.refresh_token, TokenType.REFRESH)
    assert access is not None
    assert refreshing is not None
    assert access.token_id == refreshing.token_id
    return access.token_id


def is_current(cluster: Cluster, issued: IssuedTokens) -> bool:
    stored = cluster.get(issued.session)
    return bool(token_ids(cluster, issued) == stored.status.authentication.token_id)


async def test_an_authentication_token_begins_a_session(cluster: Cluster) -> None:
    credential = await cluster.add_credential(cluster.alice, policies=["allow-all"])
    issued = await sign_in(cluster, credential, scopes=["service:*"])
    (session,) = cluster.sessions()
    assert session == issued.session
    assert is_current(cluster, issued)
    assert issued.expires_in == 4 * HOUR
    assert issued.refresh_token_expires_in == 21 * HOUR
    assert session.status.type == CLIENT
    assert session.status.user_ref.uid == cluster.alice.metadata.uid
    assert session.status.credential_ref.uid == credential.metadata.uid
    assert len(session.status.scopes) == 1
    assert list(session.spec.authorization.policies) == ["allow-all"]
    info = session.status.authentication.info
    assert info.type == INFO_TYPES.CREDENTIAL
    assert info.credential.token_id == credential.status.token_id
    assert info.downstream.client_version == "0.9.0"
    assert info.downstream.ip_address == ""
    assert cluster.get(credential).status.total_authentications == 1
    assert session.metadata.actor_operation == "sign-in"
    assert not session.metadata.HasField("actor_ref")


async def test_the_credential_chooses_the_type_then_the_user_agent(cluster: Cluster) -> None:
    free = await cluster.add_credential()
    client = await cluster.add_credential(session_type=CLIENT)
    clientless = await cluster.add_credential(session_type=CLIENTLESS)
    for credential, downstream, expected in (
        (free, CLI, CLIENT),
        (free, SDK, CLIENTLESS),
        (client, SDK, CLIENT),
        (clientless, CLI, CLIENTLESS),
    ):
        issued = await sign_in(cluster, credential, downstream=downstream)
        assert issued.session.status.type == expected


async def test_bad_scopes_come_first(cluster: Cluster) -> None:
    with pytest.raises(ScopeError):
        await cluster.authentication.with_authentication_token(
            "nonsense", scopes=["nonsense"], downstream=CLI, operation="x"
        )


async def test_one_use_is_one_use_however_many_ask(cluster: Cluster) -> None:
    credential = await cluster.add_credential(max_authentications=1, auto_delete=True)
    results = await asyncio.gather(
        *(sign_in(cluster, credential) for _ in range(50)), return_exceptions=True
    )
    refused = [r for r in results if isinstance(r, UnauthenticatedError)]
    assert len(refused) == 49
    assert len(cluster.sessions()) == 1
    assert cluster.resources.find("Credential", uid=credential.metadata.uid) is None


async def test_limited_uses_are_not_exceeded(cluster: Cluster) -> None:
    credential = await cluster.add_credential(max_authentications=7)
    results = await asyncio.gather(
        *(sign_in(cluster, credential) for _ in range(30)), return_exceptions=True
    )
    assert sum(not isinstance(result, BaseException) for result in results) == 7
    assert len(cluster.sessions()) == 7
    assert cluster.get(credential).status.total_authentications == 7


async def test_the_session_limit_is_not_exceeded_by_a_race(cluster: Cluster) -> None:
    credential = await cluster.add_credential(cluster.alice, max_authentications=100)
    results = await asyncio.gather(
        *(sign_in(cluster, credential) for _ in range(40)), return_exceptions=True
    )
    assert sum(isinstance(result, SessionLimitError) for result in results) == 24
    assert len(cluster.sessions()) == 16
    assert cluster.get(credential).status.total_authentications == 16


async def test_code_verifier(cluster: Cluster) -> None:
    credential = await cluster.add_credential(code_challenge=hashlib.sha256(b"v" * 32).digest())
    for wrong in (b"", b"w" * 32):
        with pytest.raises(UnauthenticatedError):
            await sign_in(cluster, credential, code_verifier=wrong)
    assert cluster.get(credential).status.total_authentications == 0
    assert await sign_in(cluster, credential, code_verifier=b"v" * 32)
    with pytest.raises(UnauthenticatedError):
        await sign_in(cluster, await cluster.add_credential(), code_verifier=b"v" * 32)


@pytest.mark.parametrize(
    ("problem", "error"),
    [
        ("deleted", UnknownUserError),
        ("is_disabled", RefusedError),
        ("is_locked", RefusedError),
    ],
)
async def test_the_user_must_be_there_and_enabled(
    cluster: Cluster, problem: str, error: type[AuthenticationError]
) -> None:
    credential = await cluster.add_credential()
    secret = await cluster.add_credential(credential_type=OAUTH2)
    access = await cluster.add_credential(credential_type=ACCESS_TOKEN)
    issued = await sign_in(cluster, credential)
    if problem == "is_disabled":
        cluster.robot.spec.is_disabled = True
    if problem == "is_locked":
        cluster.robot.status.is_locked = True
    await cluster.change(cluster.robot)
    if problem == "deleted":
        await cluster.delete(cluster.robot)
    with pytest.raises(error):
        await sign_in(cluster, credential)
    with pytest.raises(error):
        await client_token(cluster, secret)
    with pytest.raises(error):
        await refresh(cluster, issued.refresh_token)
    with pytest.raises(CredentialUnusableError):
        await cluster.generate(access)
    assert len(cluster.sessions()) == 1
    assert cluster.get(credential).status.total_authentications == 1


@pytest.mark.parametrize("kind", ["garbage", "access", "refresh", "other key", "wrong type"])
async def test_only_a_genuine_credential_token_authenticates(
    cluster: Cluster, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    credential = await cluster.add_credential()
    issued = await sign_in(cluster, credential)
    tokens = {
        "garbage": "A" * 178,
        "access": issued.access_token,
        "refresh": issued.refresh_token,
        "other key": Signer(cluster.keyring.signer.key_uid, Ed25519PrivateKey.generate()).issue(
            TokenType.CREDENTIAL, credential.metadata.uid, credential.status.token_id, None
        ),
        "wrong type": cluster.token(await cluster.add_credential(credential_type=OAUTH2)),
    }
    with pytest.raises(UnauthenticatedError) as caught:
        await cluster.authentication.with_authentication_token(
            tokens[kind], downstream=CLI, operation="sign-in"
        )
    assert caught.value.answer == "Unauthenticated User"
    assert len(cluster.sessions()) == 1
    assert "refused" in caplog.text
    assert tokens[kind] not in caplog.text


async def test_a_rotated_credential_ends_its_old_token(cluster: Cluster) -> None:
    credential = await cluster.add_credential()
    old = cluster.token(credential)
    made = await cluster.generate(credential)
    new = made.authentication_token.authentication_token
    with pytest.raises(UnauthenticatedError):
        await cluster.authentication.with_authentication_token(
            old, downstream=CLI, operation="sign-in"
        )
    assert await cluster.authentication.with_authentication_token(
        new, downstream=CLI, operation="sign-in"
    )


async def test_a_client_secret_renews_one_session(cluster: Cluster) -> None:
    credential = await cluster.add_credential(credential_type=OAUTH2)
    first = await client_token(cluster, credential, scopes=["service:wiki"])
    second = await client_token(cluster, credential, scopes=["service:*"])
    (session,) = cluster.sessions()
    assert first.session.metadata.uid == second.session.metadata.uid == session.metadata.uid
    assert session.status.type == CLIENTLESS
    assert not is_current(cluster, first)
    assert is_current(cluster, second)
    assert list(session.status.scopes[0].service.filter.names) == ["wiki"]
    assert session.spec.expires_at == first.session.spec.expires_at
    assert session.status.total_authentications == 2
    assert cluster.get(credential).status.total_authentications == 2


async def test_renewal_does_not_meet_the_session_limit(cluster: Cluster) -> None:
    cluster.robot.spec.session.max_per_user = 1
    await cluster.change(cluster.robot)
    credential = await cluster.add_credential(credential_type=OAUTH2)
    await client_token(cluster, credential)
    await client_token(cluster, credential)
    with pytest.raises(SessionLimitError):
        await client_token(cluster, await cluster.add_credential(credential_type=OAUTH2))


async def test_parallel_clients_get_one_session_and_one_live_token(cluster: Cluster) -> None:
    credential = await cluster.add_credential(credential_type=OAUTH2)
    issued = await asyncio.gather(*(client_token(cluster, credential) for _ in range(20)))
    assert len(cluster.sessions()) == 1
    assert sum(is_current(cluster, tokens) for tokens in issued) == 1
    assert len({token_ids(cluster, tokens) for tokens in issued}) == 20


@pytest.mark.parametrize("client_id", ["", "other-name", "é"])
async def test_a_client_secret_of_another_client(cluster: Cluster, client_id: str) -> None:
    credential = await cluster.add_credential(credential_type=OAUTH2)
    with pytest.raises(UnauthenticatedError):
        await client_token(cluster, credential, client_id=client_id)
    assert cluster.get(credential).status.total_authentications == 0


async def test_humans_have_no_client_secrets(cluster: Cluster) -> None:
    credential = await cluster.add_credential(cluster.alice, OAUTH2)
    with pytest.raises(RefusedError):
        await client_token(cluster, credential)


@pytest.mark.parametrize("scopes", [[], ["nonsense"]])
async def test_a_client_secret_with_bad_scopes(cluster: Cluster, scopes: list[str]) -> None:
    credential = await cluster.add_credential(credential_type=OAUTH2)
    with pytest.raises(ScopeError):
        await client_token(cluster, credential, scopes=scopes)
    assert not cluster.sessions()


async def test_a_rejected_session_is_not_replaced_by_asking_again(cluster: Cluster) -> None:
    credential = await cluster.add_credential(credential_type=OAUTH2)
    issued = await client_token(cluster, credential)
    session = cluster.get(issued.session)
    session.spec.state = core.SessionSpecState__.REJECTED
    await cluster.change(session)
    with pytest.raises(SessionRefusedError):
        await client_token(cluster, credential)
    assert cluster.get(credential).status.total_authentications == 1
    assert is_current(cluster, issued)


async def test_client_secrets_can_be_limited_too(cluster: Cluster) -> None:
    credential = await cluster.add_credential(
        credential_type=OAUTH2, max_authentications=2, auto_delete=True
    )
    await client_token(cluster, credential)
    last = await client_token(cluster, credential)
    with pytest.raises(UnauthenticatedError):
        await client_token(cluster, credential)
    assert is_current(cluster, last)


async def test_a_refresh_kills_both_earlier_tokens(cluster: Cluster) -> None:
    first = await sign_in(cluster, await cluster.add_credential())
    session = cluster.get(first.session)
    session.status.authentication.info.aal = core.SessionStatusAuthenticationInfoAal__.AAL2
    await cluster.change(session)
    cluster.clock.now += 2 * HOUR
    second = await refresh(cluster, first.refresh_token)
    assert second.session.metadata.uid == first.session.metadata.uid
    assert not is_current(cluster, first)
    assert is_current(cluster, second)
    assert second.session.spec.expires_at == first.session.spec.expires_at
    info = second.session.status.authentication.info
    assert info.type == INFO_TYPES.REFRESH_TOKEN
    assert info.aal == core.SessionStatusAuthenticationInfoAal__.AAL2
    with pytest.raises(UnauthenticatedError):
        await refresh(cluster, first.refresh_token)
    with pytest.raises(UnauthenticatedError):
        await refresh(cluster, second.access_token)


async def test_parallel_refreshes_with_one_token_succeed_once(cluster: Cluster) -> None:
    issued = await sign_in(cluster, await cluster.add_credential())
    results = await asyncio.gather(
        *(refresh(cluster, issued.refresh_token) for _ in range(10)), return_exceptions=True
    )
    assert sum(isinstance(result, UnauthenticatedError) for result in results) == 9


async def test_refreshes_are_limited_and_a_refused_one_keeps_the_tokens(cluster: Cluster) -> None:
    issued = await sign_in(cluster, await cluster.add_credential())
    for _ in range(5):
        issued = await refresh(cluster, issued.refresh_token)
    with pytest.raises(TooEarlyError):
        await refresh(cluster, issued.refresh_token)
    assert is_current(cluster, issued)
    cluster.clock.now += 2 * HOUR
    assert await refresh(cluster, issued.refresh_token)


async def test_log_out_ends_the_session_for_good(cluster: Cluster) -> None:
    issued = await sign_in(cluster, await cluster.add_credential())
    ended = await cluster.authentication.log_out(issued.refresh_token, operation="out")
    assert ended.metadata.uid == issued.session.metadata.uid
    assert not cluster.sessions()
    with pytest.raises(UnauthenticatedError):
        await refresh(cluster, issued.refresh_token)
    with pytest.raises(UnauthenticatedError):
        await cluster.authentication.log_out(issued.refresh_token, operation="out")


async def test_a_refresh_racing_a_log_out_never_revives(cluster: Cluster) -> None:
    for first in ("refresh", "out"):
        issued = await sign_in(cluster, await cluster.add_credential())
        out = cluster.authentication.log_out(issued.refresh_token, operation="out")
        again = refresh(cluster, issued.refresh_token)
        order = (again, out) if first == "refresh" else (out, again)
        results = await asyncio.gather(*order, return_exceptions=True)
        assert not isinstance(results[0], BaseException)
        assert isinstance(results[1], UnauthenticatedError)
        assert len(cluster.sessions()) == (1 if first == "refresh" else 0)
        for session in cluster.sessions():
            await cluster.delete(session)


async def test_access_tokens_come_from_one_session(cluster: Cluster) -> None:
    credential = await cluster.add_credential(credential_type=ACCESS_TOKEN, policies=["allow-all"])
    verifier = cluster.keyring.verifier
    first = (await cluster.generate(credential)).access_token.access_token
    second = (await cluster.generate(credential)).access_token.access_token
    (session,) = cluster.sessions()
    assert session.status.type == CLIENTLESS
    assert list(session.spec.authorization.policies) == ["allow-all"]
    assert session.status.credential_ref.uid == credential.metadata.uid
    assert not session.status.authentication.info.downstream.user_agent
    old, new = (verifier.verify(token, TokenType.ACCESS) for token in (first, second))
    assert old is not None
    assert new is not None
    assert old.token_id != new.token_id == session.status.authentication.token_id
    assert new.expires_at == NOW + 4 * HOUR
    assert cluster.get(credential).status.total_rotations == 2
    assert cluster.get(credential).status.total_authentications == 2


async def test_access_tokens_of_a_rejected_session(cluster: Cluster) -> None:
    credential = await cluster.add_credential(credential_type=ACCESS_TOKEN, session_type=CLIENT)
    await cluster.generate(credential)
    (session,) = cluster.sessions()
    assert session.status.type == CLIENT
    session.spec.state = core.SessionSpecState__.REJECTED
    await cluster.change(session)
    with pytest.raises(CredentialUnusableError) as caught:
        await cluster.generate(cluster.get(credential))
    assert session.metadata.name in str(caught.value)


async def test_client_secrets_are_generated_with_their_client_id(cluster: Cluster) -> None:
    credential = await cluster.add_credential(credential_type=OAUTH2, expires_at=NOW + HOUR)
    made = (await cluster.generate(credential)).oauth2_credentials
    assert made.client_id == credential.status.id
    issued = await cluster.authentication.with_client_secret(
        made.client_id, made.client_secret, downstream=SDK, operation="/oauth2/token"
    )
    assert is_current(cluster, issued)
    cluster.clock.now += HOUR
    with pytest.raises(UnauthenticatedError):
        await cluster.authentication.with_client_secret(
            made.client_id, made.client_secret, downstream=SDK, operation="/oauth2/token"
        )


async def test_a_credential_of_no_type_makes_no_token(cluster: Cluster) -> None:
    credential = await cluster.add_credential(credential_type=0)
    with pytest.raises(CredentialUnusableError):
        await cluster.generate(credential)


async def test_without_signing_keys_nothing_is_stored(cluster: Cluster) -> None:
    credential = await cluster.add_credential()
    token = cluster.token(credential)
    with pytest.raises(keys.SigningKeyError):
        cluster.keyring.replace([])
    with pytest.raises(UnauthenticatedError):
        await cluster.authentication.with_authentication_token(
            token, downstream=CLI, operation="sign-in"
        )
    assert not cluster.sessions()


async def test_addresses_are_pinned_where_the_cluster_wants_it(cluster: Cluster) -> None:
    config = cluster.resources.get(core.ClusterConfig, name="default")
    config.spec.ingress.use_forwarded_for_header = True
    await cluster.change(config)
    issued = await sign_in(cluster, await cluster.add_credential())
    assert issued.session.status.authentication.info.downstream.ip_address == "192.0.2.1"
    renewed = await cluster.authentication.with_refresh_token(
        issued.refresh_token, downstream=Downstream("x", "2001:DB8::1"), operation="refresh"
    )
    assert renewed.session.status.authentication.info.downstream.ip_address == "2001:db8::1"


async def test_a_deleted_credential_leaves_its_sessions(cluster: Cluster) -> None:
    credential = await cluster.add_credential()
    issued = await sign_in(cluster, credential)
    await cluster.delete(credential)
    assert await refresh(cluster, issued.refresh_token)
    with pytest.raises(UnauthenticatedError):
        await sign_in(cluster, credential)


async def give_policies(cluster: Cluster, message: Any, *policies: str) -> None:
    stored = cluster.get(message)
    stored.spec.authorization.policies[:] = policies
    await cluster.change(stored)


def policies_of(cluster: Cluster) -> list[str]:
    (session,) = cluster.sessions()
    return list(session.spec.authorization.policies)


async def renew_by(cluster: Cluster, way: str, credential: core.Credential, token: str) -> None:
    if way == "client secret":
        await client_token(cluster, cluster.get(credential))
    elif way == "access token":
        await cluster.generate(credential)
    else:
        cluster.clock.now += 2 * HOUR
        await refresh(cluster, token)


WAYS = ["client secret", "access token", "refresh token"]


async def begin_by(cluster: Cluster, way: str) -> tuple[core.Credential, str]:
    """A Credential with the policy allow-all, and the refresh token of its Session, if any."""
    kind = {"client secret": OAUTH2, "access token": ACCESS_TOKEN}.get(way, AUTH_TOKEN)
    credential = await cluster.add_credential(credential_type=kind, policies=["allow-all"])
    if kind != AUTH_TOKEN:
        await renew_by(cluster, way, credential, "")
        return credential, ""
    return credential, (await sign_in(cluster, credential)).refresh_token


@pytest.mark.parametrize("way", WAYS)
async def test_a_renewed_session_has_what_its_credential_has_by_now(
    cluster: Cluster, way: str
) -> None:
    credential, token = await begin_by(cluster, way)
    assert policies_of(cluster) == ["allow-all"]
    await give_policies(cluster, credential, "deny-all")
    await renew_by(cluster, way, credential, token)
    assert policies_of(cluster) == ["deny-all"]


@pytest.mark.parametrize("way", WAYS)
async def test_a_session_that_was_restricted_stays_so(cluster: Cluster, way: str) -> None:
    credential, token = await begin_by(cluster, way)
    (session,) = cluster.sessions()
    await give_policies(cluster, session, "deny-all")
    await renew_by(cluster, way, credential, token)
    assert policies_of(cluster) == ["deny-all"]


@pytest.mark.parametrize("way", WAYS)
async def test_nothing_is_guessed_when_session_and_credential_were_changed(
    cluster: Cluster, way: str
) -> None:
    credential, token = await begin_by(cluster, way)
    (session,) = cluster.sessions()
    await give_policies(cluster, session, "deny-all")
    await give_policies(cluster, credential, "http-read-only")
    with pytest.raises(AuthenticationError, match="delete the Session to begin another"):
        await renew_by(cluster, way, credential, token)
    assert policies_of(cluster) == ["deny-all"]
    await give_policies(cluster, session, "http-read-only")
    await renew_by(cluster, way, credential, token)
    await give_policies(cluster, credential)
    if way != "refresh token":
        await renew_by(cluster, way, credential, token)
        assert policies_of(cluster) == []


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("field", ["is_disabled", "is_locked"])
async def test_a_credential_that_was_switched_off_renews_nothing(
    cluster: Cluster, way: str, field: str
) -> None:
    credential, token = await begin_by(cluster, way)
    off = cluster.get(credential)
    setattr(off.spec if field == "is_disabled" else off.status, field, True)
    await cluster.change(off)
    (before,) = cluster.sessions()
    with pytest.raises(AuthenticationError):
        await renew_by(cluster, way, credential, token)
    assert cluster.sessions() == [before]
    await cluster.change(credential)
    if way == "refresh token":
        await renew_by(cluster, way, credential, token)


async def test_a_credential_that_is_spent_or_expired_leaves_refreshing_alone(
    cluster: Cluster,
) -> None:
    credential = await cluster.add_credential(max_authentications=1, expires_at=NOW + HOUR)
    issued = await sign_in(cluster, credential)
    cluster.clock.now += 2 * HOUR
    assert await refresh(cluster, issued.refresh_token)


async def test_unknown_sessions(cluster: Cluster) -> None:
    token = cluster.keyring.signer.issue(
        TokenType.REFRESH, str(uuid.uuid4()), str(uuid.uuid4()), NOW + HOUR
    )
    with pytest.raises(UnauthenticatedError):
        await refresh(cluster, token)


async def test_the_holder_of_an_access_token(cluster: Cluster) -> None:
    credential = await cluster.add_credential()
    issued = await cluster.authentication.with_authentication_token(
        cluster.token(credential), downstream=CLI, operation="sign-in"
    )
    holder = cluster.authentication.holder_of_access_token
    found = holder(issued.access_token)
    assert found is not None
    assert found.metadata.uid == issued.session.metadata.uid
    assert holder(issued.refresh_token) is None
    assert holder(issued.access_token[:-1] + "~") is None
    assert holder("") is None
    # A Session that may do nothing has a holder all the same.
    locked = cluster.get(issued.session)
    locked.status.is_locked = True
    await cluster.change(locked)
    assert holder(issued.access_token) is not None
    renewed = cluster.get(issued.session)
    renewed.status.authentication.token_id = str(uuid.uuid4())
    await cluster.change(renewed)
    assert holder(issued.access_token) is None


async def test_no_session_no_holder(cluster: Cluster) -> None:
    credential = await cluster.add_credential()
    issued = await cluster.authentication.with_authentication_token(
        cluster.token(credential), downstream=CLI, operation="sign-in"
    )
    holder = cluster.authentication.holder_of_access_token
    over = cluster.get(issued.session)
    over.spec.expires_at.FromSeconds(int(cluster.clock.now))
    await cluster.change(over)
    assert holder(issued.access_token) is None
    await cluster.delete(issued.session)
    assert holder(issued.access_token) is None


async def test_sessions_that_wait_for_approval(cluster: Cluster) -> None:
    states = core.SessionSpecState__
    config = cluster.resources.get(core.ClusterConfig, name="default")
    config.spec.session.workload.default_state = states.PENDING
    await cluster.change(config)
    issued = await sign_in(cluster, await cluster.add_credential())
    assert issued.session.spec.state == states.PENDING
    cluster.clock.now += 3 * HOUR
    renewed = await refresh(cluster, issued.refresh_token)
    assert renewed.session.spec.state == states.PENDING
    approved = cluster.get(renewed.session)
    approved.spec.state = states.ACTIVE
    await cluster.change(approved)
    cluster.clock.now += 3 * HOUR
    renewed = await refresh(cluster, renewed.refresh_token)
    assert renewed.session.spec.state == states.ACTIVE
    # The User's own setting comes before the Cluster's.
    cluster.robot.spec.session.default_state = states.ACTIVE
    await cluster.change(cluster.robot)
    issued = await sign_in(cluster, await cluster.add_credential())
    assert issued.session.spec.state == states.ACTIVE


async def test_what_once_was_is_kept_newest_first(cluster: Cluster) -> None:
    issued = await sign_in(cluster, await cluster.add_credential())
    tokens = [token_ids(cluster, issued)]
    end = issued.session.spec.expires_at.seconds
    for _ in range(105):
        cluster.clock.now += 3 * HOUR
        issued = await refresh(cluster, issued.refresh_token)
        tokens.append(token_ids(cluster, issued))
    session = cluster.get(issued.session)
    assert session.status.total_authentications == 106
    assert session.spec.expires_at.seconds == end
    last = [earlier.token_id for earlier in session.status.last_authentications]
    assert last == tokens[-2:-102:-1]
    assert session.status.initial_authentication.token_id == tokens[0]
    assert len(set(tokens)) == 106


async def test_what_is_wrong_with_a_login_in_the_order_of_its_checks(cluster: Cluster) -> None:
    """Scopes, the token, its Credential and verifier, the User, the number of Sessions."""
    cluster.robot.spec.session.max_per_user = 1
    await cluster.change(cluster.robot)
    await sign_in(cluster, await cluster.add_credential())
    credential = await cluster.add_credential(
        code_challenge=hashlib.sha256(b"v" * 32).digest(), expires_at=NOW + HOUR
    )
    cluster.robot.spec.is_disabled = True
    await cluster.change(cluster.robot)
    credential.spec.is_disabled = True
    await cluster.change(credential)

    async def problem(scopes: Sequence[str] = (), verifier: bytes = b"w") -> str:
        with pytest.raises((AuthenticationError, ScopeError)) as caught:
            await sign_in(cluster, credential, scopes=scopes, code_verifier=verifier)
        return f"{type(caught.value).__name__}: {caught.value}"

    assert (await problem(scopes=["x"])).startswith("ScopeError")
    assert "is disabled" in await problem()
    credential.spec.is_disabled = False
    await cluster.change(credential)
    assert (await problem()).startswith("UnauthenticatedError: the code verifier")
    shut_out = "DisabledUserError: User robot is disabled"
    assert (await problem(verifier=b"v" * 32)).startswith(shut_out)
    cluster.robot.spec.is_disabled = False
    await cluster.change(cluster.robot)
    assert (await problem(verifier=b"v" * 32)).startswith("SessionLimitError")
    assert cluster.get(credential).status.total_authentications == 0
    cluster.clock.now += HOUR
    assert (await problem(verifier=b"v" * 32)).startswith("UnauthenticatedError")


async def test_access_tokens_count_against_the_limit(cluster: Cluster) -> None:
    cluster.robot.spec.session.max_per_user = 1
    await cluster.change(cluster.robot)
    first = await cluster.add_credential(credential_type=ACCESS_TOKEN)
    second = await cluster.add_credential(credential_type=ACCESS_TOKEN)
    await cluster.generate(first)
    with pytest.raises(SessionLimitError):
        await cluster.generate(second)
    await cluster.generate(first)  # that one has its Session
    cluster.clock.now += 90 * 24 * HOUR
    await cluster.generate(second)  # a Session that is over does not count, cleaned up or not


async def test_nothing_outlives_the_end_of_the_session(cluster: Cluster) -> None:
    """Whatever the tokens say, and however often they were renewed."""
    issued = await sign_in(cluster, await cluster.add_credential(cluster.alice))
    for _ in range(10):
        cluster.clock.now += 2 * HOUR
        issued = await refresh(cluster, issued.refresh_token)
    assert cluster.clock.now + issued.expires_in > NOW + 21 * HOUR
    assert cluster.authentication.holder_of_access_token(issued.access_token) is not None
    cluster.clock.now = NOW + 21 * HOUR
    assert cluster.authentication.holder_of_access_token(issued.access_token) is None
    with pytest.raises(UnauthenticatedError):
        await refresh(cluster, issued.refresh_token)
