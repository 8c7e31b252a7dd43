from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from octelium.identity import admission, keys, sessions
from octelium.identity.errors import (
    ReusedTokenError,
    SessionLimitError,
    SessionRefusedError,
    UnauthenticatedError,
)
from octelium.identity.sessions import Beginning
from octelium.identity.tokens import TokenClaims, TokenType, Verifier
from octelium.schema.pb import core_v1_pb2 as core
from tests.identity.cluster import (
    CLI,
    NOW,
    OAUTH2,
    add_config,
    add_credential,
    add_user,
    lone_transaction,
    open_cluster,
)

if TYPE_CHECKING:
    from pathlib import Path

    from octelium.identity.admission import IssuedTokens
    from octelium.store.transaction import Transaction

HOUR = 3600
STATES = core.SessionSpecState__


def open_session(
    tx: Transaction,
    user: core.User,
    credential: core.Credential | None = None,
    now: int = NOW,
) -> core.Session:
    beginning = Beginning(
        user=user,
        type=core.SessionStatusType__.CLIENT,
        info=core.SessionStatusAuthenticationInfo(),
        credential=credential,
    )
    return admission.open_session(tx, beginning, admission.cluster_config(tx), now)


def claims(session: core.Session) -> TokenClaims:
    token_id = session.status.authentication.token_id
    return TokenClaims(TokenType.REFRESH, session.metadata.uid, token_id, NOW + HOUR)


def test_tokens_share_their_id_and_end_with_the_session_settings() -> None:
    tx = lone_transaction()
    session = open_session(tx, add_user(tx, "alice", human=True))
    secret = keys.new_signing_secret()
    secret.metadata.uid = str(uuid.uuid4())
    loaded = keys.load([secret])
    issued = admission.issue(loaded.signer, session)
    verifier = Verifier(loaded.public, clock=lambda: NOW)
    access = verifier.verify(issued.access_token, TokenType.ACCESS)
    refresh = verifier.verify(issued.refresh_token, TokenType.REFRESH)
    assert access is not None
    assert refresh is not None
    assert access.token_id == refresh.token_id == session.status.authentication.token_id
    assert access.subject == refresh.subject == session.metadata.uid
    assert access.expires_at == NOW + issued.expires_in == NOW + 4 * HOUR
    assert refresh.expires_at == NOW + issued.refresh_token_expires_in == NOW + 21 * HOUR
    assert verifier.verify(issued.access_token, TokenType.REFRESH) is None
    assert verifier.verify(issued.refresh_token, TokenType.ACCESS) is None


def test_the_limit_is_each_users_own_and_counts_what_lives() -> None:
    tx = lone_transaction()
    alice = add_user(tx, "alice", human=True)
    for _ in range(16):
        open_session(tx, alice)
    with pytest.raises(SessionLimitError) as caught:
        open_session(tx, alice)
    assert "alice" in str(caught.value)
    assert open_session(tx, add_user(tx, "robot"))
    assert tx.count("Session", by={"status.userRef": alice.metadata.uid}) == 16
    assert open_session(tx, alice, now=NOW + 21 * HOUR)


def test_sessions_of_any_state_count() -> None:
    tx = lone_transaction()
    alice = add_user(tx, "alice", human=True)
    alice.spec.session.max_per_user = 1
    session = open_session(tx, alice)
    session.spec.state = STATES.REJECTED
    tx.update(session)
    with pytest.raises(SessionLimitError):
        open_session(tx, alice)


def test_names_are_made_until_one_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    tx = lone_transaction()
    alice = add_user(tx, "alice", human=True)
    names = iter(["alice-aaaaaa", "alice-aaaaaa", "alice-aaaaaa", "alice-bbbbbb"])
    monkeypatch.setattr(sessions, "new_name", lambda _user: next(names))
    assert open_session(tx, alice).metadata.name == "alice-aaaaaa"
    assert open_session(tx, alice).metadata.name == "alice-bbbbbb"


def test_a_refresh_token_finds_its_session() -> None:
    tx = lone_transaction()
    alice = add_user(tx, "alice", human=True)
    session = open_session(tx, alice)
    assert admission.session_of_token(tx, claims(session), NOW) == session
    session.spec.state = STATES.PENDING
    session = tx.update(session)
    assert admission.session_of_token(tx, claims(session), NOW) == session


