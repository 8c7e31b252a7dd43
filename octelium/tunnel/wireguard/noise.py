"""Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s, both roles: WireGuard paper, sections 5.4.1 to 5.4.5."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from octelium.tunnel.wireguard.messages import Initiation, Response
from octelium.tunnel.wireguard.primitives import KEY, derive, digest, exchange, seal, unseal

if TYPE_CHECKING:
    from octelium.tunnel.wireguard.identity import Identity

CHAIN = digest(b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s")
TRANSCRIPT = digest(CHAIN, b"WireGuard v1 zx2c4 Jason@zx2c4.com")
NO_PSK = bytes(KEY)
"""The preshared key of peers that have none (section 5.2)."""


class Initiator:
    """A handshake that waits for its response."""

    __slots__ = ("_chain", "_ephemeral", "_peer", "_transcript", "identity", "index")

    def __init__(self, identity: Identity, peer: bytes, index: int) -> None:
        self.identity = identity
        self.index = index
        self._peer = peer
        self._ephemeral = X25519PrivateKey.generate()
        self._chain = CHAIN
        self._transcript = digest(TRANSCRIPT, peer)

    def initiate(self, timestamp: bytes) -> bytes:
        """The initiation without its MACs (section 5.4.2), once per object."""
        public = self._ephemeral.public_key().public_bytes_raw()
        (chain,) = derive(self._chain, public, 1)
        transcript = digest(self._transcript, public)
        chain, key = derive(chain, exchange(self._ephemeral, self._peer), 2)
        static = seal(key, self.identity.public, transcript)
        transcript = digest(transcript, static)
        chain, key = derive(chain, self.identity.shared(self._peer), 2)
        stamp = seal(key, timestamp, transcript)
        self._chain, self._transcript = chain, digest(transcript, stamp)
        return Initiation(self.index, public, static, stamp).pack()

    def finish(self, response: Response, psk: bytes) -> tuple[bytes, bytes]:
        """The keys to send and to receive with (sections 5.4.3 and 5.4.5).

        A response that fails leaves the handshake as it was: another may still be right.

        Raises:
            HandshakeError: the response was not made for this handshake, with this `psk`.
        """
        (chain,) = derive(self._chain, response.ephemeral, 1)
        transcript = digest(self._transcript, response.ephemeral)
        (chain,) = derive(chain, exchange(self._ephemeral, response.ephemeral), 1)
        (chain,) = derive(chain, exchange(self.identity.private, response.ephemeral), 1)
        chain, more, key = derive(chain, psk, 3)
        unseal(key, response.empty, digest(transcript, more))
        send, receive = derive(chain, b"", 2)
        return send, receive


class Responder:
    """An initiation that was received; it keeps nothing unless asked to respond.

    Raises:
        HandshakeError: it was not made for `identity`.
    """

    __slots__ = ("_chain", "_identity", "_message", "_transcript", "public")

    def __init__(self, identity: Identity, message: Initiation) -> None:
        (chain,) = derive(CHAIN, message.ephemeral, 1)
        transcript = digest(digest(TRANSCRIPT, identity.public), message.ephemeral)
        chain, key = derive(chain, exchange(identity.private, message.ephemeral), 2)
        self.public = unseal(key, message.static, transcript)
        """Who says to have sent it; proven by `timestamp`."""
        self._chain, self._transcript = chain, digest(transcript, message.static)
        self._identity, self._message = identity, message

    def timestamp(self) -> bytes:
        """The TAI64N label inside, which proves that `public` made it. Once per object.

        Call only for the public key of a known peer.

        Raises:
            HandshakeError: somebody else made it.
        """
        self._chain, key = derive(self._chain, self._identity.shared(self.public), 2)
        stamp = unseal(key, self._message.timestamp, self._transcript)
        self._transcript = digest(self._transcript, self._message.timestamp)
        return stamp

    def respond(self, index: int, psk: bytes) -> tuple[bytes, bytes, bytes]:
        """The response without its MACs (section 5.4.3), the keys to send and to receive with.

        Call after `timestamp`, once.

        Raises:
            HandshakeError: the sender's ephemeral key is of small order.
        """
        ephemeral = X25519PrivateKey.generate()
        public = ephemeral.public_key().public_bytes_raw()
        (chain,) = derive(self._chain, public, 1)
        transcript = digest(self._transcript, public)
        (chain,) = derive(chain, exchange(ephemeral, self._message.ephemeral), 1)
        (chain,) = derive(chain, exchange(ephemeral, self.public), 1)
        chain, more, key = derive(chain, psk, 3)
        empty = seal(key, b"", digest(transcript, more))
        receive, send = derive(chain, b"", 2)
        return Response(index, self._message.sender, public, empty).pack(), send, receive
