"""Tokens of workloads that prove nothing, at a running Cluster (RFC 8725).

Each at both endpoints: the token endpoint of OAuth 2.0 and the API. An assertion itself may be used
again until it expires, as platforms hand out the same one for a while (RFC 7523 section 3 leaves
`jti` to the server).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

from octelium.cluster.refusals import EACH
from octelium.schema.pb import auth_v1_pb2 as auth
from tests.peers.timing import best
from tests.security.lab import AUDIENCE, WORKLOAD, payload_of
from tests.security.visitor import FORM, Visitor, gives_nothing

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.peers.issuer import Issuer
    from tests.security.lab import Lab

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
TWICE = b'{"iss":"a","iss":"b"}'
LONGEST = 2.0
"""Seconds that a refusal may take."""


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def part(value: Any) -> str:
    return b64(json.dumps(value).encode())


def good(issuer: Issuer, **claims: Any) -> str:
    return issuer.token(WORKLOAD, AUDIENCE, **claims)


def by_form(visitor: Visitor, assertion: str) -> int:
    """Ask the token endpoint; the status of a refusal."""
    response = visitor.send(
        "POST",
        "/oauth2/token",
        {"Content-Type": FORM},
        data={
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION,
            "client_assertion": assertion,
        },
    )
    if response.status_code != 200:
        gives_nothing(response)
    return response.status_code


def by_call(lab: Lab, visitor: Visitor, assertion: str) -> grpc.StatusCode:
    """Ask the API; the status of a refusal."""
    request = auth.AuthenticateWithAssertionRequest(assertion=assertion)
    try:
        lab.api.call(auth, "AuthenticateWithAssertion", request, x_forwarded_for=visitor.address)
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def forged(token: str, header: dict[str, Any], key: bytes = b"") -> str:
    """The claims of a token under another header, with an HMAC of `key`."""
    signed = f"{part(header)}.{token.split('.')[1]}"
    return f"{signed}.{b64(hmac.digest(key, signed.encode(), 'sha256'))}"


def public_pem(issuer: Issuer) -> bytes:
    key: Any = issuer.keys[-1].public_key
    pem: bytes = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem


def by_own_key(issuer: Issuer, **header: Any) -> str:
    """Signed by a stranger, whose key the header brings along."""
    key = ECKey.generate_key("P-256")
    told = {"alg": "ES256", "kid": issuer.keys[-1].kid, "jwk": key.as_dict(private=False), **header}
    signed = f"{part(told)}.{good(issuer).split('.')[1]}"
    own: Any = key.private_key
    r, s = decode_dss_signature(own.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{signed}.{b64(r.to_bytes(32) + s.to_bytes(32))}"


def unsigned(issuer: Issuer, algorithm: str) -> str:
    return f"{part({'alg': algorithm, 'typ': 'JWT'})}.{good(issuer).split('.')[1]}."


def of_now(seconds: float) -> int:
    return int(time.time() + seconds)


def without(issuer: Issuer, claim: str) -> str:
    return good(issuer, **{claim: None})


def spoiled(issuer: Issuer) -> str:
    """Another subject under the signature of a good token."""
    head, _, signature = good(issuer).split(".")
    claims = payload_of(good(issuer)) | {"sub": "system:serviceaccount:kube-system:admin"}
    return f"{head}.{part(claims)}.{signature}"


ATTACKS: dict[str, tuple[Callable[[Issuer], str], str]] = {
    "none": (lambda i: unsigned(i, "none"), "no compact JWS"),
    "None": (lambda i: unsigned(i, "None") + "x", "algorithm is none of"),
    "no algorithm": (lambda i: forged(good(i), {"typ": "JWT"}), "algorithm is none of"),
    "HS256 by the public key": (
        lambda i: forged(good(i), {"alg": "HS256", "kid": i.keys[-1].kid}, public_pem(i)),
        "algorithm is none of",
    ),
    "HMAC under the right name": (
        lambda i: forged(good(i), {"alg": "ES256", "kid": i.keys[-1].kid}, public_pem(i)),
        "signature is wrong",
    ),
    "a key of another kind": (
        lambda i: forged(good(i), {"alg": "RS256", "kid": i.keys[-1].kid}, public_pem(i)),
        "no known key",
    ),
    "a key that it brings along": (by_own_key, "signature is wrong"),
    "a key that it points to": (
        lambda i: by_own_key(i, jku="https://localhost/jwks", x5u="https://localhost/x"),
        "signature is wrong",
    ),
    "an extension": (lambda i: by_own_key(i, crit=["exp"]), "extensions"),
    "a spoiled subject": (spoiled, "signature is wrong"),
    "a zero signature": (
        lambda i: good(i).rpartition(".")[0] + "." + b64(bytes(64)),
        "signature is wrong",
    ),
    "another issuer": (lambda i: good(i, iss="https://other.example"), "for the issuer"),
    "a longer issuer": (lambda i: good(i, iss=f"{i.url}.evil.test"), "for the issuer"),
    "no issuer": (lambda i: without(i, "iss"), "names no issuer"),
    "another audience": (lambda i: i.token(WORKLOAD, "https://other.example"), "audience is"),
    "a longer audience": (lambda i: i.token(WORKLOAD, f"{AUDIENCE}/"), "audience is"),
    "no audience": (lambda i: without(i, "aud"), "audience is"),
    "expired": (lambda i: good(i, exp=of_now(-61)), "has expired"),
    "never expires": (lambda i: without(i, "exp"), "never expires"),
    "an end that is no number": (lambda i: good(i, exp="never"), "no number"),
    "not yet": (lambda i: good(i, nbf=of_now(3600)), "from the future"),
    "issued tomorrow": (lambda i: good(i, iat=of_now(86400)), "from the future"),
    "nobody": (lambda i: good(i, sub=""), "no subject"),
    "somebody else": (lambda i: i.token("system:other", AUDIENCE), "no User has the identity"),
    "another case": (lambda i: i.token(WORKLOAD.upper(), AUDIENCE), "no User has the identity"),
    "a huge header": (
        lambda i: forged(good(i), {"alg": "ES256", "x": "y" * 3100}),
        "header is too long",
    ),
    "a huge token": (lambda i: good(i, x="y" * 5000), "longer than"),
    "deep nesting": (
        lambda i: f"{part({'alg': 'ES256'})}.{b64(b'[' * 2000)}.x",
        "payload cannot be read",
    ),
    "a claim twice": (
        lambda i: f"{part({'alg': 'ES256'})}.{b64(TWICE)}.x",
        "payload cannot be read",
    ),
    "five parts": (lambda i: f"{good(i)}.x.y", "no compact JWS"),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_what_proves_nothing(lab: Lab, name: str) -> None:
    make, why = ATTACKS[name]

    def refused() -> float:
        visitor, token = lab.visitor(), make(lab.k8s)
        expected = {"a huge token": grpc.StatusCode.INVALID_ARGUMENT}
        with lab.refused(visitor, why, why):
            begun = time.perf_counter()
            status, code = by_form(visitor, token), by_call(lab, visitor, token)
            seconds = time.perf_counter() - begun
            assert status in (400, 401)
            assert code == expected.get(name, grpc.StatusCode.UNAUTHENTICATED)
        return seconds

    assert best(refused, LONGEST) < LONGEST


def test_a_good_one(lab: Lab) -> None:
    """What the others are variants of; used again, it makes a Session of its own."""
    visitor, token = lab.visitor(), good(lab.k8s)
    for _ in range(2):
        assert by_form(visitor, token) == 200
        assert by_call(lab, visitor, token) == grpc.StatusCode.OK
    assert [entry.outcome for entry in lab.entries(visitor.address)] == ["succeeded"] * 4


def test_a_flood_of_unknown_keys(lab: Lab) -> None:
    """However many come, the issuer's keys are fetched once a minute at most."""
    visitor = lab.visitor()
    keys: list[RSAKey | ECKey] = [RSAKey.generate_key(2048), ECKey.generate_key("P-256")]
    assert by_form(visitor, good(lab.k8s)) == 200
    fetched, known = lab.k8s.fetches, lab.state
    begun = time.perf_counter()
    for number in range(100):
        key = keys[number % 2]
        header = {"alg": "RS256" if number % 2 == 0 else "ES256", "kid": f"key-{number}"}
        claims = json.dumps(payload_of(good(lab.k8s)))
        token = jws.serialize_compact(header, claims, key, algorithms=[header["alg"]])
        assert by_form(visitor, token) == 401
    seconds = time.perf_counter() - begun
    assert lab.k8s.fetches - fetched <= 1 + seconds // 60
    assert lab.state == known
    # Thirty within a minute are listed one by one, so that a flood fills no log.
    why = "no known key of the issuer fits the token"
    refused = [entry.reason for entry in lab.entries(visitor.address) if entry.code]
    assert EACH <= refused.count(why) <= EACH * (2 + int(seconds // 60))
    assert all(reason.endswith(why) for reason in refused)
    text = lab.admin.get(f"http://127.0.0.1:{lab.cluster.admin}/metrics").text
    assert 'octelium_authentication_log_unlisted_total{process="control"} 0' not in text
    assert by_form(visitor, good(lab.k8s)) == 200


def test_the_hash_that_makes_forged_ones_is_the_right_one(lab: Lab) -> None:
    """Were HS256 accepted, the attack with the public key would work."""
    token = forged(good(lab.k8s), {"alg": "HS256"}, b"k")
    signed, _, signature = token.rpartition(".")
    expected = hmac.new(b"k", signed.encode(), hashlib.sha256).digest()
    assert signature == b64(expected)
