from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from octelium.identity import admission, assertion_sessions
from octelium.identity.errors import SessionLimitError, SessionRefusedError
from octelium.identity.sessions import Downstream
from octelium.schema.pb import core_v1_pb2 as core
from tests.identity.cluster import Cluster, open_cluster
from tests.identity.providers import add_person, add_provider, vouched

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from octelium.identity.admission import IssuedTokens

POD = Downstream("Go-http-client/2.0", "192.0.2.9")


class Workload:
    """`bot`, by the assertions of its platform."""

    def __init__(self, cluster: Cluster, provider: core.IdentityProvider) -> None:
        self.cluster = cluster
        self.provider = provider

    async def sign_in(self, assertion: str, **more: Any) -> IssuedTokens:
        verified = replace(vouched(self.provider, "bot"), token_hash=assertion)
        self.cluster.clock.now += 1
        return await self.cluster.authentication.with_assertion(
            verified, **{"downstream": POD, "operation": "assertion", **more}
        )

    async def limit(self, most: int) -> None:
        user = self.cluster.resources.get(core.User, name="bot")
        user.spec.session.max_per_user = most
        await self.cluster.change(user)

    def names(self) -> set[str]:
        return {one.metadata.name for one in self.cluster.sessions()}


@pytest_asyncio.fixture(name="bot")
async def bot_fixture(tmp_path: Path) -> AsyncIterator[Workload]:
    async with open_cluster(tmp_path) as cluster:
        provider = await cluster.write(lambda tx: add_provider(tx, "k8s", "workload"))
        await cluster.write(
            lambda tx: add_person(tx, "bot", human=False, identities=(("k8s", "bot"),))
        )
        yield Workload(cluster, provider)


async def test_one_assertion_is_one_session(bot: Workload) -> None:
    first = await bot.sign_in("a")
    for _ in range(20):
        again = await bot.sign_in("a")
        assert again.session.metadata.uid == first.session.metadata.uid
    assert len(bot.names()) == 1
    # Programs that share an assertion do not end each other's tokens.
    holder = bot.cluster.authentication.holder_of_access_token
    assert holder(first.access_token) is not None
    assert holder(again.access_token) is not None
    assert (await bot.sign_in("b")).session.metadata.uid != first.session.metadata.uid


async def test_tokens_of_age_are_renewed(bot: Workload) -> None:
    first = await bot.sign_in("a")
    bot.cluster.clock.now += first.expires_in // 2
    second = await bot.sign_in("a")
    assert second.session.metadata.uid == first.session.metadata.uid
    assert second.session.status.total_authentications == 2
    assert bot.cluster.authentication.holder_of_access_token(first.access_token) is None
    # The other holder's refresh token is an old one, which is no theft.
    bot.cluster.clock.now += 10 * admission.GRACE
    with pytest.raises(Exception, match="newer tokens"):
        await bot.cluster.authentication.with_refresh_token(
            first.refresh_token, downstream=POD, operation="renew"
        )
    assert len(bot.names()) == 1


async def test_other_scopes_are_other_sessions_up_to_a_limit(bot: Workload) -> None:
    made = [
        await bot.sign_in("a", scopes=[f"service:s{number}"])
        for number in range(10, 10 + assertion_sessions.MOST)
    ]
    assert len({one.session.metadata.uid for one in made}) == assertion_sessions.MOST
    with pytest.raises(SessionLimitError, match="this assertion"):
        await bot.sign_in("a")
    assert (await bot.sign_in("a", scopes=["service:s10"])).session.metadata.uid == made[
        0
    ].session.metadata.uid


@pytest.mark.parametrize("how", ["locked", "rejected"])
async def test_an_assertion_does_not_undo_what_was_decided(bot: Workload, how: str) -> None:
    session = (await bot.sign_in("a")).session
    if how == "locked":
        session.status.is_locked = True
    else:
        session.spec.state = core.SessionSpecState__.REJECTED
    await bot.cluster.change(session)
    with pytest.raises(SessionRefusedError):
        await bot.sign_in("a")
    assert len(bot.names()) == 1


async def test_the_oldest_makes_room(bot: Workload) -> None:
    await bot.limit(3)
    made = [await bot.sign_in(text) for text in "abc"]
    kept = bot.cluster.get(made[0].session)
    kept.status.is_connected = True
    await bot.cluster.change(kept)
    newest = await bot.sign_in("d")
    expected = (made[0], made[2], newest)
    assert bot.names() == {one.session.metadata.name for one in expected}
    assert made[1].session.metadata.name in bot.cluster.log.attempts[-1].reason
    for number in range(10):
        await bot.sign_in(f"job {number}")
        assert len(bot.names()) == 3


async def test_sessions_of_other_origins_stay(bot: Workload) -> None:
    await bot.limit(1)
    user = bot.cluster.resources.get(core.User, name="bot")
    credential = await bot.cluster.add_credential(user)
    await bot.cluster.authentication.with_authentication_token(
        bot.cluster.token(credential), downstream=POD, operation="sign-in"
    )
    with pytest.raises(SessionLimitError):
        await bot.sign_in("a")
    assert len(bot.names()) == 1
