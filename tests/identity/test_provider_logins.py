from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from octelium.identity.errors import (
    AuthenticationError,
    RefusedError,
    SessionLimitError,
    UnauthenticatedError,
    UnknownUserError,
)
from octelium.identity.provider_rules import PendingRulesError
from octelium.identity.scopes import ScopeError
from octelium.identity.sessions import Downstream
from octelium.identity.tokens import TokenType
from octelium.schema.jsonform import to_json
from octelium.schema.pb import core_v1_pb2 as core
from tests.identity.cluster import CLI, NOW, Cluster, open_cluster
from tests.identity.providers import BROWSER, LEVELS, add_person, add_provider, vouched

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from octelium.identity.admission import IssuedTokens
    from octelium.identity.verified import VerifiedIdentity

ADDRESS = "ann@example.com"
ACTIONS = core.SessionStatusAuthenticatorAction__
STATES = core.SessionSpecState__
HERE = Downstream(BROWSER, "192.0.2.1")
K8S = Downstream("Go-http-client/2.0", "192.0.2.9")


class World:
    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.okta: core.IdentityProvider
        self.github: core.IdentityProvider
        self.k8s: core.IdentityProvider
        self.ann: core.User
        self.bot: core.User

    async def begin(self) -> None:
        write = self.cluster.write
        self.okta = await write(lambda tx: add_provider(tx, "okta", groups_config="takes"))
        self.github = await write(lambda tx: add_provider(tx, "github", "github"))
        self.k8s = await write(lambda tx: add_provider(tx, "k8s", "workload"))
        self.ann = await write(lambda tx: add_person(tx, "ann", email=ADDRESS))
        self.bot = await write(
            lambda tx: add_person(tx, "bot", human=False, identities=(("k8s", "sa:bot"),))
        )

    def ann_at(self, provider: core.IdentityProvider, **more: Any) -> VerifiedIdentity:
        return vouched(provider, ADDRESS, email=ADDRESS, email_verified=True, **more)

    async def sign_in(
        self, verified: VerifiedIdentity | None = None, refresh_token: str | None = None
    ) -> IssuedTokens:
        return await self.cluster.authentication.with_web_identity(
            verified or self.ann_at(self.okta),
            refresh_token=refresh_token,
            downstream=HERE,
            operation="callback",
        )

    async def assert_identity(
        self, verified: VerifiedIdentity | None = None, **more: Any
    ) -> IssuedTokens:
        return await self.cluster.authentication.with_assertion(
            verified or vouched(self.k8s, "sa:bot"),
            **{"downstream": K8S, "operation": "assertion", **more},
        )

    async def configure(self, change: Any) -> None:
        config = self.cluster.resources.get(core.ClusterConfig, name="default")
        change(config.spec)
        await self.cluster.change(config)


@pytest_asyncio.fixture(name="world")
async def world_fixture(tmp_path: Path) -> AsyncIterator[World]:
    async with open_cluster(tmp_path) as cluster:
        world = World(cluster)
        await world.begin()
        yield world


def alive(world: World, issued: IssuedTokens) -> bool:
    holder = world.cluster.authentication.holder_of_access_token
    return holder(issued.access_token) is not None


async def test_a_browser_gets_a_session(world: World) -> None:
    verified = world.ann_at(
        world.okta, picture_url="https://okta.test/ann.png", claims={"aal": "AAL2"}
    )
    issued = await world.sign_in(verified)
    session = world.cluster.get(issued.session)
    status = session.status
    assert session.metadata.name.startswith("ann-")
    assert status.user_ref.uid == world.ann.metadata.uid
    assert status.type == core.SessionStatusType__.CLIENTLESS
    assert status.is_browser
    assert not status.scopes
    info = status.authentication.info
    assert info.type == core.SessionStatusAuthenticationInfoType__.IDENTITY_PROVIDER
    assert info.aal == LEVELS.AAL2
    used = info.identity_provider
    assert used.identity_provider_ref.uid == world.okta.metadata.uid
    assert used.type == core.IdentityProviderStatusType__.OIDC
    assert (used.identifier, used.email) == (ADDRESS, ADDRESS)
    assert used.pic_url == "https://okta.test/ann.png"
    assert info.downstream.user_agent == BROWSER
    assert not info.downstream.ip_address  # nothing says that it can be trusted
    assert status.initial_authentication == status.authentication
    assert world.cluster.rules.asked[-1].identity_provider.identifier == ADDRESS
    assert alive(world, issued)


