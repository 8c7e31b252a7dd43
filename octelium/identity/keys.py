"""The keys that sign tokens: Secrets `sys:root-secret-<8>` that hold an Ed25519 key as PEM.

The newest one signs, all verify. A key is replaced after 30 days and deleted after 360.
"""

from __future__ import annotations

import secrets
import string
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from octelium.identity.tokens import Signer, Verifier
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from octelium.identity.tokens import PublicKey
    from octelium.store.resources import Change, Committed, Resources
    from octelium.store.transaction import Transaction

LABEL: Final = "octelium-root-secret"
"""System label of the Secrets that hold signing keys; its value is `true`."""
ROTATED: Final = "key-rotated"
"""System label of a signing key that has a successor; its value is `true`."""
ROTATE_AFTER: Final = 30 * 24 * 60 * 60
DELETE_AFTER: Final = 360 * 24 * 60 * 60

_OWN: Final = {f"systemLabels.{LABEL}": "true"}
_NAME_CHARACTERS = string.ascii_lowercase + string.digits


class SigningKeyError(Exception):
    """A root Secret that cannot be used; the text says which and why."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The Cluster's signing keys as they are."""

    signer: Signer
    public: dict[bytes, PublicKey]
    """What verifies, by the 16-byte uid of the Secret."""


def is_signing_key(secret: core.Secret) -> bool:
    """Whether `secret` is a root Secret."""
    return secret.metadata.is_system and secret.metadata.system_labels.get(LABEL) == "true"


def load(root_secrets: Iterable[core.Secret]) -> Keys:
    """Keys from all root Secrets with their data; others among them are passed over.

    Raises:
        SigningKeyError: one cannot be read, or none can sign.
    """
    signer: Signer | None = None
    public: dict[bytes, PublicKey] = {}
    for secret in sorted(filter(is_signing_key, root_secrets), key=_age):
        key = _private_key(secret)
        public[uuid.UUID(secret.metadata.uid).bytes] = key.public_key()
        if isinstance(key, Ed25519PrivateKey):
            signer = Signer(secret.metadata.uid, key)
    if signer is None:
        raise SigningKeyError("no Secret of the Cluster holds an Ed25519 key that signs tokens")
    return Keys(signer, public)


def _age(secret: core.Secret) -> tuple[int, int, str]:
    created = secret.metadata.created_at
    return created.seconds, created.nanos, secret.metadata.uid


def _private_key(secret: core.Secret) -> Ed25519PrivateKey | EllipticCurvePrivateKey:
    data = secret.data
    pem = data.value_bytes if data.WhichOneof("type") == "value_bytes" else data.value.encode()
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:
        raise SigningKeyError(f"Secret {secret.metadata.name} holds no private key") from error
    if isinstance(key, Ed25519PrivateKey):
        return key
    if isinstance(key, EllipticCurvePrivateKey) and isinstance(key.curve, SECP256R1):
        return key
    raise SigningKeyError(
        f"Secret {secret.metadata.name} holds a key that is neither Ed25519 nor ECDSA P-256"
    )


def new_signing_secret() -> core.Secret:
    """A root Secret with a new key, not stored yet."""
    secret = core.Secret(api_version="core/v1", kind="Secret")
    suffix = "".join(secrets.choice(_NAME_CHARACTERS) for _ in range(8))
    secret.metadata.name = f"sys:root-secret-{suffix}"
    secret.metadata.is_system = True
    secret.metadata.is_system_hidden = True
    secret.metadata.system_labels[LABEL] = "true"
    secret.spec.SetInParent()
    secret.status.SetInParent()
    secret.data.value_bytes = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    return secret


def rotate(tx: Transaction, now: float) -> bool:
    """Make the first key, replace one that is too old, delete those past their retention.

    `now` is in Unix seconds. The newest key is never deleted. Returns whether anything changed.
    """
    present = sorted(filter(is_signing_key, tx.list(core.Secret, by=_OWN)), key=_age)
    newest = present[-1] if present else None
    changed = False
    for old in present[:-1]:
        if old.metadata.created_at.seconds + DELETE_AFTER <= now:
            tx.delete("Secret", old.metadata.uid)
            changed = True
    if newest is None or newest.metadata.created_at.seconds + ROTATE_AFTER <= now:
        tx.create(new_signing_secret())
        changed = True
        if newest is not None:
            newest.metadata.system_labels[ROTATED] = "true"
            tx.update(newest)
    return changed


class Keyring:
    """The Cluster's signing keys in use: signs with the newest, verifies with all.

    Holds no keys, and so refuses everything, until `follow` or `replace` was called.
    """

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self.verifier = Verifier({}, clock=clock)
        self._signer: Signer | None = None

    @property
    def signer(self) -> Signer:
        """What signs new tokens.

        Raises:
            SigningKeyError: there is no usable key.
        """
        if self._signer is None:
            raise SigningKeyError("the Cluster has no key to sign tokens with")
        return self._signer

    def follow(self, resources: Resources) -> Callable[[], None]:
        """Use the keys in the store, as they are and as they will be; returns what ends that.

        Raises:
            SigningKeyError: there is a key that cannot be used.
        """

        def reload() -> None:
            self.replace(resources.list(core.Secret, by=_OWN, whole=True))

        def take(committed: Committed) -> None:
            if any(change.kind == "Secret" and _concerns(change) for change in committed.changes):
                reload()

        if resources.count(core.Secret, by=_OWN):
            reload()
        return resources.subscribe(take)

    def replace(self, root_secrets: Iterable[core.Secret]) -> None:
        """Use these keys, and only these, from here on.

        Raises:
            SigningKeyError: one cannot be used; then none is, and everything is refused.
        """
        self._signer = None
        self.verifier.replace_keys({})
        keys = load(root_secrets)
        self.verifier.replace_keys(keys.public)
        self._signer = keys.signer


def _concerns(change: Change) -> bool:
    return any(
        item is not None and is_signing_key(item.message) for item in (change.before, change.after)
    )
