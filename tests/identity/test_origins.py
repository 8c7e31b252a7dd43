from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from octelium.identity import origins
from octelium.identity.attempts import Attempt, Way
from octelium.identity.errors import RefusedError
from tests.identity.cluster import CLI, Cluster, open_cluster
from tests.identity.providers import add_person, add_provider, vouched

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from octelium.schema.pb import core_v1_pb2 as core


@pytest_asyncio.fixture(name="cluster")
async def cluster_fixture(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with open_cluster(tmp_path) as cluster:
        yield cluster


async def ask(cluster: Cluster, session: core.Session, attempt: Attempt) -> core.Credential | None:
    return await cluster.write(lambda tx: origins.credential_of(tx, session, attempt))


async def test_a_credential(cluster: Cluster) -> None:
    credential = await cluster.add_credential()
    issued = await cluster.authentication.with_authentication_token(
        cluster.token(credential), downstream=CLI, operation="sign-in"
    )
    attempt = Attempt(way=Way.REFRESH_TOKEN)
    found = await ask(cluster, issued.session, attempt)
    assert found is not None
    assert attempt.credential is not None
    assert found.metadata.uid == attempt.credential.uid == credential.metadata.uid
    stored = cluster.get(credential)
    stored.spec.is_disabled = True
    await cluster.change(stored)
    with pytest.raises(RefusedError, match="is disabled or locked"):
        await ask(cluster, issued.session, attempt)
    await cluster.delete(credential)
    assert await ask(cluster, issued.session, attempt) is None


async def test_an_identity_provider(cluster: Cluster) -> None:
    provider = await cluster.write(lambda tx: add_provider(tx, "idp"))
    await cluster.write(lambda tx: add_person(tx, "ann", identities=(("idp", "ann"),)))
    issued = await cluster.authentication.with_web_identity(
        vouched(provider, "ann"), refresh_token=None, downstream=CLI, operation="callback"
    )
    attempt = Attempt(way=Way.REFRESH_TOKEN)
    assert await ask(cluster, issued.session, attempt) is None
    stored = cluster.get(provider)
    stored.spec.is_disabled = True
    await cluster.change(stored)
    with pytest.raises(RefusedError, match="the IdentityProvider idp is disabled or locked"):
        await ask(cluster, issued.session, attempt)
    assert attempt.provider is not None
    assert attempt.provider.name == "idp"
    await cluster.delete(provider)
    assert await ask(cluster, issued.session, attempt) is None
