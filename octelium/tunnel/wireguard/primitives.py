"""The functions of the WireGuard paper, section 5.4, from `hashlib` and `cryptography`.

Python cannot overwrite `bytes`; "zeroing" a key here means dropping the last reference to it.
"""

from __future__ import annotations

import hashlib
import hmac
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20

from octelium.tunnel.wireguard.errors import HandshakeError

Buffer = bytes | memoryview
"""What a datagram or an IP packet may be given as."""

KEY = 32
"""Bytes of every key: static, ephemeral, preshared, symmetric."""
MAC = 16
"""Bytes of `mac`, and of an AEAD tag."""
TIMESTAMP = 12
"""Bytes of a TAI64N label."""

_ZERO_NONCE = bytes(12)
_TAI64 = 2**62
_LABEL = struct.Struct(">QI").pack
_FIELDS = struct.Struct(">QI").unpack
_WHITEN = 0x1000000
"""Nanoseconds below 2**24 are cleared, so that a label does not tell how fast this machine is."""
_BLOCK = struct.Struct("<16I")
_HALVES = struct.Struct("<8I").pack
_SIGMA = struct.unpack("<4I", b"expand 32-byte k")
_WORDS = struct.Struct("<4I").unpack


def digest(*parts: Buffer) -> bytes:
    """HASH of the paper: BLAKE2s (RFC 7693), 32 bytes, of all `parts` in turn."""
    state = hashlib.blake2s()
    for part in parts:
        state.update(part)
    return state.digest()


def mac(key: bytes, message: Buffer) -> bytes:
    """MAC of the paper: keyed BLAKE2s, 16 bytes."""
    return hashlib.blake2s(message, key=key, digest_size=MAC).digest()


def same(one: Buffer, other: Buffer) -> bool:
    """Whether two secrets are equal, in a time that does not depend on where they differ."""
    return hmac.compare_digest(one, other)


def derive(key: bytes, material: bytes, count: int) -> tuple[bytes, ...]:
    """KDF-n of the paper: HKDF (RFC 5869) with HMAC-BLAKE2s; `count` keys of 32 bytes."""
    secret = hmac.digest(key, material, "blake2s")
    keys: list[bytes] = []
    last = b""
    for number in range(1, count + 1):
        last = hmac.digest(secret, last + bytes((number,)), "blake2s")
        keys.append(last)
    return tuple(keys)


def exchange(private: X25519PrivateKey, public: bytes) -> bytes:
    """DH of the paper: X25519 (RFC 7748).

    Raises:
        HandshakeError: `public` is a point of small order, the outcome would be no secret.
    """
    try:
        return private.exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError as error:
        raise HandshakeError("the public key is a point of small order") from error


def seal(key: bytes, plain: bytes, data: bytes) -> bytes:
    """AEAD with counter 0, as handshakes use it (RFC 8439); `data` is authenticated along."""
    return ChaCha20Poly1305(key).encrypt(_ZERO_NONCE, plain, data)


def unseal(key: bytes, sealed: bytes, data: bytes) -> bytes:
    """The reverse of `seal`.

    Raises:
        HandshakeError: it was made with another key or other `data`, or changed.
    """
    try:
        return ChaCha20Poly1305(key).decrypt(_ZERO_NONCE, sealed, data)
    except InvalidTag as error:
        raise HandshakeError("a sealed part does not open") from error


def hchacha20(key: bytes, nonce: bytes) -> bytes:
    """HChaCha20 of draft-irtf-cfrg-xchacha-03, section 2.2: a key from `key` and 16 bytes.

    A ChaCha20 block is the permuted state plus the state; taking the known words of the state
    away again leaves the permuted words that HChaCha20 returns.
    """
    block = Cipher(ChaCha20(key, nonce), mode=None).encryptor().update(bytes(64))
    words = _BLOCK.unpack(block)
    known = (*_SIGMA, *_WORDS(nonce))
    out = [(a - b) & 0xFFFFFFFF for a, b in zip(words[:4] + words[12:], known, strict=True)]
    return _HALVES(*out)


def xseal(key: bytes, nonce: bytes, plain: bytes, data: bytes) -> bytes:
    """XAEAD of the paper: XChaCha20-Poly1305 with a random `nonce` of 24 bytes."""
    cipher = ChaCha20Poly1305(hchacha20(key, nonce[:16]))
    return cipher.encrypt(b"\0\0\0\0" + nonce[16:], plain, data)


def xunseal(key: bytes, nonce: bytes, sealed: bytes, data: bytes) -> bytes:
    """The reverse of `xseal`.

    Raises:
        HandshakeError: it was made with another key or other `data`, or changed.
    """
    cipher = ChaCha20Poly1305(hchacha20(key, nonce[:16]))
    try:
        return cipher.decrypt(b"\0\0\0\0" + nonce[16:], sealed, data)
    except InvalidTag as error:
        raise HandshakeError("a cookie does not open") from error


def tai64n(nanoseconds: int) -> bytes:
    """A TAI64N label of 12 bytes for a time in nanoseconds since 1970 (TAI minus UTC: 10 s).

    Labels of later times are greater as bytes; times less than 17 ms apart may share one.
    """
    seconds, rest = divmod(nanoseconds, 10**9)
    return _LABEL(_TAI64 + 10 + seconds, rest & ~(_WHITEN - 1))


def following(label: bytes) -> bytes:
    """The next label after `label`, for a wall clock that stood still or went back."""
    seconds, rest = _FIELDS(label)
    return _LABEL(seconds, rest + _WHITEN) if rest + _WHITEN < 10**9 else _LABEL(seconds + 1, 0)
