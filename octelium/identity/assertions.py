"""JSON Web Tokens that foreign issuers vouch with: ID tokens of people and of workloads.

OpenID Connect Core 1.0 section 3.1.3.7 and RFC 8725: algorithms from a fixed list, a key of the
kind that the algorithm needs, issuer, audience and times checked always. What a token says about
itself is believed only once its signature is verified.
"""

from __future__ import annotations

import math
from binascii import Error as Base64Error
from binascii import a2b_base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, RSAKey

from octelium.schema import strict_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ALGORITHMS: Final = ("RS256", "ES256", "ES384")
LONGEST: Final = 16 << 10
"""Characters of a token that is looked at."""
LONGEST_KEYS: Final = 256 << 10
"""Characters of a JWKS."""
LEEWAY: Final = 60
"""Seconds that clocks may differ."""
_LONGEST_HEADER: Final = 4096
_MOST_KEYS: Final = 64
_SHOWN: Final = 200
"""Characters of an audience that the log shows."""
_SMALLEST_RSA: Final = 2048
_LARGEST_RSA: Final = 8192
_LARGEST_EXPONENT: Final = 32
"""Bits. Verifying takes a step for each bit of the exponent, each of them longer the larger the
modulus is. NIST SP 800-56B, section 6.2.1 has exponents from 65537 on; hardly any is another."""
_MOST_TRIED: Final = 4
"""Keys that one token is tried with. Issuers with more name the right one (`kid`)."""
_CURVES: Final = {"ES256": "P-256", "ES384": "P-384"}


class UnprovenError(ValueError):
    """A token that proves nothing; the text is for the Cluster's own log."""


class UnknownKeyError(UnprovenError):
    """A token by a key that is not among the known ones: the issuer may have a new one."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a token must say: its issuer, and one of its audiences."""

    issuer: str
    audience: str


@dataclass(frozen=True, slots=True)
class Unverified:
    """A token that is well-formed. Nothing in it can be believed."""

    token: str
    algorithm: str
    key_id: str | None
    issuer: str


class Keys:
    """The keys of one issuer that can verify signatures."""

    __slots__ = ("_keys",)

    def __init__(self, keys: Sequence[RSAKey | ECKey]) -> None:
        self._keys = tuple(keys)

    @classmethod
    def parse(cls, text: str | bytes) -> Keys:
        """The usable keys of a JWKS (RFC 7517); others in it are left out.

        Raises:
            ValueError: it is no JWKS, is too large, or has no usable key.
        """
        if len(text) > LONGEST_KEYS:
            raise ValueError(f"the key set is larger than {LONGEST_KEYS} bytes")
        document = _json(text)
        listed = document.get("keys")
        if not isinstance(listed, list):
            raise ValueError("a key set is an object with a list `keys`")  # noqa: TRY004 - of the text
        usable = [key for item in listed[:_MOST_KEYS] if (key := _key(item)) is not None]
        if not usable:
            raise ValueError("the key set has no key that RS256, ES256 or ES384 can use")
        return cls(usable)

    def find(self, algorithm: str, key_id: str | None) -> list[RSAKey | ECKey]:
        """The keys that may have signed a token with this header, at most four of them.

        Those that have its id come first.
        """
        fitting = [
            key
            for key in self._keys
            if _fits(key, algorithm) and (key_id is None or key.kid in (None, key_id))
        ]
        fitting.sort(key=lambda key: key_id is not None and key.kid != key_id)
        return fitting[:_MOST_TRIED]


def _key(item: object) -> RSAKey | ECKey | None:
    if not isinstance(item, dict) or item.get("use", "sig") != "sig":
        return None
    if item.get("kty") not in ("RSA", "EC"):
        return None
    try:
        if item["kty"] == "RSA" and not _is_usual_rsa(item):
            return None
        (key,) = KeySet.import_key_set({"keys": [item]}).keys
        key.check_key_op("verify")
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return key if isinstance(key, RSAKey | ECKey) else None


def _is_usual_rsa(item: dict[str, Any]) -> bool:
    """Whether a key of RSA has a size that is safe, and cheap enough to verify with.

    Raises KeyError, ValueError for what is none.
    """
    modulus, exponent_text = item["n"], item["e"]
    if not isinstance(modulus, str) or not isinstance(exponent_text, str):
        return False
    if not _SMALLEST_RSA <= len(modulus) * 6 <= _LARGEST_RSA + 24 or len(exponent_text) > 8:
        return False  # 24: leading zeros and the rest of the last characters
    exponent = int.from_bytes(_bytes(exponent_text), "big")
    return exponent.bit_length() <= _LARGEST_EXPONENT and exponent >= 3 and exponent % 2 == 1