@pytest.mark.parametrize(
    "problem", ["deleted", "token", "over", "refresh", "rejected", "unknown", "locked"]
)
def test_a_refresh_token_that_finds_nothing(problem: str) -> None:
    tx = lone_transaction()
    alice = add_user(tx, "alice", human=True)
    alice.spec.session.client_duration.hours = 10
    alice.spec.session.refresh_token_duration.hours = 5
    session = open_session(tx, alice)
    verified = claims(session)
    now = NOW
    match problem:
        case "token":
            session.status.authentication.token_id = str(uuid.uuid4())
        case "over":
            session.status.authentication.set_at.seconds = NOW + 6 * HOUR
            now = NOW + 10 * HOUR
        case "refresh":
            now = NOW + 5 * HOUR
        case "rejected":
            session.spec.state = STATES.REJECTED
        case "unknown":
            session.spec.state = STATES.STATE_UNKNOWN
        case "locked":
            session.status.is_locked = True
    tx.update(session)
    if problem == "deleted":
        tx.delete("Session", session.metadata.uid)
    with pytest.raises(UnauthenticatedError):
        admission.session_of_token(tx, verified, now)


def test_the_session_of_a_credential() -> None:
    tx = lone_transaction()
    alice = add_user(tx, "alice", human=True)
    robot = add_user(tx, "robot")
    credential = add_credential(tx, robot, OAUTH2)
    assert admission.session_of_credential(tx, credential, NOW) is None
    open_session(tx, alice)
    session = open_session(tx, robot, credential)
    assert admission.session_of_credential(tx, credential, NOW) == session
    session.spec.expires_at.seconds = NOW
    session = tx.update(session)
    assert admission.session_of_credential(tx, credential, NOW) is None
    session.spec.expires_at.seconds = NOW + 1
    session.status.is_locked = True
    tx.update(session)
    with pytest.raises(SessionRefusedError):
        admission.session_of_credential(tx, credential, NOW)


def test_the_session_of_a_credential_comes_with_its_past() -> None:
    tx = lone_transaction()
    robot = add_user(tx, "robot")
    credential = add_credential(tx, robot, OAUTH2)
    session = open_session(tx, robot, credential)
    sessions.renew(session, core.SessionStatusAuthenticationInfo(), NOW + 1)
    tx.update(session)
    found = admission.session_of_credential(tx, credential, NOW + 1)
    assert found is not None
    assert len(found.status.last_authentications) == 1


def test_configuration() -> None:
    tx = lone_transaction()
    assert admission.cluster_config(tx) == core.ClusterConfig()
    config = add_config(tx)
    assert admission.cluster_config(tx) == config


@pytest.mark.parametrize(("late", "ended"), [(admission.GRACE, False), (admission.GRACE + 1, True)])
async def test_a_copy_of_an_old_refresh_token_ends_the_session(
    tmp_path: Path, late: int, ended: bool
) -> None:
    async with open_cluster(tmp_path) as cluster:
        credential = await cluster.add_credential(cluster.alice)
        first = await cluster.authentication.with_authentication_token(
            cluster.token(credential), downstream=CLI, operation="sign-in"
        )

        async def renew(issued: IssuedTokens) -> IssuedTokens:
            return await cluster.authentication.with_refresh_token(
                issued.refresh_token, downstream=CLI, operation="renew"
            )

        cluster.clock.now += 3 * 3600
        second = await renew(first)
        cluster.clock.now += late
        with pytest.raises(UnauthenticatedError) as caught:
            await renew(first)
        assert isinstance(caught.value, ReusedTokenError) is ended
        assert caught.value.answer == "Unauthenticated User"
        assert ("copy" in cluster.log.attempts[-1].reason) is ended
        if ended:
            assert not cluster.sessions()
            with pytest.raises(UnauthenticatedError):
                await renew(second)
        else:
            assert (await renew(second)).session.metadata.uid == first.session.metadata.uid


def test_a_token_that_no_session_had_ends_none() -> None:
    tx = lone_transaction()
    session = open_session(tx, add_user(tx, "alice", human=True))
    stranger = TokenClaims(TokenType.REFRESH, session.metadata.uid, str(uuid.uuid4()), NOW + HOUR)
    assert admission.end_if_reused(tx, stranger, NOW + 9999) is None
    assert tx.find(core.Session, uid=session.metadata.uid) is not None
