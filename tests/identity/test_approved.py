from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from octelium.identity import approved
from octelium.identity.attempts import Way
from octelium.identity.client_logins import ClientLogins
from octelium.identity.errors import AuthenticationError, RefusedError, SessionRefusedError
from octelium.identity.provider_logins import EXT
from octelium.identity.scopes import parse_scopes
from octelium.identity.sessions import Downstream
from octelium.schema.pb import core_v1_pb2 as core
from tests.identity.cluster import CLI, Cluster, open_cluster
from tests.identity.providers import BROWSER, LEVELS, add_person, add_provider, vouched

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from octelium.identity.admission import IssuedTokens

STATES = core.SessionSpecState__


class Approvals:
    """Ann is signed in in a browser, and lets command lines in."""

    def __init__(self, cluster: Cluster, provider: core.IdentityProvider) -> None:
        self.cluster = cluster
        self.provider = provider
        self.logins = ClientLogins(cluster.resources, cluster.keyring, clock=cluster.clock)
        self.browser: core.Session

    async def sign_in(self) -> core.Session:
        issued = await self.cluster.authentication.with_web_identity(
            vouched(self.provider, "ann", claims={"aal": "AAL2", "groups": ["dev"]}),
            refresh_token=None,
            downstream=Downstream(BROWSER, "192.0.2.1"),
            operation="callback",
        )
        return issued.session

    async def token(self) -> str:
        return await self.logins.approve(self.browser.metadata.uid, b"", operation="approval")

    async def use(self, token: str, **more: Any) -> IssuedTokens:
        return await self.cluster.authentication.with_authentication_token(
            token, **{"downstream": CLI, "operation": "sign-in", **more}
        )

    async def renew(self, issued: IssuedTokens) -> IssuedTokens:
        self.cluster.clock.now += 2 * 3600
        return await self.cluster.authentication.with_refresh_token(
            issued.refresh_token, downstream=CLI, operation="renew"
        )

    async def restrict(self, name: str = "only-wiki") -> None:
        """Put a policy on the browser's Session."""
        session = self.cluster.get(self.browser)
        session.spec.authorization.inline_policies.add(name=name)
        await self.cluster.change(session)


@pytest_asyncio.fixture(name="ann")
async def ann_fixture(tmp_path: Path) -> AsyncIterator[Approvals]:
    async with open_cluster(tmp_path) as cluster:
        provider = await cluster.write(lambda tx: add_provider(tx, "idp", groups_config="takes"))
        identities = (("idp", "ann"),)
        await cluster.write(lambda tx: add_person(tx, "ann", identities=identities))
        ann = Approvals(cluster, provider)
        ann.browser = await ann.sign_in()
        yield ann


def policies(session: core.Session) -> list[str]:
    return [one.name for one in session.spec.authorization.inline_policies]


async def test_what_restricts_the_browser_restricts_what_it_lets_in(ann: Approvals) -> None:
    await ann.restrict()
    issued = await ann.use(await ann.token())
    session = issued.session
    assert policies(session) == ["only-wiki"]
    assert session.status.ext[EXT] == ann.browser.status.ext[EXT]
    assert session.status.authentication.info.aal == LEVELS.AAL2
    assert session.status.initial_authentication.info.aal == LEVELS.AAL2
    assert approved.provider_uid(session) == ann.provider.metadata.uid
    renewed = await ann.renew(issued)
    assert policies(renewed.session) == ["only-wiki"]
    assert renewed.session.status.ext == session.status.ext
    assert renewed.session.status.authentication.info.aal == LEVELS.AAL2


async def test_a_renewal_follows_the_browser(ann: Approvals) -> None:
    issued = await ann.use(await ann.token())
    assert policies(issued.session) == []
    await ann.restrict()
    browser = ann.cluster.get(ann.browser)
    del browser.status.ext[EXT]
    await ann.cluster.change(browser)
    renewed = await ann.renew(issued)
    assert policies(renewed.session) == ["only-wiki"]
    assert EXT not in renewed.session.status.ext


async def test_both_changed(ann: Approvals) -> None:
    issued = await ann.use(await ann.token())
    await ann.restrict()
    session = ann.cluster.get(issued.session)
    session.spec.authorization.inline_policies.add(name="other")
    await ann.cluster.change(session)
    with pytest.raises(SessionRefusedError, match="both changed"):
        await ann.renew(issued)


async def test_a_provider_that_is_switched_off_renews_nothing(ann: Approvals) -> None:
    issued = await ann.use(await ann.token())
    provider = ann.cluster.get(ann.provider)
    provider.spec.is_disabled = True
    await ann.cluster.change(provider)
    with pytest.raises(RefusedError, match="IdentityProvider idp is disabled"):
        await ann.renew(issued)
    assert ann.cluster.log.attempts[-1].provider is not None


@pytest.mark.parametrize("how", ["locked", "rejected"])
async def test_a_browser_that_is_shut_out_renews_nothing(ann: Approvals, how: str) -> None:
    issued = await ann.use(await ann.token())
    token = await ann.token()
    session = ann.cluster.get(ann.browser)
    if how == "locked":
        session.status.is_locked = True
    else:
        session.spec.state = STATES.REJECTED
    await ann.cluster.change(session)
    with pytest.raises(RefusedError):
        await ann.renew(issued)
    with pytest.raises(AuthenticationError):
        await ann.use(token)


async def test_a_browser_that_was_signed_out_ends_nothing(ann: Approvals) -> None:
    await ann.restrict()
    issued = await ann.use(await ann.token())
    await ann.cluster.delete(ann.browser)
    renewed = await ann.renew(issued)
    assert policies(renewed.session) == ["only-wiki"]


async def test_nobody_is_let_in_after_the_browser_signed_out(ann: Approvals) -> None:
    token = await ann.token()
    await ann.cluster.delete(ann.browser)
    with pytest.raises(AuthenticationError):
        await ann.use(token)
    assert not ann.cluster.sessions()


async def test_a_session_with_scopes_lets_nobody_in(ann: Approvals) -> None:
    session = ann.cluster.get(ann.browser)
    session.status.scopes.extend(parse_scopes(["service:wiki"]))
    await ann.cluster.change(session)
    with pytest.raises(RefusedError, match="scopes"):
        await ann.token()


async def test_other_tokens_take_nothing_over(ann: Approvals) -> None:
    cluster = ann.cluster
    credential = await cluster.add_credential(cluster.alice)
    assert not approved.is_marked(credential)
    issued = await ann.use(cluster.token(credential))
    assert approved.APPROVER not in issued.session.metadata.system_labels
    assert approved.provider_uid(issued.session) == ""
    assert cluster.log.attempts[-1].way is Way.AUTHENTICATION_TOKEN


@pytest.mark.parametrize("way", [Way.APPROVAL, Way.DEVICE_CODE])
async def test_the_log_says_by_what(ann: Approvals, way: Way) -> None:
    await ann.use(await ann.token(), way=way)
    attempt = ann.cluster.log.attempts[-1]
    assert attempt.way is way
    assert attempt.credential is None
    assert attempt.user is not None
    assert attempt.user.name == "ann"
