"""JSON Web Tokens (RFC 7515, RFC 7519): decoding and verification.

Keys are PEM certificates or public keys, a JWK or a set of them (RFC 7517); for HMAC a text is the
secret itself.
"""

from __future__ import annotations

import hmac
import json
from typing import TYPE_CHECKING, Any, Final

from octelium.policy.rego.functions.arguments import mapping, num, text
from octelium.policy.rego.functions.documents import parse_json
from octelium.policy.rego.functions.encodings import base64url_bytes, decoded
from octelium.policy.rego.needed import RegoBudgetError, RegoError
from octelium.policy.rego.values import Array, Boolean, Meter, Object, boolean

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.policy.rego.functions.arguments import Functions

_MAX_TOKEN: Final = 64 * 1024
_MAX_KEYS: Final = 16
_VERIFICATION: Final = 200
"""Steps that one verification of a signature costs."""
_SECOND: Final = 1_000_000_000
_ALGORITHMS: Final = frozenset(
    f"{family}{bits}" for family in ("RS", "PS", "ES", "HS") for bits in ("256", "384", "512")
) | {"EdDSA"}


def _split(token: Any) -> tuple[str, str, str]:
    parts = text(token).split(".")
    if len(parts) != 3 or len(token) > _MAX_TOKEN:
        raise RegoError("this is no JWT: it must have 3 parts, and not more than 64 kB")
    return parts[0], parts[1], parts[2]


def _header(part: str, meter: Meter) -> Object:
    header = parse_json(decoded(base64url_bytes(part)), meter)
    if type(header) is not Object:
        raise RegoError("the header of the JWT is no object")
    if header.get("enc") is not None:
        raise RegoError("encrypted JWTs are not offered")
    return header


def _payload(part: str, meter: Meter) -> Object:
    payload = parse_json(decoded(base64url_bytes(part)), meter)
    if type(payload) is not Object:
        raise RegoError("the payload of the JWT is no object")
    return payload


def _decode(meter: Meter, token: Any) -> Array:
    """Header, payload, and the signature in hexadecimal digits. Nothing is verified."""
    meter.charge(len(text(token)) >> 3)
    header, payload, signature = _split(token)
    return Array(
        [_header(header, meter), _payload(payload, meter), base64url_bytes(signature).hex()]
    )


# --- signatures


def _verify(algorithm: str) -> Callable[[Meter, Any, Any], Boolean]:
    def verify(meter: Meter, token: Any, key: Any) -> Boolean:
        header, payload, signature = _split(token)
        _header(header, meter)
        signed = f"{header}.{payload}".encode()
        return boolean(_signed(meter, algorithm, signed, base64url_bytes(signature), text(key, 2)))

    return verify


def _signed(meter: Meter, algorithm: str, signed: bytes, signature: bytes, key: str) -> bool:
    """Whether one of the keys made the signature."""
    if algorithm.startswith("HS"):
        meter.charge(_VERIFICATION >> 3)
        digest = hmac.new(key.encode(), signed, f"sha{algorithm[2:]}").digest()
        return hmac.compare_digest(digest, signature)
    meter.charge(_VERIFICATION + (len(key) >> 3))
    for each in _keys(key, meter):
        meter.charge(_VERIFICATION)
        if _fits(algorithm, each, signed, signature):
            return True
    return False


def _keys(given: str, meter: Meter) -> list[Any]:
    """The public keys that a text holds."""
    try:
        if "-----BEGIN" in given:
            return [_pem_key(given)]
        from joserfc.jwk import ECKey, OKPKey, RSAKey

        kinds: dict[str, Any] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
        form = json.loads(given)
        forms = form.get("keys", [form]) if isinstance(form, dict) else []
        meter.charge(_VERIFICATION * min(len(forms), _MAX_KEYS))
        found = [kinds[each["kty"]].import_key(each).public_key for each in forms[:_MAX_KEYS]]
    except RegoBudgetError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, the key is none
        raise RegoError(f"the key cannot be read: {type(error).__name__}") from None
    if not found:
        raise RegoError("there is no key")
    return found


