from __future__ import annotations

import base64
import datetime as dt
import hmac
import json
from functools import cache
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jws
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from octelium.policy.rego.needed import RegoError
from tests.policy.rego.evaluation import NOW, value

SECRET = "a secret of thirty-two characters or more, to please all algorithms"
SECONDS = NOW // 1_000_000_000
CURVES: dict[str, ec.EllipticCurve] = {
    "ES256": ec.SECP256R1(),
    "ES384": ec.SECP384R1(),
    "ES512": ec.SECP521R1(),
}
ALGORITHMS = [f"{f}{b}" for f in ("RS", "PS", "ES", "HS") for b in (256, 384, 512)] + ["EdDSA"]


@cache
def key(algorithm: str) -> Any:
    if algorithm.startswith("HS"):
        return OctKey.import_key(SECRET)
    if algorithm in CURVES:
        return ECKey.import_key(private(algorithm))
    if algorithm == "EdDSA":
        return OKPKey.import_key(private(algorithm))
    return RSAKey.import_key(private("RSA"))


@cache
def private(algorithm: str) -> Any:
    if algorithm == "RSA":
        return rsa.generate_private_key(65537, 2048)
    return (
        ed25519.Ed25519PrivateKey.generate()
        if algorithm == "EdDSA"
        else ec.generate_private_key(CURVES[algorithm])
    )


def public(algorithm: str) -> str:
    """What a module gives as the key."""
    if algorithm.startswith("HS"):
        return SECRET
    kind = algorithm if algorithm in (*CURVES, "EdDSA") else "RSA"
    pem = private(kind).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return str(pem.decode())


def token(algorithm: str, claims: dict[str, Any] | None = None, **header: Any) -> str:
    payload = json.dumps({"sub": "ann"} if claims is None else claims)
    fields = {"alg": algorithm, **header}
    if algorithm == "EdDSA":
        signed = f"{part(json.dumps(fields).encode())}.{part(payload.encode())}"
        return f"{signed}.{part(private('EdDSA').sign(signed.encode()))}"
    return jws.serialize_compact(fields, payload, key(algorithm), algorithms=[algorithm])


def part(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def hs256(header: str, payload: str, secret: str) -> str:
    """A token that is signed whatever its header says."""
    signed = f"{part(header.encode())}.{part(payload.encode())}"
    return f"{signed}.{part(hmac.new(secret.encode(), signed.encode(), 'sha256').digest())}"


def call(expression: str, **document: Any) -> Any:
    return value(expression, document)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_signatures(algorithm: str) -> None:
    name = f"io.jwt.verify_{algorithm.lower()}"
    given = token(algorithm)
    expression = f"{name}(input.token, input.key)"
    assert call(expression, token=given, key=public(algorithm)) is True
    header, payload, signature = given.split(".")
    other = part(b'{"sub":"bob"}')
    assert call(expression, token=f"{header}.{other}.{signature}", key=public(algorithm)) is False
    forged = "A" * len(signature) if algorithm != "EdDSA" else "A" * 86
    assert call(expression, token=f"{header}.{payload}.{forged}", key=public(algorithm)) is False
    if not algorithm.startswith("HS"):
        jwk = key(algorithm).as_dict(private=False)
        assert call(expression, token=given, key=json.dumps(jwk)) is True
        keys = json.dumps({"keys": [ECKey.generate_key("P-256").as_dict(private=False), jwk]})
        assert call(expression, token=given, key=keys) is True
        # A key of another kind fits no signature.
        assert call(expression, token=given, key=public("ES256")) is (algorithm == "ES256")


def test_a_certificate_is_a_key() -> None:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, private("RSA").public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(private("RSA"), hashes.SHA256())
    )
    pem = certificate.public_bytes(Encoding.PEM).decode()
    assert call("io.jwt.verify_rs256(input.t, input.k)", t=token("RS256"), k=pem) is True


def test_decoding_verifies_nothing() -> None:
    header, payload, signature = call("io.jwt.decode(input.t)", t=token("HS256", typ="JWT"))
    assert header == {"alg": "HS256", "typ": "JWT"}
    assert payload == {"sub": "ann"}
    assert len(signature) == 64