@pytest.mark.parametrize("url", ["http://h/a.png", "javascript:alert(1)", f"https://{'x' * 2048}"])
async def test_only_plain_pictures_are_kept(world: World, url: str) -> None:
    issued = await world.sign_in(world.ann_at(world.okta, picture_url=url))
    assert not issued.session.status.authentication.info.identity_provider.pic_url


async def test_the_same_browser_keeps_its_session_with_new_tokens(world: World) -> None:
    first = await world.sign_in()
    world.cluster.clock.now += 600
    second = await world.sign_in(
        world.ann_at(world.okta, claims={"aal": "AAL3"}), first.refresh_token
    )
    assert [s.metadata.uid for s in world.cluster.sessions()] == [first.session.metadata.uid]
    session = world.cluster.get(first.session)
    assert session.status.total_authentications == 2
    assert session.spec.expires_at.seconds == NOW + 21 * 3600
    assert session.status.authentication.set_at.seconds == NOW + 600
    assert session.status.authentication.info.aal == LEVELS.AAL3
    assert session.status.initial_authentication.info.aal == LEVELS.AAL_UNSET
    (earlier,) = session.status.last_authentications
    assert earlier.token_id == first.session.status.authentication.token_id
    assert not alive(world, first)
    assert alive(world, second)


async def test_another_provider_begins_another_session(world: World) -> None:
    first = await world.sign_in()
    second = await world.sign_in(world.ann_at(world.github), first.refresh_token)
    assert [s.metadata.uid for s in world.cluster.sessions()] == [second.session.metadata.uid]
    assert second.session.metadata.uid != first.session.metadata.uid
    assert not alive(world, first)


async def test_the_session_of_somebody_else_in_the_browser_is_not_touched(world: World) -> None:
    """A cookie that somebody planted must neither be taken over nor be raised."""
    bob = await world.cluster.write(lambda tx: add_person(tx, "bob", identities=(("okta", "bob"),)))
    planted = await world.sign_in(vouched(world.okta, "bob"))
    own = await world.sign_in(None, planted.refresh_token)
    assert own.session.status.user_ref.uid == world.ann.metadata.uid
    assert own.session.metadata.uid != planted.session.metadata.uid
    stored = world.cluster.get(planted.session)
    assert stored.status.user_ref.uid == bob.metadata.uid
    assert stored.status.total_authentications == 1
    assert alive(world, planted)


@pytest.mark.parametrize(
    "cookie", ["old", "over", "gone", "rejected", "access", "cli", "other", "text"]
)
async def test_cookies_that_are_worth_nothing(world: World, cookie: str) -> None:
    cluster = world.cluster
    first = await world.sign_in()
    token = first.refresh_token
    if cookie == "old":
        await world.sign_in(None, token)
    elif cookie == "over":
        cluster.clock.now += 22 * 3600
    elif cookie == "gone":
        await cluster.delete(first.session)
    elif cookie == "rejected":
        session = cluster.get(first.session)
        session.spec.state = STATES.REJECTED
        await cluster.change(session)
    elif cookie == "other":  # of the same User and IdentityProvider, but no browser's
        session = cluster.get(first.session)
        session.status.is_browser = False
        await cluster.change(session)
    elif cookie == "access":
        token = first.access_token
    elif cookie == "cli":
        credential = await cluster.add_credential(world.ann)
        other = await cluster.authentication.with_authentication_token(
            cluster.token(credential), downstream=CLI, operation="sign-in"
        )
        token = other.refresh_token
    else:
        token = "x" * 200
    before = {session.metadata.uid for session in cluster.sessions()}
    again = await world.sign_in(None, token)
    assert again.session.metadata.uid not in before
    assert again.session.status.is_browser
    if cookie == "rejected":
        assert cluster.get(first.session).spec.state == STATES.REJECTED


async def test_new_sessions_wait_where_they_are_to_be_approved(world: World) -> None:
    await world.configure(lambda spec: setattr(spec.session.human, "default_state", STATES.PENDING))
    issued = await world.sign_in()
    assert issued.session.spec.state == STATES.PENDING
    found = world.cluster.authentication.browser_session(issued.refresh_token)
    assert found is not None
    # Signing in again approves nothing.
    again = await world.sign_in(None, issued.refresh_token)
    assert again.session.metadata.uid == issued.session.metadata.uid
    assert again.session.spec.state == STATES.PENDING


