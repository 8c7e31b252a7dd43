from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.identity import invitations
from octelium.identity.attempts import Attempt, Way
from octelium.identity.invitations import LIFETIME, InvitationError, NotInvitableError, NoUserError
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import invitation_v1_pb2 as stored
from octelium.store.metadata import reference
from tests.identity.cluster import NOW, add_config, add_user, lone_transaction

if TYPE_CHECKING:
    from octelium.store.transaction import Transaction

STATES = core.SessionSpecState__


def attempt() -> Attempt:
    return Attempt(way=Way.INVITATION)


def claim(tx: Transaction, token: str, now: int = NOW) -> core.Session:
    add = tx.find(core.ClusterConfig, name="default")
    assert add is not None or add_config(tx)
    return invitations.claim(tx, token, None, attempt(), lambda _address: None, now)


def test_a_token_has_256_bits_and_the_store_only_its_hash() -> None:
    tx = lone_transaction()
    token = invitations.new_token()
    assert len(token) == 43
    made = invitations.make(tx, add_user(tx, "ann", human=True), token, NOW)
    assert made.spec.expires_at.seconds == NOW + 15 * 60
    assert all(token.encode() not in write.data for write in tx.writes())
    assert made.status.token_hash == invitations.hash_of(token)


@given(st.integers(1, 200))
def test_tokens_do_not_repeat(count: int) -> None:
    assert len({invitations.new_token() for _ in range(count)}) == count


def test_a_user_is_named_or_given_by_uid() -> None:
    tx = lone_transaction()
    ann = add_user(tx, "ann", human=True)
    assert invitations.user_named(tx, "ann") == ann
    assert invitations.user_named(tx, ann.metadata.uid) == ann
    for nobody in ("", "ben", "Ann"):
        with pytest.raises(NoUserError) as refused:
            invitations.user_named(tx, nobody)
        assert refused.value.code == "NOT_FOUND"


@pytest.mark.parametrize("why", ["workload", "disabled", "locked"])
def test_who_cannot_be_invited(why: str) -> None:
    tx = lone_transaction()
    ann = add_user(tx, "ann", human=why != "workload")
    ann.spec.is_disabled, ann.status.is_locked = why == "disabled", why == "locked"
    with pytest.raises(NotInvitableError, match="HUMAN" if why == "workload" else why) as refused:
        invitations.make(tx, tx.update(ann), "t", NOW)
    assert refused.value.code == "FAILED_PRECONDITION"
    assert tx.count(stored.Invitation) == 0


def test_a_newer_one_makes_the_earlier_void() -> None:
    tx = lone_transaction()
    ann = add_user(tx, "ann", human=True)
    invitations.make(tx, ann, "first", NOW)
    invitations.make(tx, ann, "second", NOW)
    with pytest.raises(InvitationError):
        invitations.open_invitation(tx, "first", attempt(), NOW)
    assert invitations.open_invitation(tx, "second", attempt(), NOW)[1] == ann
    assert tx.count(stored.Invitation) == 1


def test_a_newer_one_ends_what_the_earlier_has_begun() -> None:
    tx = lone_transaction()
    ann = add_user(tx, "ann", human=True)
    invitations.make(tx, ann, "first", NOW)
    session = claim(tx, "first")
    invitations.make(tx, ann, "second", NOW)
    assert tx.find(core.Session, uid=session.metadata.uid) is None
    other = claim(tx, "second")
    assert invitations.revoke(tx, ann)
    assert tx.find(core.Session, uid=other.metadata.uid) is None
    assert not invitations.revoke(tx, ann)


def test_a_claim_begins_a_session_that_can_do_nothing_yet() -> None:
    tx = lone_transaction()
    ann = add_user(tx, "ann", human=True)
    ann.spec.session.default_state = STATES.PENDING
    invitations.make(tx, tx.update(ann), "t", NOW)
    session = claim(tx, "t", NOW + LIFETIME - 1)
    assert invitations.is_invited(session)
    action = core.SessionStatusAuthenticatorAction__.REGISTRATION_REQUIRED
    assert session.status.authenticator_action == action
    assert session.status.is_browser
    assert session.spec.state == STATES.ACTIVE
    assert session.spec.expires_at.seconds == NOW + 2 * LIFETIME - 1
    (found,) = tx.list(stored.Invitation)
    assert found.status.session_ref.uid == session.metadata.uid
    assert found.spec.expires_at.seconds == NOW + 2 * LIFETIME - 1


def test_a_link_works_once_and_ends() -> None:
    tx = lone_transaction()
    ann = add_user(tx, "ann", human=True)
    invitations.make(tx, ann, "t", NOW)
    with pytest.raises(InvitationError) as late:
        invitations.open_invitation(tx, "t", attempt(), NOW + LIFETIME)
    assert "expired" in late.value.for_log
    session = claim(tx, "t")
    seen = attempt()
    with pytest.raises(InvitationError) as again:
        invitations.open_invitation(tx, "t", seen, NOW)
    assert "claimed before" in again.value.for_log
    assert "claimed" not in again.value.answer
    assert seen.session is not None
    assert seen.session.uid == session.metadata.uid
    with pytest.raises(InvitationError):
        claim(tx, "t")


@pytest.mark.parametrize("why", ["disabled", "locked", "workload", "gone", "again"])
def test_what_became_of_the_user_meanwhile_counts(why: str) -> None:
    tx = lone_transaction()
    ann = add_user(tx, "ann", human=True)
    invitations.make(tx, ann, "t", NOW)
    if why in ("gone", "again"):
        tx.delete(core.User, ann.metadata.uid)
    if why == "again":
        add_user(tx, "ann", human=True)
    elif why != "gone":
        ann.spec.is_disabled, ann.status.is_locked = why == "disabled", why == "locked"
        if why == "workload":
            ann.spec.type = core.UserSpecType__.WORKLOAD
        tx.update(ann)
    with pytest.raises(Exception, match=r"no HUMAN|not good"):
        claim(tx, "t")
    assert tx.count(core.Session) == 0


def test_the_end() -> None:
    tx = lone_transaction()
    ann, ben = add_user(tx, "ann", human=True), add_user(tx, "ben", human=True)
    invitations.make(tx, ann, "a", NOW)
    invitations.make(tx, ben, "b", NOW + 60)
    session = claim(tx, "a")
    invitations.complete(tx, session)
    assert tx.count(core.Session) == 0
    with pytest.raises(InvitationError):
        invitations.complete(tx, session)
    assert invitations.end_expired(tx, NOW + LIFETIME) == 0
    assert invitations.end_expired(tx, NOW + LIFETIME + 60) == 1
    assert tx.count(stored.Invitation) == 0


def test_other_sessions_are_left_alone() -> None:
    """A reference that leads to a Session which has come otherwise ends nothing."""
    tx = lone_transaction()
    ann = add_user(tx, "ann", human=True)
    made = invitations.make(tx, ann, "t", NOW)
    other = core.Session()
    other.metadata.name = "ann-abcdef"
    other = tx.create(other)
    made.status.session_ref.CopyFrom(reference(other))
    tx.update(made)
    assert invitations.revoke(tx, ann)
    assert tx.find(core.Session, uid=other.metadata.uid) is not None