def _fits(key: RSAKey | ECKey, algorithm: str) -> bool:
    if key.get("alg") not in (None, algorithm):
        return False
    if isinstance(key, RSAKey):
        return algorithm == "RS256"
    return _CURVES.get(algorithm) == key.get("crv")


def read(token: str) -> Unverified:
    """The shape of a token, so that its issuer's keys can be found.

    Raises:
        UnprovenError: it is no compact JWS with a JSON payload, or of an algorithm that is not
            accepted.
    """
    if len(token) > LONGEST or not token.isascii():
        raise UnprovenError("the token is too long or not ASCII")
    parts = token.split(".")
    if len(parts) != 3 or not all(parts):
        raise UnprovenError("the token is no compact JWS")
    if len(parts[0]) > _LONGEST_HEADER:
        raise UnprovenError("the token's header is too long")
    header, claims = _part(parts[0], "header"), _part(parts[1], "payload")
    algorithm, key_id = header.get("alg"), header.get("kid")
    if algorithm not in ALGORITHMS:
        raise UnprovenError(f"the token's algorithm is none of {', '.join(ALGORITHMS)}")
    if "crit" in header or "b64" in header:
        raise UnprovenError("the token needs extensions that are not understood")
    if key_id is not None and not isinstance(key_id, str):
        raise UnprovenError("the token's key id is no string")
    issuer = claims.get("iss")
    if not isinstance(issuer, str) or not issuer:
        raise UnprovenError("the token names no issuer")
    return Unverified(token, algorithm, key_id, issuer)


def verify(
    unverified: Unverified, keys: Keys, expected: Expected, *, now: float
) -> Mapping[str, Any]:
    """The claims of a token, all checks passed. `now` in Unix seconds.

    Raises:
        UnknownKeyError: no known key may have signed it.
        UnprovenError: it proves nothing, here and now.
    """
    candidates = keys.find(unverified.algorithm, unverified.key_id)
    if not candidates:
        raise UnknownKeyError("no known key of the issuer fits the token")
    for key in candidates:
        try:
            signed = jws.deserialize_compact(
                unverified.token, key, algorithms=[unverified.algorithm]
            )
        except (JoseError, ValueError):
            continue
        claims = _json(signed.payload)
        _check(claims, expected, now)
        return claims
    raise UnprovenError("the token's signature is wrong")


def same_issuer(one: str, other: str) -> bool:
    """Whether two names mean one issuer: a final slash makes no difference."""
    return one.rstrip("/") == other.rstrip("/")


def _check(claims: Mapping[str, Any], expected: Expected, now: float) -> None:
    issuer = claims.get("iss")
    if not isinstance(issuer, str) or not same_issuer(issuer, expected.issuer):
        raise UnprovenError("the token is of another issuer")
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if expected.audience not in audiences:
        told = ", ".join(repr(one)[:_SHOWN] for one in audiences[:3])
        raise UnprovenError(f"the token's audience is {told}, not {expected.audience!r}")
    expires = _instant(claims, "exp")
    if expires is None:
        raise UnprovenError("the token never expires")
    if expires <= now - LEEWAY:
        raise UnprovenError("the token has expired")
    for name in ("nbf", "iat"):
        begins = _instant(claims, name)
        if begins is not None and begins > now + LEEWAY:
            raise UnprovenError("the token is from the future")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not subject:
        raise UnprovenError("the token has no subject")


def _instant(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UnprovenError(f"the token's {name} is no number")
    return float(value)


def _part(text: str, name: str) -> dict[str, Any]:
    try:
        return _json(_bytes(text))
    except (Base64Error, ValueError) as error:
        raise UnprovenError(f"the token's {name} cannot be read") from error


def _bytes(text: str) -> bytes:
    """base64url without padding. Raises ValueError."""
    padded = text.encode().translate(_URL_SAFE) + b"=" * (-len(text) % 4)
    return a2b_base64(padded, strict_mode=True)


_URL_SAFE: Final = bytes.maketrans(b"-_+/", b"+/!!")
"""base64url as base64; the two characters that only base64 has become invalid ones."""


def _json(data: str | bytes) -> dict[str, Any]:
    """A JSON object in which no name stands twice. Raises ValueError for anything else."""
    value = strict_json.parse(data)
    if not isinstance(value, dict):
        raise ValueError("no JSON object")  # noqa: TRY004 - of the text, not of an argument
    return value