async def test_lifetimes_are_the_users(world: World) -> None:
    world.ann.spec.session.clientless_duration.hours = 2
    world.ann.spec.session.access_token_duration.minutes = 45
    world.ann.spec.session.refresh_token_duration.minutes = 90
    await world.cluster.change(world.ann)
    issued = await world.sign_in()
    assert issued.session.spec.expires_at.seconds == NOW + 2 * 3600
    assert (issued.expires_in, issued.refresh_token_expires_in) == (45 * 60, 90 * 60)


async def test_the_limit_counts_and_renewals_do_not_meet_it(world: World) -> None:
    world.ann.spec.session.max_per_user = 2
    await world.cluster.change(world.ann)
    first, second = await world.sign_in(), await world.sign_in()
    with pytest.raises(SessionLimitError):
        await world.sign_in()
    again = await world.sign_in(None, first.refresh_token)
    assert again.session.metadata.uid == first.session.metadata.uid
    # A Session that gives way to another leaves its place.
    await world.sign_in(world.ann_at(world.github), second.refresh_token)
    assert len(world.cluster.sessions()) == 2


async def test_parallel_logins_do_not_exceed_the_limit(world: World) -> None:
    world.ann.spec.session.max_per_user = 3
    await world.cluster.change(world.ann)
    results = await asyncio.gather(*(world.sign_in() for _ in range(8)), return_exceptions=True)
    assert sum(isinstance(result, SessionLimitError) for result in results) == 5
    assert len(world.cluster.sessions()) == 3


@pytest.mark.parametrize("how", ["unknown", "workload", "disabled", "rule", "provider", "kind"])
async def test_a_refused_login_creates_nothing(world: World, how: str) -> None:
    cluster = world.cluster
    verified = world.ann_at(world.okta)
    expected: type[Exception] = RefusedError
    if how == "unknown":
        verified = vouched(world.okta, "eve@example.com", email="eve@example.com")
        expected = UnknownUserError
    elif how == "workload":
        await cluster.write(
            lambda tx: add_person(tx, "robby", human=False, identities=(("okta", "r"),))
        )
        verified = vouched(world.okta, "r")
    elif how == "disabled":
        world.ann.spec.is_disabled = True
        await cluster.change(world.ann)
    elif how == "rule":
        cluster.rules.refused.add("ann")
    elif how == "provider":
        world.okta.spec.is_disabled = True
        await cluster.change(world.okta)
    else:
        verified = vouched(world.k8s, "sa:bot")
    revision = cluster.resources.revision
    with pytest.raises(expected):
        await world.sign_in(verified)
    assert cluster.resources.revision == revision
    assert cluster.log.last().outcome.name == "REFUSED"


async def test_a_refused_login_ends_nothing_either(world: World) -> None:
    first = await world.sign_in()
    world.cluster.rules.refused.add("ann")
    for provider in (world.okta, world.github):
        with pytest.raises(RefusedError):
            await world.sign_in(world.ann_at(provider), first.refresh_token)
    assert alive(world, first)


async def test_an_authenticator_may_be_needed_first(world: World) -> None:
    enforcement = world.cluster.enforcement
    issued = await world.sign_in()
    assert not issued.session.status.authenticator_action
    enforcement.wanted = ACTIONS.AUTHENTICATION_REQUIRED
    again = await world.sign_in(None, issued.refresh_token)
    assert again.session.status.authenticator_action == ACTIONS.AUTHENTICATION_REQUIRED
    asked = enforcement.asked[-1].status.authentication
    assert asked.token_id == again.session.status.authentication.token_id
    # What is no longer wanted is not asked for any longer.
    enforcement.wanted = ACTIONS.AUTHENTICATOR_ACTION_UNSET
    last = await world.sign_in(None, again.refresh_token)
    assert not world.cluster.get(last.session).status.authenticator_action


async def test_groups_are_those_of_the_last_assertion(world: World) -> None:
    issued = await world.sign_in(world.ann_at(world.okta, claims={"groups": ["ops", "dev"]}))
    ext = to_json(world.cluster.get(issued.session))["status"]["ext"]
    assert ext == {"identityProvider": {"name": "okta", "groups": ["ops", "dev"]}}
    assert not world.cluster.get(world.ann).spec.groups
    again = await world.sign_in(
        world.ann_at(world.okta, claims={"groups": []}), issued.refresh_token
    )
    ext = to_json(world.cluster.get(again.session))["status"]["ext"]
    assert ext == {"identityProvider": {"name": "okta", "groups": []}}
    del world.okta.metadata.annotations["groups-config"]
    world.okta = await world.cluster.change(world.okta)
    last = await world.sign_in(
        world.ann_at(world.okta, claims={"groups": ["ops"]}), again.refresh_token
    )
    assert "ext" not in to_json(world.cluster.get(last.session))["status"]


