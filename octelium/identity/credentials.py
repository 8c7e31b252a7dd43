"""Credentials: when a token or secret of one counts, and what its use leaves behind.

Each function runs in the transaction that also writes what the use leads to, so a Credential for
one use is used once, however many ask at the same moment.
"""

from __future__ import annotations

import hashlib
import hmac
import uuid
from typing import TYPE_CHECKING

from octelium.identity.errors import (
    CredentialUnusableError,
    UnauthenticatedError,
    UnknownUserError,
)
from octelium.identity.tokens import TokenType
from octelium.schema.pb import core_v1_pb2 as core
from octelium.store.metadata import reference

if TYPE_CHECKING:
    from typing import TypeAlias

    from octelium.identity.tokens import Signer, TokenClaims
    from octelium.store.transaction import Transaction

    CredentialType: TypeAlias = core.CredentialSpecType__.CredentialSpecType.ValueType


def present(
    tx: Transaction, claims: TokenClaims, credential_type: CredentialType, now: int
) -> core.Credential:
    """The Credential that a verified token of type CREDENTIAL stands for, if it counts.

    Raises:
        UnauthenticatedError: it is gone, disabled, locked, expired, spent or of another type, or
            the token is not its current one.
    """
    credential = tx.find(core.Credential, uid=claims.subject)
    if credential is None:
        raise UnauthenticatedError("the token's Credential does not exist")
    name = credential.metadata.name
    if not hmac.compare_digest(credential.status.token_id, claims.token_id):
        raise UnauthenticatedError(f"Credential {name} has a newer token")
    if problem := _problem(credential, now):
        raise UnauthenticatedError(f"Credential {name} {problem}")
    if credential.spec.type != credential_type:
        raise UnauthenticatedError(f"Credential {name} is of another type")
    if _is_spent(credential):
        raise UnauthenticatedError(f"Credential {name} was used as often as it may be")
    return credential


def is_barred(credential: core.Credential) -> bool:
    """Whether somebody has switched the Credential off."""
    return credential.spec.is_disabled or credential.status.is_locked


def _problem(credential: core.Credential, now: int) -> str:
    if credential.spec.is_disabled:
        return "is disabled"
    if credential.status.is_locked:
        return "is locked"
    if credential.spec.HasField("expires_at") and credential.spec.expires_at.seconds <= now:
        return "has expired"
    return ""


def _is_spent(credential: core.Credential) -> bool:
    most = credential.spec.max_authentications
    return most > 0 and credential.status.total_authentications >= most


def check_verifier(credential: core.Credential, code_verifier: bytes) -> None:
    """Check the verifier of a Credential made for one login against its challenge.

    The challenge is the SHA-256 digest of the verifier, both as raw bytes.

    Raises:
        UnauthenticatedError: it is wrong, missing, or there is no challenge to meet.
    """
    name = credential.metadata.name
    if not credential.status.HasField("pkce"):
        if code_verifier:
            raise UnauthenticatedError(f"Credential {name} has no code challenge to verify")
        return
    challenge = credential.status.pkce.code_challenge
    if not hmac.compare_digest(challenge, hashlib.sha256(code_verifier).digest()):
        raise UnauthenticatedError(f"the code verifier for Credential {name} is wrong")


def user_of(tx: Transaction, credential: core.Credential) -> core.User:
    """The User that a Credential authenticates.

    It is found by uid: another User who has the name by now is not meant.

    Raises:
        UnknownUserError: it is gone.
    """
    uid = credential.status.user_ref.uid
    user = tx.find(core.User, uid=uid) if uid else None
    if user is None:
        raise UnknownUserError(f"the User of Credential {credential.metadata.name} does not exist")
    return user


def info_of(credential: core.Credential) -> core.SessionStatusAuthenticationInfo:
    """What a Session remembers of an authentication by `credential`."""
    info = core.SessionStatusAuthenticationInfo(
        type=core.SessionStatusAuthenticationInfoType__.CREDENTIAL
    )
    used = info.credential
    used.credential_ref.CopyFrom(reference(credential))
    used.type = credential.spec.type
    used.token_id = credential.status.token_id
    return info


def consume(tx: Transaction, credential: core.Credential) -> None:
    """Count one successful use; delete a Credential that wants it after its last one."""
    credential.status.total_authentications += 1
    if credential.spec.auto_delete and _is_spent(credential):
        tx.delete("Credential", credential.metadata.uid)
    else:
        tx.update(credential)


def replace_token(tx: Transaction, credential: core.Credential, now: int) -> core.Credential:
    """Give `credential` a new token id: every earlier token is dead. Returns it as stored.

    Raises:
        CredentialUnusableError: it is disabled, locked or expired, or only makes access tokens
            and was used as often as it may be.
    """
    problem = _problem(credential, now)
    makes_sessions = credential.spec.type == core.CredentialSpecType__.ACCESS_TOKEN
    if not problem and makes_sessions and _is_spent(credential):
        problem = "was used as often as it may be"
    if problem:
        raise CredentialUnusableError(f"Credential {credential.metadata.name} {problem}")
    status = credential.status
    status.token_id = str(uuid.uuid4())
    status.last_rotation_at.seconds = now
    status.last_rotation_at.nanos = 0
    status.total_rotations += 1
    return tx.update(credential)


def token_of(signer: Signer, credential: core.Credential) -> str:
    """The current token of a Credential; it ends when the Credential does."""
    spec = credential.spec
    expires_at = spec.expires_at.seconds if spec.HasField("expires_at") else None
    return signer.issue(
        TokenType.CREDENTIAL, credential.metadata.uid, credential.status.token_id, expires_at
    )
