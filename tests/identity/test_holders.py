from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio

from octelium.identity.holders import Barrier
from octelium.schema.pb import core_v1_pb2 as core
from tests.identity.cluster import CLI, Cluster, open_cluster
from tests.identity.providers import add_person, add_provider, vouched

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from octelium.identity.admission import IssuedTokens

STATES = core.SessionSpecState__


@pytest_asyncio.fixture(name="cluster")
async def cluster_fixture(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with open_cluster(tmp_path) as cluster:
        yield cluster


async def sign_in(cluster: Cluster) -> IssuedTokens:
    provider = await cluster.write(lambda tx: add_provider(tx, "idp"))
    await cluster.write(lambda tx: add_person(tx, "ann", identities=(("idp", "ann"),)))
    return await cluster.authentication.with_web_identity(
        vouched(provider, "ann"), refresh_token=None, downstream=CLI, operation="callback"
    )


async def test_what_keeps_a_browser_out(cluster: Cluster) -> None:
    issued = await sign_in(cluster)
    barrier, token = cluster.authentication.barrier, issued.refresh_token
    assert barrier(token) is None
    session = cluster.get(issued.session)
    for state, expected in ((STATES.REJECTED, Barrier.SESSION), (STATES.PENDING, None)):
        session.spec.state = state
        session = await cluster.change(session)
        assert barrier(token) is expected
    session.status.is_locked = True
    session = await cluster.change(session)
    assert barrier(token) is Barrier.SESSION
    user = cluster.resources.get(core.User, name="ann")
    user.spec.is_disabled = True
    await cluster.change(user)
    assert barrier(token) is Barrier.USER


async def test_only_who_holds_the_present_token_is_told(cluster: Cluster) -> None:
    issued = await sign_in(cluster)
    user = cluster.resources.get(core.User, name="ann")
    user.spec.is_disabled = True
    await cluster.change(user)
    barrier = cluster.authentication.barrier
    assert barrier(issued.refresh_token) is Barrier.USER
    for other in ("", "x", issued.access_token, issued.refresh_token[:-4] + "AAAA"):
        assert barrier(other) is None
    session = cluster.get(issued.session)
    session.status.authentication.token_id = "another"
    await cluster.change(session)
    assert barrier(issued.refresh_token) is None


async def test_command_lines_are_no_browsers(cluster: Cluster) -> None:
    credential = await cluster.add_credential()
    issued = await cluster.authentication.with_authentication_token(
        cluster.token(credential), downstream=CLI, operation="sign-in"
    )
    session = cluster.get(issued.session)
    session.spec.state = STATES.REJECTED
    await cluster.change(session)
    assert cluster.authentication.barrier(issued.refresh_token) is None
    found = cluster.authentication.holder_of_access_token(issued.access_token)
    assert found is not None
    assert found.metadata.uid == issued.session.metadata.uid
