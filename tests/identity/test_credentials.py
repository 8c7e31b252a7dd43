from __future__ import annotations

import dataclasses
import hashlib
import uuid
from math import inf

import pytest

from octelium.identity import credentials, keys
from octelium.identity.errors import (
    CredentialUnusableError,
    UnauthenticatedError,
    UnknownUserError,
)
from octelium.identity.tokens import TokenClaims, TokenType, Verifier
from octelium.schema.pb import core_v1_pb2 as core
from tests.identity.cluster import (
    ACCESS_TOKEN,
    AUTH_TOKEN,
    NOW,
    OAUTH2,
    add_credential,
    add_user,
    lone_transaction,
)


def claims(credential: core.Credential) -> TokenClaims:
    token_id = credential.status.token_id
    return TokenClaims(TokenType.CREDENTIAL, credential.metadata.uid, token_id, inf)


def test_a_current_token_counts() -> None:
    tx = lone_transaction()
    robot = add_user(tx, "robot")
    credential = add_credential(tx, robot)
    assert credentials.present(tx, claims(credential), AUTH_TOKEN, NOW) == credential


@pytest.mark.parametrize(
    "problem", ["is_disabled", "is_locked", "expired", "spent", "type", "token", "deleted"]
)
def test_what_does_not_count(problem: str) -> None:
    tx = lone_transaction()
    robot = add_user(tx, "robot")
    credential = add_credential(tx, robot, max_authentications=2, expires_at=NOW + 100)
    verified = claims(credential)
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
    tx.update(credential)
    if problem == "deleted":
        tx.delete("Credential", credential.metadata.uid)
    with pytest.raises(UnauthenticatedError):
        credentials.present(tx, verified, AUTH_TOKEN, now)


def test_a_credential_without_a_token_has_none() -> None:
    tx = lone_transaction()
    robot = add_user(tx, "robot")
    credential = add_credential(tx, robot)
    verified = claims(credential)
    credential.status.token_id = ""
    tx.update(credential)
    with pytest.raises(UnauthenticatedError):
        credentials.present(tx, verified, AUTH_TOKEN, NOW)


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
    tx = lone_transaction()
    robot = add_user(tx, "robot")
    credential = add_credential(tx, robot)
    assert credentials.user_of(tx, credential) == robot
    tx.delete("User", robot.metadata.uid)
    add_user(tx, "robot")
    with pytest.raises(UnknownUserError):
        credentials.user_of(tx, credential)
    credential.status.ClearField("user_ref")
    with pytest.raises(UnknownUserError):
        credentials.user_of(tx, credential)


def test_info_names_the_credential() -> None:
    tx = lone_transaction()
    robot = add_user(tx, "robot")
    credential = add_credential(tx, robot)
    info = credentials.info_of(credential)
    assert info.type == core.SessionStatusAuthenticationInfoType__.CREDENTIAL
    assert info.credential.credential_ref.uid == credential.metadata.uid
    assert info.credential.type == AUTH_TOKEN
    assert info.credential.token_id == credential.status.token_id


def test_uses_are_counted() -> None:
    tx = lone_transaction()
    robot = add_user(tx, "robot")
    credential = add_credential(tx, robot, max_authentications=2)
    credentials.consume(tx, credential)
    assert tx.get(core.Credential, uid=credential.metadata.uid).status.total_authentications == 1


@pytest.mark.parametrize("most", [1, 3])
def test_the_last_use_deletes_a_credential_that_wants_it(most: int) -> None:
    tx = lone_transaction()
    robot = add_user(tx, "robot")
    credential = add_credential(tx, robot, max_authentications=most, auto_delete=True)
    for _ in range(most):
        assert tx.find("Credential", uid=credential.metadata.uid)
        credentials.consume(tx, tx.get(core.Credential, uid=credential.metadata.uid))
    assert tx.find("Credential", uid=credential.metadata.uid) is None


def test_without_a_limit_nothing_is_deleted() -> None:
    tx = lone_transaction()
    robot = add_user(tx, "robot")
    credential = add_credential(tx, robot, auto_delete=True)
    credentials.consume(tx, credential)
    assert tx.get(core.Credential, uid=credential.metadata.uid).status.total_authentications == 1


def test_a_new_token_kills_the_old_one() -> None:
    tx = lone_transaction()
    credential = add_credential(tx, add_user(tx, "robot"))
    old = claims(credential)
    replaced = credentials.replace_token(tx, credential, NOW + 5)
    assert replaced.status.total_rotations == 1
    assert replaced.status.last_rotation_at.seconds == NOW + 5
    assert credentials.present(tx, claims(replaced), AUTH_TOKEN, NOW)
    with pytest.raises(UnauthenticatedError):
        credentials.present(tx, old, AUTH_TOKEN, NOW)


def test_a_token_ends_with_its_credential() -> None:
    tx = lone_transaction()
    robot = add_user(tx, "robot")
    secret = keys.new_signing_secret()
    secret.metadata.uid = str(uuid.uuid4())
    loaded = keys.load([secret])
    verifier = Verifier(loaded.public, clock=lambda: NOW)
    for expires_at, expected in ((NOW + 1000, NOW + 1000), (None, inf)):
        spec = {} if expires_at is None else {"expires_at": expires_at}
        credential = add_credential(tx, robot, **spec)
        token = credentials.token_of(loaded.signer, credential)
        verified = verifier.verify(token, TokenType.CREDENTIAL)
        assert verified == dataclasses.replace(claims(credential), expires_at=expected)


@pytest.mark.parametrize("problem", ["is_disabled", "is_locked", "expired"])
def test_no_token_for_a_credential_that_does_not_count(problem: str) -> None:
    tx = lone_transaction()
    robot = add_user(tx, "robot")
    credential = add_credential(tx, robot, expires_at=NOW + 10)
    if problem == "is_disabled":
        credential.spec.is_disabled = True
    if problem == "is_locked":
        credential.status.is_locked = True
    credential = tx.update(credential)
    with pytest.raises(CredentialUnusableError) as caught:
        credentials.replace_token(tx, credential, NOW + 10)
    assert credential.metadata.name in str(caught.value)
    assert tx.get(core.Credential, uid=credential.metadata.uid).status.total_rotations == 0


def test_a_spent_credential_makes_no_more_access_tokens() -> None:
    tx = lone_transaction()
    robot = add_user(tx, "robot")
    credential = add_credential(tx, robot, ACCESS_TOKEN, max_authentications=1)
    credential.status.total_authentications = 1
    credential = tx.update(credential)
    with pytest.raises(CredentialUnusableError):
        credentials.replace_token(tx, credential, NOW)
