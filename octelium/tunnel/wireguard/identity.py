"""A device's static key pair and all that is computed from it once."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from octelium.tunnel.wireguard.errors import ConfigurationError
from octelium.tunnel.wireguard.primitives import KEY, digest, exchange

LABEL_MAC1 = b"mac1----"
LABEL_COOKIE = b"cookie--"


def check_key(key: bytes, what: str) -> bytes:
    """`key` if it has 32 bytes.

    Raises:
        ConfigurationError: it has not.
    """
    if not isinstance(key, bytes) or len(key) != KEY:
        raise ConfigurationError(f"{what}: a key is {KEY} bytes")
    return key


def mac1_key(public: bytes) -> bytes:
    """The key of mac1 in messages to the owner of `public` (section 5.4.4)."""
    return digest(LABEL_MAC1, public)


def cookie_key(public: bytes) -> bytes:
    """The key of cookie replies from the owner of `public` (section 5.4.7)."""
    return digest(LABEL_COOKIE, public)


class Identity:
    """One static private key, its public key, and the secrets it shares with the peers' keys."""

    __slots__ = ("_shared", "cookie_key", "expires", "mac1_key", "private", "public")

    def __init__(self, private: bytes) -> None:
        self.private = X25519PrivateKey.from_private_bytes(check_key(private, "private key"))
        self.public = self.private.public_key().public_bytes_raw()
        self.mac1_key = mac1_key(self.public)
        self.cookie_key = cookie_key(self.public)
        self.expires = 0.0
        """When a key that was replaced is no longer accepted; unused for the present key."""
        self._shared: dict[bytes, bytes] = {}

    def shared(self, public: bytes) -> bytes:
        """The static-static secret with a peer, computed once.

        Only for keys of known peers: each call may keep 32 bytes.

        Raises:
            HandshakeError: a key of small order.
        """
        secret = self._shared.get(public)
        if secret is None:
            secret = self._shared[public] = exchange(self.private, public)
        return secret

    def forget(self, public: bytes) -> None:
        """Drop the secret shared with a peer that is no more."""
        self._shared.pop(public, None)
