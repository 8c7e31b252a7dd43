"""The four messages of the WireGuard paper, sections 5.4.2 to 5.4.7, as bytes.

A message begins with its type and three zero bytes, read as one little-endian number.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from octelium.tunnel.wireguard.errors import HandshakeError
from octelium.tunnel.wireguard.primitives import KEY, MAC, TIMESTAMP

INITIATION, RESPONSE, COOKIE, DATA = 1, 2, 3, 4

INITIATION_SIZE = 8 + KEY + KEY + MAC + TIMESTAMP + MAC + MAC + MAC
RESPONSE_SIZE = 12 + KEY + MAC + MAC + MAC
COOKIE_SIZE = 8 + 24 + MAC + MAC
DATA_HEAD = 16
DATA_MINIMUM = DATA_HEAD + MAC
"""A keepalive: a data message with nothing inside."""
SIZES = {INITIATION: INITIATION_SIZE, RESPONSE: RESPONSE_SIZE, COOKIE: COOKIE_SIZE}

NO_MAC = bytes(MAC)

pack_data_head = struct.Struct("<IIQ").pack
"""(DATA, receiver index, counter)"""
unpack_data_head = struct.Struct("<IIQ").unpack_from
pack_nonce = struct.Struct("<4xQ").pack
"""The AEAD's nonce of a counter, section 5.4.6."""

_INITIATION = struct.Struct("<II32s48s28s16s16s")
_RESPONSE = struct.Struct("<III32s16s16s16s")
_COOKIE = struct.Struct("<II24s32s")


@dataclass(frozen=True, slots=True)
class Initiation:
    """Section 5.4.2, without its MACs."""

    sender: int
    ephemeral: bytes
    static: bytes
    timestamp: bytes

    def pack(self) -> bytes:
        """The message without mac1 and mac2."""
        return _INITIATION.pack(
            INITIATION, self.sender, self.ephemeral, self.static, self.timestamp, NO_MAC, NO_MAC
        )[: -2 * MAC]

    @classmethod
    def parse(cls, message: bytes) -> Initiation:
        """Read a whole message.

        Raises:
            HandshakeError: not of this type and size.
        """
        _check(message, INITIATION)
        _, sender, ephemeral, static, timestamp, _, _ = _INITIATION.unpack(message)
        return cls(sender, ephemeral, static, timestamp)


@dataclass(frozen=True, slots=True)
class Response:
    """Section 5.4.3, without its MACs."""

    sender: int
    receiver: int
    ephemeral: bytes
    empty: bytes

    def pack(self) -> bytes:
        """The message without mac1 and mac2."""
        return _RESPONSE.pack(
            RESPONSE, self.sender, self.receiver, self.ephemeral, self.empty, NO_MAC, NO_MAC
        )[: -2 * MAC]

    @classmethod
    def parse(cls, message: bytes) -> Response:
        """Read a whole message.

        Raises:
            HandshakeError: not of this type and size.
        """
        _check(message, RESPONSE)
        _, sender, receiver, ephemeral, empty, _, _ = _RESPONSE.unpack(message)
        return cls(sender, receiver, ephemeral, empty)


@dataclass(frozen=True, slots=True)
class CookieReply:
    """Section 5.4.7."""

    receiver: int
    nonce: bytes
    cookie: bytes
    """Sealed: 16 bytes and a tag."""

    def pack(self) -> bytes:
        """The whole message."""
        return _COOKIE.pack(COOKIE, self.receiver, self.nonce, self.cookie)

    @classmethod
    def parse(cls, message: bytes) -> CookieReply:
        """Read a whole message.

        Raises:
            HandshakeError: not of this type and size.
        """
        _check(message, COOKIE)
        _, receiver, nonce, cookie = _COOKIE.unpack(message)
        return cls(receiver, nonce, cookie)


def sender_of(message: bytes) -> int:
    """The sender's index of an initiation or a response."""
    return int.from_bytes(message[4:8], "little")


def _check(message: bytes, kind: int) -> None:
    size = SIZES[kind]
    if len(message) != size or message[:4] != kind.to_bytes(4, "little"):
        raise HandshakeError(f"not a message of type {kind} and {size} bytes")
