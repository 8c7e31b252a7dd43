"""Octelium's own tokens: access tokens, refresh tokens and Credential tokens.

A token is the byte 0x01 followed by the protobuf message `TokenT0{signature, content}`, in
base64url without padding (RFC 4648 section 5). It says nothing about its holder but a Session's or
a Credential's uid and the id of the authentication it belongs to; who verifies one must still ask
the store whether that id is the current one.
"""

from __future__ import annotations

import binascii
import enum
import re
import time
import uuid
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from google.protobuf.message import DecodeError

from octelium.schema.pb import token_v1_pb2 as token_v1

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PublicKey = Ed25519PublicKey | EllipticCurvePublicKey
"""What may verify a token: Ed25519, or ECDSA over P-256."""

_VERSION = b"\x01"
_SHAPE = re.compile(rb"[A-Za-z0-9_-]{150,220}")
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class TokenType(enum.IntEnum):
    """What a token is good for; the numbers are those of the wire."""

    ACCESS = 1
    REFRESH = 2
    CREDENTIAL = 3


_TYPES = {int(token_type): token_type for token_type in TokenType}


@dataclass(frozen=True, slots=True)
class TokenClaims:
    """What a verified token says."""

    type: TokenType
    subject: str
    """Uid of the Session, or with `TokenType.CREDENTIAL` of the Credential."""
    token_id: str
    """UUID of the authentication (or rotation) that issued the token."""
    expires_at: float
    """Unix seconds; `inf` for a Credential's token without an end."""


@dataclass(frozen=True, slots=True)
class Signer:
    """Issues tokens under one signing key, named by the uid of the Secret that holds it."""

    key_uid: str
    private_key: Ed25519PrivateKey

    def issue(
        self, token_type: TokenType, subject_uid: str, token_id: str, expires_at: int | None
    ) -> str:
        """Return a new token. `expires_at` is in Unix seconds; `None` means no end.

        Raises:
            ValueError: an id is not a UUID.
        """
        content = token_v1.TokenContent(
            type=token_v1.Type__.Type.ValueType(token_type),
            key_id=uuid.UUID(self.key_uid).bytes,
            subject=uuid.UUID(subject_uid).bytes,
            token_id=uuid.UUID(token_id).bytes,
        )
        if expires_at is not None:
            content.expires_at.seconds = expires_at
        signed = content.SerializeToString(deterministic=True)
        token = token_v1.TokenT0(signature=self.private_key.sign(signed), content=signed)
        raw = _VERSION + token.SerializeToString(deterministic=True)
        return urlsafe_b64encode(raw).rstrip(b"=").decode()


class Verifier:
    """Verifies tokens and remembers those that it verified.

    Only tokens with a good signature are remembered, so nobody without a key can fill the memory.
    It is keyed by the token's text: a look-up compares bytes only after the keyed 64-bit hash of
    the whole text is equal, hence its duration tells nothing about remembered tokens. It is kept in
    two generations of at most `capacity` tokens; when the young one is full the old one is dropped.
    """

    def __init__(
        self,
        keys: Mapping[bytes, PublicKey],
        *,
        clock: Callable[[], float] = time.time,
        capacity: int = 16_384,
    ) -> None:
        self._keys = dict(keys)
        self._clock = clock
        self._capacity = capacity
        self._young: dict[bytes, TokenClaims] = {}
        self._old: dict[bytes, TokenClaims] = {}

    def replace_keys(self, keys: Mapping[bytes, PublicKey]) -> None:
        """Verify with `keys` (by the 16-byte uid of their Secrets) from here on; forget tokens."""
        self._keys = dict(keys)
        self._young = {}
        self._old = {}

    def verify(self, token: bytes | str, token_type: TokenType) -> TokenClaims | None:
        """What `token` says, or `None` unless it is genuine, unexpired and of `token_type`."""
        if isinstance(token, str):
            token = token.encode("utf-8", "surrogatepass")
        claims = self._young.get(token)
        if claims is None:
            claims = self._old.pop(token, None) or self._verified(token)
            if claims is None:
                return None
            if claims.expires_at > self._clock():
                self._remember(token, claims)
        if claims.expires_at <= self._clock() or claims.type is not token_type:
            return None
        return claims

    def _remember(self, token: bytes, claims: TokenClaims) -> None:
        if len(self._young) >= self._capacity:
            self._old = self._young
            self._young = {}
        self._young[token] = claims

    def _verified(self, text: bytes) -> TokenClaims | None:
        try:
            token, content = _parse(text)
            key = self._keys[content.key_id]
            _check_signature(key, token.signature, token.content)
            return _claims(content)
        except (_MalformedError, KeyError, InvalidSignature):
            return None


class _MalformedError(Exception):
    """Not a token, whoever signed it."""


def _parse(text: bytes) -> tuple[token_v1.TokenT0, token_v1.TokenContent]:
    if _SHAPE.fullmatch(text) is None:
        raise _MalformedError
    try:
        raw = urlsafe_b64decode(text + b"=" * (-len(text) % 4))
        token = token_v1.TokenT0.FromString(raw[1:])
        content = token_v1.TokenContent.FromString(token.content)
    except (binascii.Error, DecodeError) as error:
        raise _MalformedError from error
    # One token has one text: spare base64 bits, unknown or repeated fields make another.
    plain = token_v1.TokenT0(signature=token.signature, content=token.content)
    if _VERSION + plain.SerializeToString(deterministic=True) != raw:
        raise _MalformedError
    if urlsafe_b64encode(raw).rstrip(b"=") != text:
        raise _MalformedError
    return token, content


def _check_signature(key: PublicKey, signature: bytes, signed: bytes) -> None:
    """Raises InvalidSignature."""
    if isinstance(key, Ed25519PublicKey):
        key.verify(signature, signed)
        return
    if not isinstance(key.curve, SECP256R1) or len(signature) != 64:
        raise InvalidSignature
    r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
    if s > _P256_ORDER // 2:  # its negative is as valid: only the low half counts
        raise InvalidSignature
    key.verify(encode_dss_signature(r, s), signed, ECDSA(SHA256()))


def _claims(content: token_v1.TokenContent) -> TokenClaims:
    token_type = _TYPES.get(content.type)
    if token_type is None or len(content.subject) != 16 or len(content.token_id) != 16:
        raise _MalformedError
    if content.expires_at.nanos != 0:
        raise _MalformedError
    return TokenClaims(
        token_type,
        str(uuid.UUID(bytes=content.subject)),
        str(uuid.UUID(bytes=content.token_id)),
        content.expires_at.seconds if content.HasField("expires_at") else inf,
    )
