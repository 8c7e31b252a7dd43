"""Secrets of Authenticators at rest: AES-256-GCM (NIST SP 800-38D) under a key of the Cluster.

The key is a hidden Secret, whose data the store seals in turn. Which resource a ciphertext belongs
to is authenticated with it, so that one copied to another Authenticator does not open.
"""

from __future__ import annotations

import os
import secrets
import string
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from octelium.schema.pb import core_v1_pb2 as core
from octelium.store.metadata import reference

if TYPE_CHECKING:
    from octelium.store.transaction import Transaction

LABEL: Final = "octelium-aes256-key"
"""System label of the Secrets that hold such keys; its value is `true`."""
_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_NAME_CHARACTERS: Final = string.ascii_lowercase + string.digits


class SealError(Exception):
    """What was sealed cannot be opened; the text says of what and why."""


def seal(tx: Transaction, uid: str, plain: bytes) -> core.AuthenticatorStatusEncryptedData:
    """Encrypt for the Authenticator `uid`; the first call makes the key."""
    key = _newest(tx) or tx.create(_new_key())
    nonce = os.urandom(_NONCE_BYTES)
    return core.AuthenticatorStatusEncryptedData(
        ciphertext=AESGCM(_bytes(key)).encrypt(nonce, plain, _identity(uid)),
        nonce=nonce,
        key_secret_ref=reference(key),
    )


def unseal(tx: Transaction, uid: str, data: core.AuthenticatorStatusEncryptedData) -> bytes:
    """Decrypt what was sealed for the same Authenticator.

    Raises:
        SealError: the key is gone, or the data was altered or moved.
    """
    key = tx.find(core.Secret, uid=data.key_secret_ref.uid) if data.key_secret_ref.uid else None
    if key is None or not _is_key(key):
        raise SealError(f"the key of Authenticator {uid} is gone")
    try:
        return AESGCM(_bytes(key)).decrypt(data.nonce, data.ciphertext, _identity(uid))
    except (InvalidTag, ValueError) as error:
        raise SealError(f"the secret of Authenticator {uid} was altered") from error


def _newest(tx: Transaction) -> core.Secret | None:
    keys = [
        key for key in tx.list(core.Secret, by={f"systemLabels.{LABEL}": "true"}) if _is_key(key)
    ]
    return tx.get(core.Secret, uid=keys[-1].metadata.uid) if keys else None


def _is_key(secret: core.Secret) -> bool:
    return secret.metadata.is_system and secret.metadata.system_labels.get(LABEL) == "true"


def _bytes(secret: core.Secret) -> bytes:
    key = bytes(secret.data.value_bytes)
    if len(key) != _KEY_BYTES:
        raise SealError(f"Secret {secret.metadata.name} holds no key of {_KEY_BYTES} bytes")
    return key


def _new_key() -> core.Secret:
    secret = core.Secret(api_version="core/v1", kind="Secret")
    suffix = "".join(secrets.choice(_NAME_CHARACTERS) for _ in range(8))
    secret.metadata.name = f"sys:aes256-key-{suffix}"
    secret.metadata.is_system = True
    secret.metadata.is_system_hidden = True
    secret.metadata.system_labels[LABEL] = "true"
    secret.spec.SetInParent()
    secret.status.SetInParent()
    secret.data.value_bytes = secrets.token_bytes(_KEY_BYTES)
    return secret


def _identity(uid: str) -> bytes:
    return b"\0".join((b"octelium", b"Authenticator", uid.encode()))