async def test_the_log_tells_why_there_are_no_groups(world: World) -> None:
    log = world.cluster.log
    for claims, said in (
        ({"groups": ["ops"]}, ""),
        ({"email": "x"}, "no groups: the provider told no claim 'groups'"),
        ({"groups": []}, "no groups: the Config takes none of what the provider told"),
    ):
        log.attempts.clear()
        await world.sign_in(world.ann_at(world.okta, claims=claims))
        assert log.attempts[-1].reason == said
    await world.sign_in(world.ann_at(world.github))
    assert log.attempts[-1].reason == ""


async def test_groups_that_cannot_be_taken_refuse(world: World) -> None:
    with pytest.raises(RefusedError):
        await world.sign_in(world.ann_at(world.okta, claims={"broken": True}))
    assert not world.cluster.sessions()


async def test_a_workload_gets_a_session_of_its_own_each_time(world: World) -> None:
    first = await world.assert_identity(scopes=["service:wiki"])
    second = await world.assert_identity()
    assert len(world.cluster.sessions()) == 2
    status = first.session.status
    assert status.type == core.SessionStatusType__.CLIENTLESS
    assert not status.is_browser
    assert len(status.scopes) == 1
    assert not second.session.status.scopes
    assert status.authentication.info.identity_provider.identifier == "sa:bot"
    assert (first.expires_in, first.refresh_token_expires_in) == (4 * 3600, 14 * 24 * 3600)
    assert world.cluster.authentication.browser_session(first.refresh_token) is None


async def test_the_type_of_a_workloads_session(world: World) -> None:
    client = await world.assert_identity(downstream=CLI)
    assert client.session.status.type == core.SessionStatusType__.CLIENT
    chosen = await world.assert_identity(
        downstream=CLI, session_type=core.SessionStatusType__.CLIENTLESS
    )
    assert chosen.session.status.type == core.SessionStatusType__.CLIENTLESS


async def test_a_workloads_session_is_renewed_while_its_provider_counts(world: World) -> None:
    issued = await world.assert_identity()
    refresh = world.cluster.authentication.with_refresh_token
    issued = await refresh(issued.refresh_token, downstream=K8S, operation="refresh")
    world.k8s.spec.is_disabled = True
    await world.cluster.change(world.k8s)
    with pytest.raises(RefusedError, match="k8s"):
        await refresh(issued.refresh_token, downstream=K8S, operation="refresh")
    assert world.cluster.log.attempts[-1].provider is not None


@pytest.mark.parametrize("how", ["human", "rule", "web", "typeless", "unknown", "email", "scopes"])
async def test_a_refused_assertion_creates_nothing(world: World, how: str) -> None:
    verified, scopes = vouched(world.k8s, "sa:bot"), None
    expected: type[Exception] = RefusedError
    if how == "human":
        await world.cluster.write(lambda tx: add_person(tx, "bob", identities=(("k8s", "sa:bob"),)))
        verified = vouched(world.k8s, "sa:bob")
    elif how == "rule":
        world.cluster.rules.refused.add("bot")
    elif how == "web":
        await world.cluster.write(
            lambda tx: add_person(tx, "robby", human=False, identities=(("github", "r"),))
        )
        verified = vouched(world.github, "r")
    elif how == "typeless":
        world.k8s.status.type = core.IdentityProviderStatusType__.TYPE_UNKNOWN
        world.k8s = await world.cluster.change(world.k8s)
        verified = vouched(world.k8s, "sa:bot")
    elif how == "unknown":
        verified, expected = vouched(world.k8s, "sa:other"), UnknownUserError
    elif how == "email":
        verified = vouched(world.k8s, ADDRESS, email=ADDRESS, email_verified=True)
        expected = UnknownUserError
    else:
        scopes, expected = ["nonsense"], ScopeError
    with pytest.raises(expected):
        await world.assert_identity(verified, scopes=scopes)
    assert not world.cluster.sessions()
    assert world.cluster.log.last().outcome.name == "REFUSED"


