from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from octelium.identity.client_logins import ClientLogins
from octelium.identity.errors import AuthenticationError
from octelium.identity.sessions import Downstream
from octelium.schema.pb import core_v1_pb2 as core
from tests.identity.cluster import CLI, Cluster, open_cluster
from tests.identity.providers import BROWSER, add_person, add_provider, vouched

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

VERIFIER = bytes(range(32))
CHALLENGE = hashlib.sha256(VERIFIER).digest()
ACTIONS = core.SessionStatusAuthenticatorAction__
STATES = core.SessionSpecState__


@pytest_asyncio.fixture(name="cluster")
async def cluster_fixture(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with open_cluster(tmp_path) as cluster:
        yield cluster


async def browser_session(cluster: Cluster) -> core.Session:
    provider = await cluster.write(lambda tx: add_provider(tx, "idp"))
    identities = (("idp", "ann"),)
    await cluster.write(lambda tx: add_person(tx, "ann", identities=identities))
    issued = await cluster.authentication.with_web_identity(
        vouched(provider, "ann"),
        refresh_token=None,
        downstream=Downstream(BROWSER, "192.0.2.1"),
        operation="callback",
    )
    return issued.session


def logins(cluster: Cluster) -> ClientLogins:
    return ClientLogins(cluster.resources, cluster.keyring, clock=cluster.clock)


async def sign_in(cluster: Cluster, token: str, verifier: bytes = VERIFIER) -> core.Session:
    issued = await cluster.authentication.with_authentication_token(
        token, code_verifier=verifier, downstream=CLI, operation="sign-in"
    )
    return issued.session


async def test_one_login_as_the_same_user(cluster: Cluster) -> None:
    session = await browser_session(cluster)
    token = await logins(cluster).approve(session.metadata.uid, CHALLENGE, operation="approval")
    (credential,) = cluster.resources.list(core.Credential)
    spec = credential.spec
    assert (spec.max_authentications, spec.auto_delete) == (1, True)
    assert spec.expires_at.seconds == int(cluster.clock()) + 60
    assert not spec.HasField("authorization")
    assert credential.metadata.actor_ref.uid == session.metadata.uid
    begun = await sign_in(cluster, token)
    assert begun.status.user_ref == session.status.user_ref
    assert begun.status.type == core.SessionStatusType__.CLIENT
    assert not begun.status.is_browser
    with pytest.raises(AuthenticationError):
        await sign_in(cluster, token)


async def test_without_a_challenge(cluster: Cluster) -> None:
    session = await browser_session(cluster)
    token = await logins(cluster).approve(session.metadata.uid, b"", operation="device")
    with pytest.raises(AuthenticationError):
        await sign_in(cluster, token)
    await sign_in(cluster, token, b"")


async def test_it_is_soon_too_late(cluster: Cluster) -> None:
    session = await browser_session(cluster)
    token = await logins(cluster).approve(session.metadata.uid, CHALLENGE, operation="approval")
    cluster.clock.now += 60
    with pytest.raises(AuthenticationError):
        await sign_in(cluster, token)


async def test_names_differ(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    session = await browser_session(cluster)
    drawn = _drawing(["one", "1", "2", "one", "two", "3", "4"])
    monkeypatch.setattr("octelium.identity.client_logins._random", drawn)
    for _ in range(2):
        await logins(cluster).approve(session.metadata.uid, CHALLENGE, operation="approval")
    names = {each.metadata.name for each in cluster.resources.list(core.Credential)}
    assert names == {"auth-token-one", "auth-token-two"}


def _drawing(texts: list[str]) -> Any:
    left = iter(texts)
    return lambda _length: next(left)


@pytest.mark.parametrize(
    "problem",
    ["gone", "pending", "locked", "over", "token over", "authenticator", "user", "workload", "cli"],
)
async def test_who_lets_nobody_in(cluster: Cluster, problem: str) -> None:
    session = await browser_session(cluster)
    ann = cluster.resources.get(core.User, name="ann")
    match problem:
        case "gone":
            await cluster.delete(session)
        case "pending":
            session.spec.state = STATES.PENDING
        case "locked":
            session.status.is_locked = True
        case "over":
            cluster.clock.now += 30 * 3600
        case "token over":
            cluster.clock.now += 4 * 3600
        case "authenticator":
            session.status.authenticator_action = ACTIONS.AUTHENTICATION_REQUIRED
        case "user":
            ann.spec.is_disabled = True
        case "workload":
            ann.spec.type = core.UserSpecType__.WORKLOAD
        case "cli":
            session.status.is_browser = False
    if problem != "gone":
        await cluster.change(session)
        await cluster.change(ann)
    before = cluster.resources.revision
    with pytest.raises(AuthenticationError):
        await logins(cluster).approve(session.metadata.uid, CHALLENGE, operation="approval")
    assert cluster.resources.revision == before
    assert cluster.resources.list(core.Credential) == []
