"""Encryption of Secret data at rest: AES-256-GCM (NIST SP 800-38D) under a key of the Cluster.

What is sealed belongs to one row: kind and uid are authenticated with it, so ciphertext copied
into another row does not open.
"""

from __future__ import annotations

import base64
import hashlib
import os
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from octelium.store.errors import StoreUnusable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

KEY_FILE = "vault.key"
"""Name of the key file in the data directory."""

VARIABLE = "OCTELIUM_VAULT_KEY"
"""Environment variable that holds the keys instead of the file, separated by commas."""

_FORMAT = b"\x01"
_KEY_ID = 8
_NONCE = 12
_KEY = 32


class Vault:
    """Seals and opens bytes with the first of `keys` (32 bytes each); the others only open."""

    __slots__ = ("_active", "_ciphers")

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys or any(len(key) != _KEY for key in keys):
            raise StoreUnusable(f"the vault needs keys of {_KEY} bytes each")
        self._ciphers = {key_id(key): AESGCM(key) for key in keys}
        self._active = key_id(keys[0])

    def seal(self, kind: str, uid: str, plain: bytes) -> bytes:
        """Encrypt for the row `kind`, `uid`: format, key id, nonce, ciphertext with tag."""
        nonce = os.urandom(_NONCE)
        sealed = self._ciphers[self._active].encrypt(nonce, plain, _identity(kind, uid))
        return _FORMAT + self._active + nonce + sealed

    def open(self, kind: str, uid: str, sealed: bytes) -> bytes:
        """Decrypt what was sealed for the same row.

        Raises StoreUnusable when the key is not at hand or the bytes were altered or moved.
        """
        cipher = self._ciphers.get(sealed[1 : 1 + _KEY_ID])
        if sealed[:1] != _FORMAT or cipher is None:
            raise StoreUnusable(
                f"the data of {kind} {uid} is sealed with another key: "
                f"restore {KEY_FILE} or set {VARIABLE}"
            )
        body = 1 + _KEY_ID + _NONCE
        try:
            return cipher.decrypt(sealed[1 + _KEY_ID : body], sealed[body:], _identity(kind, uid))
        except (InvalidTag, ValueError):
            raise StoreUnusable(
                f"the data of {kind} {uid} was altered: restore it from a backup"
            ) from None

    @classmethod
    def load(cls, directory: Path, environ: Mapping[str, str], *, create: bool) -> Vault:
        """Take the keys from the environment, else from the key file.

        With `create` a missing file is made, with a random key and mode 0600; without it, as for
        a store that holds sealed data, a missing key is an error. Raises StoreUnusable.
        """
        path = directory / KEY_FILE
        text = environ.get(VARIABLE, "").replace(",", "\n")
        source = VARIABLE
        if not text.strip():
            source = str(path)
            if create and not path.exists():
                _write_key(path)
            text = _read_keys(path)
        try:
            keys = [base64.b64decode(line, validate=True) for line in text.split()]
        except ValueError:
            raise StoreUnusable(f"{source}: keys are written in base64, one a line") from None
        if not keys or any(len(key) != _KEY for key in keys):
            raise StoreUnusable(f"{source}: expected keys of {_KEY} bytes in base64")
        return cls(keys)


def key_id(key: bytes) -> bytes:
    """What names a key in the ciphertext; says nothing about the key itself."""
    return hashlib.sha256(b"octelium vault key id" + key).digest()[:_KEY_ID]


def _identity(kind: str, uid: str) -> bytes:
    return b"\0".join((b"octelium", kind.encode(), uid.encode()))


def _write_key(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_suffix(".partial")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, base64.b64encode(os.urandom(_KEY)) + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    draft.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _read_keys(path: Path) -> str:
    try:
        mode = path.stat().st_mode
        if mode & 0o077:
            raise StoreUnusable(f"{path} is readable by others: chmod 600 {path}")
        return path.read_text("ascii")
    except FileNotFoundError:
        raise StoreUnusable(
            f"{path} is missing, and with it what opens the Secrets of this store: "
            f"put it back or set {VARIABLE}"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise StoreUnusable(f"{path} cannot be read: {error}") from error
