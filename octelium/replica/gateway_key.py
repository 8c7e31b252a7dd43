"""The Secret that holds a Gateway's WireGuard keys, as control writes and the gateway reads it."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

if TYPE_CHECKING:
    from octelium.schema.pb import core_v1_pb2 as core

LABEL: Final = "octelium-gateway-key"
"""System label of these Secrets; its value is the uid of the Gateway."""
_KEY: Final = 32


class GatewayKeyError(Exception):
    """A Secret that holds no keys of a Gateway; the text says which."""


@dataclass(frozen=True, slots=True)
class GatewayKeys:
    """X25519 private keys, 32 bytes each."""

    current: bytes
    previous: tuple[tuple[bytes, float], ...] = ()
    """Former keys, newest first, and until when (unix seconds) handshakes to them are answered."""

    @property
    def public_bytes(self) -> bytes:
        """The public key, 32 bytes."""
        return X25519PrivateKey.from_private_bytes(self.current).public_key().public_bytes_raw()

    @property
    def public(self) -> str:
        """The public key as WireGuard writes it, in base64."""
        return base64.b64encode(self.public_bytes).decode()

    def former(self, now: float) -> tuple[bytes, ...]:
        """Those former keys to which handshakes are still answered at `now`, newest first."""
        return tuple(key for key, until in self.previous if until > now)

    def to_bytes(self) -> bytes:
        """As `from_secret` reads it."""
        former = [[base64.b64encode(key).decode(), until] for key, until in self.previous]
        current = base64.b64encode(self.current).decode()
        return json.dumps({"current": current, "previous": former}).encode()


def name_of(gateway_id: str) -> str:
    """The name of the Secret of a Gateway."""
    return f"sys:gateway-key-{gateway_id}"


def keys_from(secret: core.Secret) -> GatewayKeys:
    """The keys in a Secret with its data.

    Raises:
        GatewayKeyError: it holds none.
    """
    try:
        value = json.loads(secret.data.value_bytes)
        keys = GatewayKeys(
            base64.b64decode(value["current"], validate=True),
            tuple(
                (base64.b64decode(key, validate=True), float(until))
                for key, until in value["previous"]
            ),
        )
    except (ValueError, TypeError, KeyError, binascii.Error) as error:
        raise GatewayKeyError(f"Secret {secret.metadata.name} holds no keys: {error}") from error
    if any(len(key) != _KEY for key in (keys.current, *(key for key, _ in keys.previous))):
        raise GatewayKeyError(f"Secret {secret.metadata.name} holds a key of a wrong length")
    return keys