@pytest.mark.parametrize(
    ("claims", "constraints", "valid"),
    [
        ({"sub": "ann"}, {}, True),
        ({"sub": "ann"}, {"alg": "HS256"}, True),
        ({"sub": "ann"}, {"alg": "HS512"}, False),
        ({"iss": "a"}, {"iss": "a"}, True),
        ({"iss": "a"}, {"iss": "b"}, False),
        ({}, {"iss": "a"}, False),
        ({"aud": "x"}, {"aud": "x"}, True),
        ({"aud": ["x", "y"]}, {"aud": "y"}, True),
        ({"aud": ["x", "y"]}, {"aud": "z"}, False),
        ({"aud": "x"}, {}, False),
        ({}, {"aud": "x"}, False),
        ({"exp": SECONDS + 1}, {}, True),
        ({"exp": SECONDS}, {}, False),
        ({"exp": SECONDS - 1}, {}, False),
        ({"exp": 10}, {"time": 9_000_000_000}, True),
        ({"exp": 10}, {"time": 10_000_000_000}, False),
        ({"nbf": SECONDS}, {}, True),
        ({"nbf": SECONDS + 1}, {}, False),
        ({"nbf": SECONDS + 0.5}, {}, False),
    ],
)
def test_claims(claims: dict[str, Any], constraints: dict[str, Any], valid: bool) -> None:
    found = call(
        "io.jwt.decode_verify(input.t, input.c)",
        t=token("HS256", claims),
        c={"secret": SECRET, **constraints},
    )
    header = {"alg": "HS256"}
    assert found == ([True, header, claims] if valid else [False, {}, {}])


def test_only_the_kind_of_key_counts_that_the_algorithm_needs() -> None:
    """A token that is signed with a public key as if that were a secret is no good."""
    expression = "io.jwt.decode_verify(input.t, input.c)[0]"
    assert call(expression, t=token("RS256"), c={"cert": public("RS256")}) is True
    confused = hs256('{"alg":"HS256"}', "{}", public("RS256"))
    assert call(expression, t=confused, c={"cert": public("RS256")}) is False
    assert call(expression, t=token("RS256"), c={"secret": SECRET}) is False
    none = part(b'{"alg":"none"}') + ".e30."
    assert call(expression, t=none, c={"secret": SECRET}) is False


def test_extensions_that_must_be_understood_are_not() -> None:
    made = hs256('{"alg":"HS256","crit":["x"],"x":1}', "{}", SECRET)
    expression = "io.jwt.decode_verify(input.t, input.c)[0]"
    assert call("io.jwt.verify_hs256(input.t, input.k)", t=made, k=SECRET) is True
    assert call(expression, t=made, c={"secret": SECRET}) is False


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ('io.jwt.decode("a.b")', "this is no JWT"),
        ('io.jwt.decode("a.b.c.d")', "this is no JWT"),
        ('io.jwt.decode("W10.e30.")', "the header of the JWT is no object"),
        ('io.jwt.decode("e30.W10.")', "the payload of the JWT is no object"),
        ('io.jwt.decode("e30.e30.!")', "no base64"),
        ('io.jwt.decode("eyJlbmMiOiJ4In0.e30.")', "encrypted"),
        ("io.jwt.decode(1)", "must be string"),
        ('io.jwt.verify_hs256("e30.e30.", 1)', "argument 2"),
        ('io.jwt.verify_rs256("e30.e30.", "x")', "the key cannot be read"),
        ('io.jwt.verify_rs256("e30.e30.", "{}")', "the key cannot be read"),
        ('io.jwt.verify_rs256("e30.e30.", "{\\"keys\\": []}")', "there is no key"),
        (
            'io.jwt.verify_rs256("e30.e30.", "-----BEGIN CERTIFICATE-----")',
            "the key cannot be read",
        ),
        ('io.jwt.decode_verify("e30.e30.", {})', "exactly one of cert and secret"),
        ('io.jwt.decode_verify("e30.e30.", {"cert": "", "secret": ""})', "exactly one"),
        ('io.jwt.decode_verify("e30.e30.", {"secret": "", "x": 1})', "no constraint"),
        ('io.jwt.decode_verify("e30.e30.", [])', "must be object"),
    ],
)
def test_errors(expression: str, problem: str) -> None:
    with pytest.raises(RegoError, match=problem):
        value(expression)
