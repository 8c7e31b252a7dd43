from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest
import pytest_asyncio
from grpc.aio import AioRpcError

from octelium.apiserver.assertions import AssertionService
from octelium.apiserver.auth import DESCRIPTOR, LIMITS, MAX_REQUEST_BYTES, AuthService, methods
from octelium.apiserver.core.view import TransactionView
from octelium.apiserver.rpc import Binding
from octelium.authserver.keys_of_issuers import KeysOfIssuers
from octelium.authserver.providers.discovery import Discoveries
from octelium.authserver.site import Site
from octelium.authserver.workloads import LONGEST, Workloads
from octelium.identity.attempts import Outcome, Way
from octelium.identity.tokens import TokenType
from octelium.schema.pb import auth_v1_pb2 as auth
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.validation.computed import complete
from tests.apiserver.calls import PAGES, Calls, serving
from tests.authserver.providers import trusting
from tests.identity.cluster import Cluster, open_cluster
from tests.identity.providers import add_person
from tests.peers import issuer as peers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from octelium.store.transaction import Transaction

METHOD = "AuthenticateWithAssertion"
AUDIENCE = "https://example.com"
SUBJECT = "system:serviceaccount:default:app"
CODE = grpc.StatusCode


@pytest.fixture(name="issuer")
def issuer_fixture() -> Iterator[peers.Issuer]:
    with peers.issuer() as issuer:
        yield issuer


@pytest_asyncio.fixture(name="cluster")
async def cluster_fixture(tmp_path: Path, issuer: peers.Issuer) -> AsyncIterator[Cluster]:
    def add(tx: Transaction) -> None:
        provider = core.IdentityProvider()
        provider.metadata.name = "k8s"
        provider.spec.oidc_identity_token.issuer_url = issuer.url
        complete(provider, TransactionView(tx))
        tx.create(provider)

    async with open_cluster(tmp_path) as cluster:
        await cluster.write(add)
        identities = (("k8s", SUBJECT),)
        await cluster.write(lambda tx: add_person(tx, "app", human=False, identities=identities))
        yield cluster


@pytest_asyncio.fixture(name="calls")
async def calls_fixture(cluster: Cluster, tmp_path: Path) -> AsyncIterator[Calls]:
    fetcher = trusting.fetcher()
    workloads = Workloads(
        Site("example.com"),
        cluster.resources,
        cluster.authentication,
        KeysOfIssuers(fetcher, Discoveries(fetcher)),
    )
    service = methods(AuthService(cluster.authentication, PAGES), AssertionService(workloads))
    async with serving(Binding(DESCRIPTOR, service, MAX_REQUEST_BYTES), tmp_path, LIMITS) as calls:
        yield calls


def request(assertion: str, *scopes: str, name: str = "") -> auth.AuthenticateWithAssertionRequest:
    made = auth.AuthenticateWithAssertionRequest(assertion=assertion, scopes=scopes)
    if name:
        made.identity_provider_ref.name = name
    return made


async def refused(cluster: Cluster, calls: Calls, *args: Any, **more: Any) -> grpc.StatusCode:
    """The status of a call that must change nothing."""
    before = cluster.resources.revision
    with pytest.raises(AioRpcError) as caught:
        await calls(METHOD, request(*args, **more))
    assert cluster.resources.revision == before
    if caught.value.code() == CODE.UNAUTHENTICATED:
        assert caught.value.details() == "Unauthenticated User"
    return caught.value.code()


async def test_a_workload(cluster: Cluster, calls: Calls, issuer: peers.Issuer) -> None:
    assertion = issuer.token(SUBJECT, AUDIENCE)
    for name in ("", "k8s"):
        token: auth.SessionToken = await calls(METHOD, request(assertion, name=name))
        assert token.refresh_token_expires_in >= token.expires_in > 0
        claims = cluster.keyring.verifier.verify(token.access_token, TokenType.ACCESS)
        assert claims is not None
        session = cluster.resources.get(core.Session, uid=claims.subject)
        assert session.status.user_ref.name == "app"
        assert session.metadata.actor_operation == f"{DESCRIPTOR.full_name}/{METHOD}"
        info = session.status.authentication.info
        assert info.identity_provider.identity_provider_ref.name == "k8s"
        assert info.identity_provider.identifier == SUBJECT
        attempt = cluster.log.attempts[-1]
        assert (attempt.way, attempt.outcome) == (Way.ASSERTION, Outcome.SUCCEEDED)
    assert calls.published == 2
    renewed = await calls(
        "AuthenticateWithRefreshToken",
        metadata=[("x-octelium-refresh-token", token.refresh_token)],
    )
    assert renewed.access_token


