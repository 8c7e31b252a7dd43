from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from octelium.identity.attempts import Outcome, Way
from octelium.identity.authenticators.authenticators import Asking
from octelium.identity.authenticators.registration import Response
from octelium.identity.errors import (
    AuthenticationError,
    RefusedError,
    SessionLimitError,
    UnauthenticatedError,
)
from octelium.identity.invitation_logins import Inviter
from octelium.identity.invitations import LIFETIME, InvitationError, NotInvitableError, NoUserError
from octelium.identity.sessions import Downstream
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta
from octelium.store.metadata import reference
from tests.identity.authenticators.people import open_people
from tests.identity.cluster import open_cluster
from tests.identity.guests import OWNER, Guests

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path


async def test_from_the_invitation_to_the_session(tmp_path: Path) -> None:
    async with open_cluster(tmp_path) as cluster:
        guests = Guests(cluster)
        token = await guests.invite()
        made = cluster.log.last()
        assert (made.way, made.outcome) == (Way.INVITATION, Outcome.SUCCEEDED)
        assert made.user is not None
        assert made.user.name == "alice"
        assert "the owner of the Cluster's machine" in made.reason
        assert await guests.look(token) == "alice"
        assert not cluster.log.attempts
        issued = await guests.claim(token)
        claimed = cluster.log.last()
        assert claimed.outcome is Outcome.SUCCEEDED
        assert claimed.session is not None
        assert claimed.session.uid == issued.session.metadata.uid
        assert claimed.downstream.address == "192.0.2.7"
        assert "claimed" in claimed.reason
        found = cluster.authentication.browser_session(issued.refresh_token)
        assert found is not None
        assert found.metadata.uid == issued.session.metadata.uid


async def test_who_invites_is_known(tmp_path: Path) -> None:
    async with open_people(tmp_path) as people:
        cluster, guests = people.cluster, Guests(people.cluster)
        session = (await people.session(people.bob)).session
        where = Downstream("octelium-cli/1", "192.0.2.9")
        inviter = Inviter("ext/Invite", reference(session), where)
        await guests.invite("alice", inviter)
        made = cluster.log.last()
        assert f"User bob (Session {session.metadata.name})" in made.reason
        assert made.session == inviter.session
        assert made.downstream == where
        (kept,) = guests.stored()
        assert kept.metadata.actor_ref.uid == session.metadata.uid
        assert kept.metadata.actor_operation == "ext/Invite"
        assert await guests.logins.revoke("alice", inviter)
        assert "revoked by User bob" in cluster.log.last().reason
        assert not await guests.logins.revoke("alice", inviter)
        assert "nothing to revoke" in cluster.log.last().reason
        await cluster.delete(session)
        for method in (guests.logins.invite, guests.logins.revoke):
            with pytest.raises(UnauthenticatedError):
                await method("alice", inviter)
            assert cluster.log.last().outcome is Outcome.REFUSED
        assert guests.stored() == []


async def test_a_lost_device_is_told_to_administrators(tmp_path: Path) -> None:
    async with open_people(tmp_path) as people:
        await people.add_fido(await people.session())
        people.cluster.log.attempts.clear()
        await Guests(people.cluster).invite()
        assert "has 1 Authenticators" in people.cluster.log.last().reason


async def test_refusals_are_in_the_log_and_change_nothing(tmp_path: Path) -> None:
    async with open_cluster(tmp_path) as cluster:
        guests = Guests(cluster)
        revision = cluster.resources.revision
        with pytest.raises(NoUserError, match="nobody"):
            await guests.invite("nobody")
        assert cluster.log.last().code == "NOT_FOUND"
        with pytest.raises(NotInvitableError, match="Credential"):
            await guests.invite("robot")
        refused = cluster.log.last()
        assert (refused.outcome, refused.code) == (Outcome.REFUSED, "FAILED_PRECONDITION")
        assert refused.user is not None
        assert refused.user.name == "robot"
        for step in (guests.look, guests.claim):
            with pytest.raises(InvitationError):
                await step("x" * 43)
            assert cluster.log.last().outcome is Outcome.REFUSED
        assert cluster.resources.revision == revision


async def test_what_is_done_before_belongs_to_it(tmp_path: Path) -> None:
    async with open_cluster(tmp_path) as cluster:

        def before(tx: object) -> None:
            raise RefusedError("not this one")

        with pytest.raises(RefusedError, match="not this one"):
            await Guests(cluster).logins.invite("alice", OWNER, before=before)
        assert Guests(cluster).stored() == []


async def test_of_many_that_claim_at_once_one_gets_it(tmp_path: Path) -> None:
    """A one-off credential is used up in the transaction that begins the Session."""
    async with open_cluster(tmp_path) as cluster:
        guests = Guests(cluster)
        for _ in range(5):
            token = await guests.invite()
            before = len(cluster.sessions())
            results = await asyncio.gather(
                *(guests.claim(token) for _ in range(20)), return_exceptions=True
            )
            assert sum(not isinstance(each, Exception) for each in results) == 1
            assert sum(isinstance(each, InvitationError) for each in results) == 19
            assert len(cluster.sessions()) <= before + 1
            outcomes = [each.outcome for each in cluster.log.attempts[-20:]]
            assert outcomes.count(Outcome.SUCCEEDED) == 1


