from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from octelium.identity.errors import RefusedError, UnauthenticatedError
from octelium.schema.pb import core_v1_pb2 as core
from tests.identity.cluster import CLI, Cluster, open_cluster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

STATES = core.SessionSpecState__


@pytest_asyncio.fixture(name="cluster")
async def cluster_fixture(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with open_cluster(tmp_path) as cluster:
        yield cluster


async def begin(cluster: Cluster, user: core.User) -> core.Session:
    credential = await cluster.add_credential(user)
    issued = await cluster.authentication.with_authentication_token(
        cluster.token(credential), downstream=CLI, operation="sign-in"
    )
    return issued.session


def uids(cluster: Cluster) -> set[str]:
    return {session.metadata.uid for session in cluster.sessions()}


async def test_one_of_my_sessions_ends(cluster: Cluster) -> None:
    mine, other = await begin(cluster, cluster.alice), await begin(cluster, cluster.alice)
    revoke = cluster.authentication.revoke_session
    ended = await revoke(mine.metadata.uid, other.metadata.uid, operation="portal")
    assert ended.metadata.name == other.metadata.name
    assert uids(cluster) == {mine.metadata.uid}
    with pytest.raises(RefusedError, match="no such Session"):
        await revoke(mine.metadata.uid, other.metadata.uid, operation="portal")
    await revoke(mine.metadata.uid, mine.metadata.uid, operation="portal")
    assert not uids(cluster)


async def test_all_my_other_sessions_end(cluster: Cluster) -> None:
    mine = await begin(cluster, cluster.alice)
    others = [await begin(cluster, cluster.alice) for _ in range(3)]
    robots = await begin(cluster, cluster.robot)
    revoke = cluster.authentication.revoke_other_sessions
    ended = await revoke(mine.metadata.uid, operation="portal")
    assert {s.metadata.uid for s in ended} == {s.metadata.uid for s in others}
    assert uids(cluster) == {mine.metadata.uid, robots.metadata.uid}
    assert await revoke(mine.metadata.uid, operation="portal") == []


@pytest.mark.parametrize("uid", ["other", "", "00000000-0000-4000-8000-000000000000"])
async def test_sessions_of_others_are_as_if_they_were_not(cluster: Cluster, uid: str) -> None:
    mine, robots = await begin(cluster, cluster.alice), await begin(cluster, cluster.robot)
    wanted = robots.metadata.uid if uid == "other" else uid
    with pytest.raises(RefusedError, match=r"^you have no such Session$"):
        await cluster.authentication.revoke_session(mine.metadata.uid, wanted, operation="x")
    assert len(uids(cluster)) == 2


@pytest.mark.parametrize("how", ["gone", "pending", "locked", "over", "action", "disabled"])
async def test_who_may_do_nothing_may_not_do_this(cluster: Cluster, how: str) -> None:
    mine, other = await begin(cluster, cluster.alice), await begin(cluster, cluster.alice)
    expected: type[Exception] = RefusedError
    session = cluster.get(mine)
    if how == "gone":
        await cluster.delete(mine)
        expected = UnauthenticatedError
    elif how == "over":
        cluster.clock.now = session.spec.expires_at.seconds
    elif how == "disabled":
        cluster.alice.spec.is_disabled = True
        await cluster.change(cluster.alice)
    else:
        if how == "pending":
            session.spec.state = STATES.PENDING
        elif how == "locked":
            session.status.is_locked = True
        else:
            actions = core.SessionStatusAuthenticatorAction__
            session.status.authenticator_action = actions.AUTHENTICATION_REQUIRED
        await cluster.change(session)
    authentication = cluster.authentication
    for call in (
        authentication.revoke_other_sessions(mine.metadata.uid, operation="x"),
        authentication.revoke_session(mine.metadata.uid, other.metadata.uid, operation="x"),
    ):
        with pytest.raises(expected):
            await call
    assert other.metadata.uid in uids(cluster)


async def test_without_a_session_nothing_is_asked(cluster: Cluster) -> None:
    await begin(cluster, cluster.alice)
    with pytest.raises(UnauthenticatedError):
        await cluster.authentication.revoke_other_sessions("", operation="x")
    assert len(uids(cluster)) == 1
