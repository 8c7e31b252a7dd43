from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from octelium.http.tasks import spawn
from octelium.identity.attempts import Attempt, NoAttemptLog, Outcome, Way
from octelium.identity.errors import AuthenticationError, RefusedError, UnauthenticatedError
from octelium.identity.scopes import ScopeError
from octelium.schema.pb import core_v1_pb2 as core
from octelium.store.errors import AlreadyExists, Unavailable
from tests.identity.cluster import CLI, OAUTH2, SDK, Cluster, open_cluster
from tests.identity.providers import add_provider

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest_asyncio.fixture(name="cluster")
async def cluster_fixture(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with open_cluster(tmp_path) as cluster:
        yield cluster


@pytest.mark.parametrize(
    ("error", "outcome", "code", "reason"),
    [
        (RefusedError("no", detail="rule 2"), Outcome.REFUSED, "PERMISSION_DENIED", "no: rule 2"),
        (UnauthenticatedError("old"), Outcome.REFUSED, "UNAUTHENTICATED", "old"),
        (ScopeError("bad"), Outcome.REFUSED, "INVALID_ARGUMENT", "bad"),
        (AlreadyExists("taken"), Outcome.REFUSED, "ALREADY_EXISTS", "taken"),
        (Unavailable("full"), Outcome.FAILED, "INTERNAL", "Unavailable: full"),
        (asyncio.CancelledError(), Outcome.FAILED, "INTERNAL", "CancelledError: "),
    ],
)
def test_how_attempts_fail(error: BaseException, outcome: Outcome, code: str, reason: str) -> None:
    attempt = Attempt(way=Way.PASSKEY)
    attempt.failed(error)
    assert (attempt.outcome, attempt.code, attempt.reason) == (outcome, code, reason)


def test_an_attempt_has_failed_until_it_succeeds() -> None:
    attempt = Attempt(way=Way.PASSKEY)
    assert attempt.outcome is Outcome.FAILED
    NoAttemptLog().record(attempt)


def test_an_attempt_may_do_something_else_than_sign_in() -> None:
    attempt = Attempt(way=Way.INVITATION)
    attempt.did("invited by nobody")
    assert (attempt.outcome, attempt.reason) == (Outcome.SUCCEEDED, "invited by nobody")


async def test_tokens_leave_a_record(cluster: Cluster) -> None:
    authentication, log = cluster.authentication, cluster.log
    credential = await cluster.add_credential()
    issued = await authentication.with_authentication_token(
        cluster.token(credential), downstream=CLI, operation="sign-in"
    )
    attempt = log.last()
    assert attempt.way is Way.AUTHENTICATION_TOKEN
    assert attempt.outcome is Outcome.SUCCEEDED
    assert attempt.downstream == CLI
    assert attempt.operation == "sign-in"
    assert attempt.credential is not None
    assert attempt.credential.uid == credential.metadata.uid
    assert attempt.user is not None
    assert attempt.user.name == "robot"
    assert attempt.session is not None
    assert attempt.session.uid == issued.session.metadata.uid
    assert attempt.reason == ""

    renewed = await authentication.with_refresh_token(
        issued.refresh_token, downstream=CLI, operation="refresh"
    )
    attempt = log.last()
    assert (attempt.way, attempt.outcome) == (Way.REFRESH_TOKEN, Outcome.SUCCEEDED)
    assert attempt.credential is not None
    with pytest.raises(AuthenticationError):
        await authentication.with_refresh_token(
            issued.refresh_token, downstream=CLI, operation="refresh"
        )
    attempt = log.last()
    assert attempt.outcome is Outcome.REFUSED
    assert "newer tokens" in attempt.reason
    await authentication.log_out(renewed.refresh_token, operation="logout")
    attempt = log.last()
    assert (attempt.way, attempt.outcome) == (Way.ACCOUNT, Outcome.SUCCEEDED)
    assert (attempt.reason, attempt.operation) == ("signed out", "logout")
    assert attempt.session is not None
    assert attempt.session.uid == issued.session.metadata.uid


async def test_what_people_do_with_their_sessions_leaves_a_record(cluster: Cluster) -> None:
    authentication, log = cluster.authentication, cluster.log
    credential = await cluster.add_credential()
    made = [
        await authentication.with_authentication_token(
            cluster.token(credential), downstream=CLI, operation="s"
        )
        for _ in range(4)
    ]
    own, one, *others = [each.session.metadata for each in made]
    log.attempts.clear()
    await authentication.revoke_session(own.uid, one.uid, operation="account")
    attempt = log.last()
    assert attempt.way is Way.ACCOUNT
    assert attempt.reason == "its own User has ended the Session"
    assert attempt.session is not None
    assert attempt.session.name == one.name
    await authentication.revoke_other_sessions(own.uid, operation="account")
    named = {each.session.name for each in log.attempts if each.session is not None}
    assert named == {each.name for each in others}
    log.attempts.clear()
    await authentication.revoke_session(own.uid, own.uid, operation="account")
    assert log.last().reason == "signed out"


async def test_a_session_that_waits_says_so(cluster: Cluster) -> None:
    config = cluster.resources.get(core.ClusterConfig, name="default")
    config.spec.session.workload.default_state = core.SessionSpecState__.PENDING
    await cluster.change(config)
    credential = await cluster.add_credential()
    issued = await cluster.authentication.with_authentication_token(
        cluster.token(credential), downstream=CLI, operation="s"
    )
    name = issued.session.metadata.name
    expected = f"waits for approval: octeliumctl update session {name} --approve"
    assert cluster.log.last().reason == expected


async def test_refused_tokens_leave_what_is_known_of_them(cluster: Cluster) -> None:
    authentication, log = cluster.authentication, cluster.log
    credential = await cluster.add_credential(max_authentications=1)
    token = cluster.token(credential)
    await authentication.with_authentication_token(token, downstream=CLI, operation="s")
    log.last()
    with pytest.raises(UnauthenticatedError):
        await authentication.with_authentication_token(token, downstream=CLI, operation="s")
    attempt = log.last()
    assert attempt.credential is not None
    assert attempt.user is not None
    assert attempt.session is None
    assert "as often as it may be" in attempt.reason
    with pytest.raises(UnauthenticatedError):
        await authentication.with_authentication_token("x", downstream=CLI, operation="s")
    attempt = log.last()
    assert attempt.credential is None
    assert attempt.code == "UNAUTHENTICATED"
    with pytest.raises(ScopeError):
        await authentication.with_authentication_token(
            token, scopes=["nonsense"], downstream=CLI, operation="s"
        )
    assert log.last().code == "INVALID_ARGUMENT"


async def test_client_secrets_leave_a_record(cluster: Cluster) -> None:
    credential = await cluster.add_credential(credential_type=OAUTH2)
    for client, outcome in ((credential.status.id, Outcome.SUCCEEDED), ("x", Outcome.REFUSED)):
        try:
            await cluster.authentication.with_client_secret(
                client, cluster.token(credential), downstream=SDK, operation="oauth2/token"
            )
        except UnauthenticatedError:
            assert client == "x"
        attempt = cluster.log.last()
        assert (attempt.way, attempt.outcome) == (Way.CLIENT_SECRET, outcome)


async def test_protocols_tell_of_their_refusals(cluster: Cluster) -> None:
    provider = await cluster.write(lambda tx: add_provider(tx, "okta"))
    attempt = Attempt(way=Way.IDENTITY_PROVIDER, downstream=SDK, operation="callback")
    attempt.concerns(provider=provider)
    cluster.authentication.refuse(attempt, "the state is unknown")
    logged = cluster.log.last()
    assert logged.provider is not None
    assert logged.provider.name == "okta"
    assert (logged.outcome, logged.reason) == (Outcome.REFUSED, "the state is unknown")


async def test_an_attempt_that_is_abandoned_is_recorded(cluster: Cluster) -> None:
    credential = await cluster.add_credential()
    async with cluster.resources.transaction():
        attempt = spawn(
            cluster.authentication.with_authentication_token(
                cluster.token(credential), downstream=CLI, operation="s"
            ),
            name="attempt",
        )
        await asyncio.sleep(0)
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
    assert cluster.log.last().outcome is Outcome.FAILED