async def test_claims_and_newer_invitations_at_once(tmp_path: Path) -> None:
    """Whatever comes first: the earlier link and what it has begun are void afterwards."""
    async with open_cluster(tmp_path) as cluster:
        guests = Guests(cluster)
        for swap in (False, True):
            token = await guests.invite()
            steps = [guests.claim(token), guests.invite()]
            results = await asyncio.gather(
                *(reversed(steps) if swap else steps), return_exceptions=True
            )
            newer = next(each for each in results if isinstance(each, str))
            assert await guests.look(newer) == "alice"
            assert cluster.sessions() == []


async def test_a_restart_ends_nothing(tmp_path: Path) -> None:
    """Invitations are in the store, not in the memory of a process that may be killed."""
    async with open_cluster(tmp_path) as cluster:
        token = await Guests(cluster).invite()
        await cluster.resources.load()
        await Guests(cluster).claim(token)
        await cluster.resources.load()
        with pytest.raises(InvitationError):
            await Guests(cluster).claim(token)


async def test_it_expires(tmp_path: Path) -> None:
    async with open_cluster(tmp_path) as cluster:
        guests = Guests(cluster)
        token = await guests.invite()
        cluster.clock.now += LIFETIME - 1
        assert await guests.look(token) == "alice"
        cluster.clock.now += 1
        for step in (guests.look, guests.claim):
            with pytest.raises(InvitationError):
                await step(token)


async def test_the_session_that_was_claimed_ends_too(tmp_path: Path) -> None:
    async with open_cluster(tmp_path) as cluster:
        guests = Guests(cluster)
        issued = await guests.claim(await guests.invite())
        cluster.clock.now += LIFETIME - 1
        assert cluster.authentication.browser_session(issued.refresh_token)
        cluster.clock.now += 1
        assert cluster.authentication.browser_session(issued.refresh_token) is None


async def test_a_session_too_many_leaves_the_link_good(tmp_path: Path) -> None:
    async with open_people(tmp_path) as people:
        cluster, guests = people.cluster, Guests(people.cluster)
        user = cluster.get(cluster.alice)
        user.spec.session.max_per_user = 1
        await cluster.change(user)
        session = await people.session()
        token = await guests.invite()
        with pytest.raises(SessionLimitError):
            await guests.claim(token)
        # In the browser that has the Session, there is room: it ends.
        issued = await guests.claim(token, session.refresh_token)
        assert [each.metadata.uid for each in cluster.sessions()] == [issued.session.metadata.uid]


async def test_the_session_of_another_user_goes_on(tmp_path: Path) -> None:
    async with open_people(tmp_path) as people:
        guests = Guests(people.cluster)
        bobs = await people.session(people.bob)
        await guests.claim(await guests.invite(), bobs.refresh_token)
        assert people.cluster.authentication.browser_session(bobs.refresh_token) is not None


async def test_a_claimed_session_can_do_nothing_else(tmp_path: Path) -> None:
    """A half-finished sign-in is none: each other way on is closed until the passkey is there."""
    async with open_people(tmp_path) as people:
        cluster, guests = people.cluster, Guests(people.cluster)
        made, _ = await people.add_totp(await people.session())
        issued = await guests.claim(await guests.invite())
        uid = issued.session.metadata.uid
        here = people.authenticators
        asks = issued.refresh_token
        asking, ref = Asking(asks, "test"), meta.ObjectReference(uid=made.metadata.uid)
        kind = core.AuthenticatorStatusType__.TOTP
        attempts: list[Callable[[], Awaitable[object]]] = [
            lambda: here.create(asking, kind, ""),
            lambda: here.list(asking, meta.CommonListOptions()),
            lambda: here.get(asking, ref),
            lambda: here.available(asking),
            lambda: here.rename(asking, ref, "mine"),
            lambda: here.delete(asking, ref),
            lambda: here.register_begin(asking, ref),
            lambda: here.register_finish(asking, ref, Response(kind, "000000")),
            lambda: here.authenticate_begin(asking, ref),
            lambda: here.authenticate(asking, ref, Response(kind, "0"), downstream=Downstream()),
            lambda: cluster.authentication.with_refresh_token(
                asks, downstream=Downstream(), operation="test"
            ),
            lambda: cluster.authentication.revoke_other_sessions(uid, operation="test"),
        ]
        for attempt in attempts:
            with pytest.raises(AuthenticationError):
                await attempt()
        session = cluster.resources.get(core.Session, uid=uid)
        action = core.SessionStatusAuthenticatorAction__.REGISTRATION_REQUIRED
        assert session.status.authenticator_action == action
