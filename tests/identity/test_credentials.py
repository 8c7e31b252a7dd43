from __future__ import annotations

import hashlib
import uuid

import pytest

from octelium.identity import credentials
from octelium.identity.errors import (
    CredentialUnusableError,
    UnauthenticatedError,
    UnknownUserError,
)
from octelium.identity.tokens import TokenClaims, TokenType
from octelium.schema.pb import core_v1_pb2 as core
from tests.identity.cluster import ACCESS_TOKEN, AUTH_TOKEN, OAUTH2, Cluster
from tests.identity.memory import NOW


def claims(cluster: Cluster, credential: core.Credential) -> TokenClaims:
    verified = cluster.keyring.verifier.verify(cluster.token(credential), TokenType.CREDENTIAL)
    assert verified is not None
    return verified


def test_a_current_token_counts() -> None:
    cluster = Cluster()
    credential = cluster.add_credential()
    tx = cluster.store.tx
    assert credentials.present(tx, claims(cluster, credential), AUTH_TOKEN, NOW) == credential


@pytest.mark.parametrize(
    "problem", ["is_disabled", "is_locked", "expired", "spent", "type", "token", "deleted"]
)
def test_what_does_not_count(problem: str) -> None:
    cluster = Cluster()
    credential = cluster.add_credential(max_authentications=2, expires_at=NOW + 100)
    verified = claims(cluster, credential)
    now = NOW
    match problem:
        case "is_disabled":
            credential.spec.is_disabled = True
        case "is_locked":
            credential.status.is_locked = True
        case "expired":
            now = NOW + 100
        case "spent":
            credential.status.total_authentications = 2
        case "type":
            credential.spec.type = OAUTH2
        case "token":
            credential.status.token_id = str(uuid.uuid4())
    cluster.change(credential)
    if problem == "deleted":
        cluster.store.tx.delete("Credential", credential.metadata.uid)
    with pytest.raises(UnauthenticatedError):
        credentials.present(cluster.store.tx, verified, AUTH_TOKEN, now)


def test_a_credential_without_a_token_has_none() -> None:
    cluster = Cluster()
    credential = cluster.add_credential()
    verified = claims(cluster, credential)
    credential.status.token_id = ""
    cluster.change(credential)
    with pytest.raises(UnauthenticatedError):
        credentials.present(cluster.store.tx, verified, AUTH_TOKEN, NOW)


def test_code_verifier() -> None:
    verifier = b"v" * 32
    plain, bound = core.Credential(), core.Credential()
    bound.status.pkce.code_challenge = hashlib.sha256(verifier).digest()
    credentials.check_verifier(plain, b"")
    credentials.check_verifier(bound, verifier)
    for credential, given in (
        (plain, verifier),
        (bound, b""),
        (bound, b"w" * 32),
        (bound, hashlib.sha256(verifier).digest()),
    ):
        with pytest.raises(UnauthenticatedError):
            credentials.check_verifier(credential, given)


def test_an_empty_challenge_is_met_by_nothing() -> None:
    credential = core.Credential()
    credential.status.pkce.SetInParent()
    for given in (b"", b"v" * 32):
        with pytest.raises(UnauthenticatedError):
            credentials.check_verifier(credential, given)


def test_a_user_of_the_same_name_is_not_meant() -> None:
    cluster = Cluster()
    credential = cluster.add_credential()
    assert credentials.user_of(cluster.store.tx, credential) == cluster.robot
    cluster.store.tx.delete("User", cluster.robot.metadata.uid)
    cluster.add_user("robot", core.UserSpecType__.WORKLOAD)
    with pytest.raises(UnknownUserError):
        credentials.user_of(cluster.store.tx, credential)
    credential.status.ClearField("user_ref")
    with pytest.raises(UnknownUserError):
        credentials.user_of(cluster.store.tx, credential)


def test_info_names_the_credential() -> None:
    cluster = Cluster()
    credential = cluster.add_credential()
    info = credentials.info_of(credential)
    assert info.type == core.SessionStatusAuthenticationInfoType__.CREDENTIAL
    assert info.credential.credential_ref.uid == credential.metadata.uid
    assert info.credential.type == AUTH_TOKEN
    assert info.credential.token_id == credential.status.token_id


def test_uses_are_counted() -> None:
    cluster = Cluster()
    credential = cluster.add_credential(max_authentications=2)
    credentials.consume(cluster.store.tx, credential)
    assert cluster.get(credential).status.total_authentications == 1


@pytest.mark.parametrize("most", [1, 3])
def test_the_last_use_deletes_a_credential_that_wants_it(most: int) -> None:
    cluster = Cluster()
    credential = cluster.add_credential(max_authentications=most, auto_delete=True)
    for _ in range(most):
        assert cluster.store.tx.find("Credential", uid=credential.metadata.uid)
        credentials.consume(cluster.store.tx, cluster.get(credential))
    assert cluster.store.tx.find("Credential", uid=credential.metadata.uid) is None


def test_without_a_limit_nothing_is_deleted() -> None:
    cluster = Cluster()
    credential = cluster.add_credential(auto_delete=True)
    credentials.consume(cluster.store.tx, credential)
    assert cluster.get(credential).status.total_authentications == 1


def test_a_new_token_kills_the_old_one() -> None:
    cluster = Cluster()
    credential = cluster.add_credential(expires_at=NOW + 1000)
    old = claims(cluster, credential)
    replaced = credentials.replace_token(cluster.store.tx, credential, NOW + 5)
    assert replaced.status.total_rotations == 1
    assert replaced.status.last_rotation_at.seconds == NOW + 5
    new = claims(cluster, replaced)
    assert new.expires_at == NOW + 1000
    assert credentials.present(cluster.store.tx, new, AUTH_TOKEN, NOW)
    with pytest.raises(UnauthenticatedError):
        credentials.present(cluster.store.tx, old, AUTH_TOKEN, NOW)


@pytest.mark.parametrize("problem", ["is_disabled", "is_locked", "expired"])
def test_no_token_for_a_credential_that_does_not_count(problem: str) -> None:
    cluster = Cluster()
    credential = cluster.add_credential(expires_at=NOW + 10)
    if problem == "is_disabled":
        credential.spec.is_disabled = True
    if problem == "is_locked":
        credential.status.is_locked = True
    credential = cluster.change(credential)
    with pytest.raises(CredentialUnusableError) as caught:
        credentials.replace_token(cluster.store.tx, credential, NOW + 10)
    assert credential.metadata.name in str(caught.value)
    assert cluster.get(credential).status.total_rotations == 0


def test_a_spent_credential_makes_no_more_access_tokens() -> None:
    cluster = Cluster()
    credential = cluster.add_credential(credential_type=ACCESS_TOKEN, max_authentications=1)
    credential.status.total_authentications = 1
    credential = cluster.change(credential)
    with pytest.raises(CredentialUnusableError):
        credentials.replace_token(cluster.store.tx, credential, NOW)
