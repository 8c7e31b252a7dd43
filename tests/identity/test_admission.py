from __future__ import annotations

import uuid

import pytest

from octelium.identity import admission, sessions
from octelium.identity.errors import (
    SessionLimitError,
    SessionRefusedError,
    UnauthenticatedError,
)
from octelium.identity.sessions import Beginning
from octelium.identity.tokens import TokenClaims, TokenType
from octelium.schema.pb import core_v1_pb2 as core
from tests.identity.cluster import OAUTH2, Cluster
from tests.identity.memory import NOW

HOUR = 3600
STATES = core.SessionSpecState__


def open_session(
    cluster: Cluster,
    user: core.User | None = None,
    credential: core.Credential | None = None,
    now: int = NOW,
) -> core.Session:
    beginning = Beginning(
        user=user or cluster.alice,
        type=core.SessionStatusType__.CLIENT,
        info=core.SessionStatusAuthenticationInfo(),
        credential=credential,
    )
    tx = cluster.store.tx
    return admission.open_session(tx, beginning, admission.cluster_config(tx), now)


def claims(session: core.Session) -> TokenClaims:
    token_id = session.status.authentication.token_id
    return TokenClaims(TokenType.REFRESH, session.metadata.uid, token_id, NOW + HOUR)


def test_tokens_share_their_id_and_end_with_the_session_settings() -> None:
    cluster = Cluster()
    session = open_session(cluster)
    issued = admission.issue(cluster.keyring.signer, session)
    verifier = cluster.keyring.verifier
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
    cluster = Cluster()
    for _ in range(16):
        open_session(cluster)
    with pytest.raises(SessionLimitError) as caught:
        open_session(cluster)
    assert "alice" in str(caught.value)
    assert open_session(cluster, cluster.robot)
    assert len(cluster.sessions(cluster.alice)) == 16
    assert open_session(cluster, now=NOW + 21 * HOUR)


def test_sessions_of_any_state_count() -> None:
    cluster = Cluster()
    cluster.alice.spec.session.max_per_user = 1
    session = open_session(cluster)
    session.spec.state = STATES.REJECTED
    cluster.change(session)
    with pytest.raises(SessionLimitError):
        open_session(cluster)


def test_names_are_made_until_one_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster()
    names = iter(["alice-aaaaaa", "alice-aaaaaa", "alice-aaaaaa", "alice-bbbbbb"])
    monkeypatch.setattr(sessions, "new_name", lambda _user: next(names))
    assert open_session(cluster).metadata.name == "alice-aaaaaa"
    assert open_session(cluster).metadata.name == "alice-bbbbbb"


def test_a_refresh_token_finds_its_session() -> None:
    cluster = Cluster()
    session = open_session(cluster)
    assert admission.session_of_token(cluster.store.tx, claims(session), NOW) == session
    session.spec.state = STATES.PENDING
    session = cluster.change(session)
    assert admission.session_of_token(cluster.store.tx, claims(session), NOW) == session


@pytest.mark.parametrize(
    "problem", ["deleted", "token", "over", "refresh", "rejected", "unknown", "locked"]
)
def test_a_refresh_token_that_finds_nothing(problem: str) -> None:
    cluster = Cluster()
    cluster.alice.spec.session.client_duration.hours = 10
    cluster.alice.spec.session.refresh_token_duration.hours = 5
    session = open_session(cluster)
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
    cluster.change(session)
    if problem == "deleted":
        cluster.store.tx.delete("Session", session.metadata.uid)
    with pytest.raises(UnauthenticatedError):
        admission.session_of_token(cluster.store.tx, verified, now)


def test_the_session_of_a_credential() -> None:
    cluster = Cluster()
    credential = cluster.add_credential(credential_type=OAUTH2)
    tx = cluster.store.tx
    assert admission.session_of_credential(tx, credential, NOW) is None
    open_session(cluster)
    session = open_session(cluster, cluster.robot, credential)
    assert admission.session_of_credential(tx, credential, NOW) == session
    session.spec.expires_at.seconds = NOW
    session = cluster.change(session)
    assert admission.session_of_credential(tx, credential, NOW) is None
    session.spec.expires_at.seconds = NOW + 1
    session.status.is_locked = True
    cluster.change(session)
    with pytest.raises(SessionRefusedError):
        admission.session_of_credential(tx, credential, NOW)


def test_without_a_configuration_the_defaults_hold() -> None:
    cluster = Cluster()
    tx = cluster.store.tx
    config = tx.find("ClusterConfig", name="default")
    assert config is not None
    tx.delete("ClusterConfig", config.metadata.uid)
    assert admission.cluster_config(tx) == core.ClusterConfig()