async def test_places_are_remembered_where_addresses_are(world: World) -> None:
    issued = await world.sign_in()
    assert not issued.session.status.authentication.info.HasField("geoip")
    await world.configure(lambda spec: setattr(spec.ingress, "use_forwarded_for_header", True))
    issued = await world.sign_in()
    info = issued.session.status.authentication.info
    assert info.downstream.ip_address == HERE.address
    assert info.geoip.country.code == "NL"
    assert world.cluster.log.attempts[-1].country == "NL"
    elsewhere = await world.assert_identity()
    assert not elsewhere.session.status.authentication.info.HasField("geoip")


async def test_the_session_of_a_browser(world: World) -> None:
    authentication = world.cluster.authentication
    issued = await world.sign_in()

    def present() -> bool:
        found = authentication.browser_session(issued.refresh_token)
        assert found is None or found.metadata.uid == issued.session.metadata.uid
        return found is not None

    assert present()
    assert authentication.browser_session(issued.access_token) is None
    assert authentication.browser_session("") is None
    world.cluster.clock.now += 5 * 3600  # the access token is over
    assert present()
    world.ann.spec.is_disabled = True
    world.ann = await world.cluster.change(world.ann)
    assert not present()
    world.ann.spec.is_disabled = False
    await world.cluster.change(world.ann)
    session = world.cluster.get(issued.session)
    for state, expected in ((STATES.REJECTED, False), (STATES.PENDING, True)):
        session.spec.state = state
        session = await world.cluster.change(session)
        assert present() == expected
    session.status.is_locked = True
    await world.cluster.change(session)
    assert not present()


async def test_a_browsers_session_ends_with_its_refresh_token(world: World) -> None:
    world.ann.spec.session.refresh_token_duration.minutes = 30
    world.ann.spec.session.access_token_duration.minutes = 30
    await world.cluster.change(world.ann)
    issued = await world.sign_in()
    browser_session = world.cluster.authentication.browser_session
    world.cluster.clock.now += 1799
    assert browser_session(issued.refresh_token) is not None
    world.cluster.clock.now += 1
    assert browser_session(issued.refresh_token) is None


async def test_a_browser_logs_out(world: World) -> None:
    issued = await world.sign_in()
    await world.cluster.authentication.log_out(issued.refresh_token, operation="logout")
    assert not world.cluster.sessions()
    with pytest.raises(UnauthenticatedError):
        await world.cluster.authentication.log_out(issued.refresh_token, operation="logout")


async def test_a_forged_cookie_is_no_session(world: World) -> None:
    """The signature counts, not what the token says."""
    issued = await world.sign_in()
    claims = world.cluster.keyring.verifier.verify(issued.refresh_token, TokenType.REFRESH)
    assert claims is not None
    forged = issued.refresh_token[:-4] + "AAAA"
    assert world.cluster.authentication.browser_session(forged) is None
    other = await world.sign_in(None, forged)
    assert other.session.metadata.uid != issued.session.metadata.uid


async def test_without_rules_nobody_signs_in(world: World) -> None:
    from octelium.identity.authentication import Authentication

    bare = Authentication(world.cluster.resources, world.cluster.keyring)
    with pytest.raises(AuthenticationError):
        await bare.with_web_identity(
            world.ann_at(world.okta), refresh_token=None, downstream=HERE, operation="x"
        )
    assert not world.cluster.sessions()


async def test_rules_may_have_to_wait_for_a_result(world: World) -> None:
    rules, waited = world.cluster.rules, []

    async def settle() -> None:
        # Nobody is kept waiting meanwhile.
        await world.cluster.write(lambda tx: add_person(tx, "bob"))
        waited.append(True)
        rules.pending = None

    rules.pending = PendingRulesError(settle)
    issued = await world.sign_in()
    assert waited == [True]
    assert alive(world, issued)


async def test_rules_that_never_come_to_an_end_refuse(world: World) -> None:
    async def settle() -> None:
        """Get nothing."""

    world.cluster.rules.pending = PendingRulesError(settle)
    with pytest.raises(RefusedError, match="too many"):
        await world.sign_in()
    assert not world.cluster.sessions()


@pytest.mark.parametrize("text", ["a\ud800", "\x00", "\u202e", "x" * 5000])
async def test_whatever_a_provider_says_is_refused_with_a_record(world: World, text: str) -> None:
    for verified in (
        vouched(world.okta, text),
        vouched(world.okta, "u-1", email=f"{text}@example.com", email_verified=True),
    ):
        with pytest.raises(AuthenticationError):
            await world.sign_in(verified)
        assert world.cluster.log.last().outcome.name == "REFUSED"
    assert not world.cluster.sessions()