async def test_scopes(cluster: Cluster, calls: Calls, issuer: peers.Issuer) -> None:
    assertion = issuer.token(SUBJECT, AUDIENCE)
    await calls(METHOD, request(assertion, "service:wiki"))
    (session,) = cluster.sessions()
    assert session.status.scopes[0].service.filter.names == ["wiki"]
    for bad in (["everything"], ["service:*", "service:*"], [""]):
        assert await refused(cluster, calls, assertion, *bad) == CODE.UNAUTHENTICATED


async def test_assertions_that_prove_nothing(
    cluster: Cluster, calls: Calls, issuer: peers.Issuer
) -> None:
    good = issuer.token(SUBJECT, AUDIENCE)
    for assertion in (
        "",
        "x",
        "é" * 10,
        good[:-3],
        good + "=",
        issuer.token(SUBJECT, "https://other.example"),
        issuer.token(SUBJECT, AUDIENCE, exp=1_000_000_000),
        issuer.token(SUBJECT, AUDIENCE, iss="https://other.example"),
        issuer.token("system:serviceaccount:default:other", AUDIENCE),
        issuer.token(SUBJECT.upper(), AUDIENCE),
    ):
        cluster.log.attempts.clear()
        assert await refused(cluster, calls, assertion) == CODE.UNAUTHENTICATED
        (attempt,) = cluster.log.attempts
        assert (attempt.way, attempt.outcome) == (Way.ASSERTION, Outcome.REFUSED)
        assert attempt.reason
    assert await refused(cluster, calls, good, name="other") == CODE.UNAUTHENTICATED
    assert await refused(cluster, calls, "a" * (LONGEST + 1)) == CODE.INVALID_ARGUMENT
    assert "longer than" in cluster.log.attempts[-1].reason
    assert not cluster.sessions()


async def test_who_is_known_and_may_not(
    cluster: Cluster, calls: Calls, issuer: peers.Issuer
) -> None:
    await cluster.write(lambda tx: add_person(tx, "ann", identities=(("k8s", "ann"),)))
    human = issuer.token("ann", AUDIENCE)
    assert await refused(cluster, calls, human) == CODE.PERMISSION_DENIED
    cluster.rules.refused.add("app")
    good = issuer.token(SUBJECT, AUDIENCE)
    assert await refused(cluster, calls, good) == CODE.PERMISSION_DENIED
    cluster.rules.refused.clear()
    app = cluster.resources.get(core.User, name="app")
    app.spec.session.max_per_user = 1
    await cluster.change(app)
    await calls(METHOD, request(good))
    (first,) = cluster.sessions()
    await calls(METHOD, request(issuer.token(SUBJECT, AUDIENCE, jti="another")))
    (second,) = cluster.sessions()  # the oldest of the same origin makes room
    assert second.metadata.uid != first.metadata.uid
    app = cluster.resources.get(core.User, name="app")
    app.spec.is_disabled = True
    await cluster.change(app)
    assert await refused(cluster, calls, good) == CODE.PERMISSION_DENIED


async def test_a_provider_by_its_uid(cluster: Cluster, calls: Calls, issuer: peers.Issuer) -> None:
    assertion = request(issuer.token(SUBJECT, AUDIENCE))
    (provider,) = cluster.resources.list(core.IdentityProvider)
    for name in ("", "k8s"):
        assertion.identity_provider_ref.name = name
        assertion.identity_provider_ref.uid = provider.metadata.uid
        assert await calls(METHOD, assertion)
        assertion.identity_provider_ref.uid = cluster.robot.metadata.uid
        with pytest.raises(AioRpcError) as caught:
            await calls(METHOD, assertion)
        assert caught.value.code() is CODE.UNAUTHENTICATED


async def test_the_type_follows_from_the_client(
    cluster: Cluster, calls: Calls, issuer: peers.Issuer
) -> None:
    """The client of these tests calls itself octelium-cli."""
    await calls(METHOD, request(issuer.token(SUBJECT, AUDIENCE)))
    (session,) = cluster.sessions()
    assert session.status.type == core.SessionStatusType__.CLIENT
    assert session.status.authentication.info.downstream.client_version == "0.9.0"


async def test_a_provider_that_is_disabled(
    cluster: Cluster, calls: Calls, issuer: peers.Issuer
) -> None:
    assertion = issuer.token(SUBJECT, AUDIENCE)
    await calls(METHOD, request(assertion))
    (provider,) = cluster.resources.list(core.IdentityProvider)
    provider.spec.is_disabled = True
    await cluster.change(provider)
    for name in ("", "k8s"):
        assert await refused(cluster, calls, assertion, name=name) == CODE.UNAUTHENTICATED