def _pem_key(given: str) -> Any:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    if "-----BEGIN CERTIFICATE-----" in given:
        return x509.load_pem_x509_certificate(given.encode()).public_key()
    return load_pem_public_key(given.encode())


def _fits(algorithm: str, key: Any, signed: bytes, signature: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

    kinds: dict[str, type] = {"ES": ec.EllipticCurvePublicKey, "Ed": ed25519.Ed25519PublicKey}
    if not isinstance(key, kinds.get(algorithm[:2], rsa.RSAPublicKey)):
        return False
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, signed)
            return True
        public: Any = key
        digest = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}[
            algorithm[2:]
        ]
        if isinstance(key, ec.EllipticCurvePublicKey):
            size = (key.curve.key_size + 7) // 8
            curve = {256: "256", 384: "384", 521: "512"}.get(key.curve.key_size)
            if curve != algorithm[2:] or len(signature) != 2 * size:
                return False
            numbers = (int.from_bytes(signature[:size]), int.from_bytes(signature[size:]))
            key.verify(utils.encode_dss_signature(*numbers), signed, ec.ECDSA(digest))
        elif algorithm.startswith("PS"):
            salted = padding.PSS(padding.MGF1(digest), padding.PSS.AUTO)
            public.verify(signature, signed, salted, digest)
        else:
            public.verify(signature, signed, padding.PKCS1v15(), digest)
    except InvalidSignature:
        return False
    return True


# --- signature and claims


def _decode_verify(meter: Meter, token: Any, constraints: Any) -> Array:
    """Whether signature and claims hold, header and payload; the latter empty if they do not.

    Constraints: `cert` or `secret`, `alg`, `iss`, `aud`, `time` (nanoseconds; now by default).
    """
    given = mapping(constraints, 2)
    for name in given:
        if name not in ("cert", "secret", "alg", "iss", "aud", "time"):
            raise RegoError(f"there is no constraint {name!r}")
    if ("cert" in given) == ("secret" in given):
        raise RegoError("exactly one of cert and secret is needed")
    refused = Array([boolean(0), Object(), Object()])
    header_part, payload_part, signature = _split(token)
    header = _header(header_part, meter)
    algorithm = header.get("alg")
    if algorithm not in _ALGORITHMS or given.get("alg", algorithm) != algorithm:
        return refused
    assert isinstance(algorithm, str)
    name = "secret" if algorithm.startswith("HS") else "cert"
    if name not in given or _unknown_extension(header):
        return refused
    signed = f"{header_part}.{payload_part}".encode()
    key = text(given[name])
    if not _signed(meter, algorithm, signed, base64url_bytes(signature), key):
        return refused
    payload = _payload(payload_part, meter)
    if not _claims_hold(payload, given, meter):
        return refused
    return Array([boolean(1), header, payload])


def _unknown_extension(header: Object) -> bool:
    """A header may name extensions that must be understood (RFC 7515, section 4.1.11)."""
    return header.get("crit") is not None


def _claims_hold(payload: Object, given: Object, meter: Meter) -> bool:
    if "iss" in given and payload.get("iss") != given["iss"]:
        return False
    audience = payload.get("aud")
    if "aud" in given:
        audiences = audience if type(audience) is Array else [audience]
        if given["aud"] not in audiences:
            return False
    elif audience is not None:
        return False
    now = num(given.get("time", meter.now_ns))
    expires, begins = payload.get("exp"), payload.get("nbf")
    if expires is not None and now >= num(expires) * _SECOND:
        return False
    return begins is None or now >= num(begins) * _SECOND


FUNCTIONS: Final[Functions] = {
    "io.jwt.decode": (_decode, 1),
    "io.jwt.decode_verify": (_decode_verify, 2),
    "io.jwt.verify_eddsa": (_verify("EdDSA"), 2),
    **{
        f"io.jwt.verify_{family}{bits}": (_verify(f"{family.upper()}{bits}"), 2)
        for family in ("rs", "ps", "es", "hs")
        for bits in ("256", "384", "512")
    },
}
