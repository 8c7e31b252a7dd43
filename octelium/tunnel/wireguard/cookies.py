"""mac1, mac2 and cookies: WireGuard paper, sections 5.3, 5.4.4 and 5.4.7."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from octelium.tunnel.wireguard.errors import HandshakeError
from octelium.tunnel.wireguard.messages import NO_MAC, CookieReply, sender_of
from octelium.tunnel.wireguard.primitives import KEY, MAC, mac, same, xseal, xunseal

if TYPE_CHECKING:
    from octelium.tunnel.wireguard.identity import Identity
    from octelium.tunnel.wireguard.peer import Peer

COOKIE_LIFE = 120.0
"""Seconds after which the secret changes, and a cookie received is no longer used."""


def sign(peer: Peer, unsigned: bytes, now: float) -> bytes:
    """`unsigned` with mac1, and with mac2 if the peer gave us a cookie lately."""
    mac1 = mac(peer.mac1_key, unsigned)
    peer.last_mac1 = mac1
    message = unsigned + mac1
    if peer.cookie and now - peer.cookie_at < COOKIE_LIFE:
        return message + mac(peer.cookie, message)
    return message + NO_MAC


def accept_cookie(peer: Peer, reply: CookieReply, now: float) -> None:
    """Keep the cookie for the next handshake message; nothing is sent again because of it.

    Raises:
        HandshakeError: it does not answer our last handshake message.
    """
    if not peer.last_mac1:
        raise HandshakeError("a cookie that was not asked for")
    peer.cookie = xunseal(peer.cookie_key, reply.nonce, reply.cookie, peer.last_mac1)
    peer.cookie_at = now
    peer.last_mac1 = b""


class CookieMaker:
    """A responder's side: a secret of two minutes, and no memory of who was given a cookie."""

    __slots__ = ("_made_at", "_secret")

    def __init__(self) -> None:
        self._secret = b""
        self._made_at = -COOKIE_LIFE

    def cookie(self, place: bytes, now: float) -> bytes:
        """The cookie of a source address and port."""
        if not self._secret or now - self._made_at >= COOKIE_LIFE:
            self._secret, self._made_at = os.urandom(KEY), now
        return mac(self._secret, place)

    def proven(self, message: bytes, place: bytes, now: float) -> bool:
        """Whether mac2 of a handshake message shows that its source receives at `place`."""
        return same(message[-MAC:], mac(self.cookie(place, now), message[:-MAC]))

    def reply(self, identity: Identity, message: bytes, place: bytes, now: float) -> bytes:
        """The cookie reply to a handshake message."""
        nonce = os.urandom(24)
        mac1 = message[-2 * MAC : -MAC]
        sealed = xseal(identity.cookie_key, nonce, self.cookie(place, now), mac1)
        return CookieReply(sender_of(message), nonce, sealed).pack()


def mac1_is_right(identity: Identity, message: bytes) -> bool:
    """Whether a handshake message was made by someone who knows our public key."""
    return same(message[-2 * MAC : -MAC], mac(identity.mac1_key, message[: -2 * MAC]))
