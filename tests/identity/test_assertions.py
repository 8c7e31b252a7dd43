from __future__ import annotations

import base64
import hmac
import json
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws, jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, Key, RSAKey

from octelium.identity.assertions import (
    LEEWAY,
    Expected,
    Keys,
    UnknownKeyError,
    UnprovenError,
    read,
    same_issuer,
    verify,
)

NOW = 1_800_000_000
EXPECTED = Expected("https://issuer.example", "https://example.com")
CLAIMS: dict[str, Any] = {
    "iss": "https://issuer.example",
    "aud": "https://example.com",
    "sub": "repo:org/app",
    "iat": NOW,
    "exp": NOW + 300,
}


TWICE = b'{"alg":"RS256","alg":"ES256"}'
TWO_ISSUERS = b'{"iss":"a","iss":"b"}'
NAN = b'{"iss":NaN}'


@cache
def rsa() -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": "r"})


@cache
def p256() -> ECKey:
    return ECKey.generate_key("P-256", {"kid": "e"})


@cache
def p384() -> ECKey:
    return ECKey.generate_key("P-384", {"kid": "f"})


@cache
def small() -> RSAKey:
    with pytest.warns(SecurityWarning):
        return RSAKey.generate_key(1024, {"kid": "s"})


def known(*keys: Key, **more: str) -> Keys:
    listed = [{**key.as_dict(private=False), **more} for key in keys]
    return Keys.parse(json.dumps({"keys": listed}))


def token(key: Key, algorithm: str, *, kid: str | None = "", **claims: Any) -> str:
    header: dict[str, Any] = {"alg": algorithm}
    if kid is not None:
        header["kid"] = kid or key.kid
    said = {**CLAIMS, **claims}
    said = {name: value for name, value in said.items() if value is not None}
    return jwt.encode(header, said, key, algorithms=[algorithm])


def check(text: str, keys: Keys | None = None) -> Any:
    return verify(read(text), keys or known(rsa(), p256(), p384()), EXPECTED, now=NOW)


def b64(value: object) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "ES384"])
def test_accepted_algorithms(algorithm: str) -> None:
    keys: dict[str, Key] = {"RS256": rsa(), "ES256": p256(), "ES384": p384()}
    key = keys[algorithm]
    assert check(token(key, algorithm))["sub"] == "repo:org/app"
    assert check(token(key, algorithm, kid=None))["sub"] == "repo:org/app"


@pytest.mark.parametrize("algorithm", ["PS256", "RS512", "RS384"])
def test_other_algorithms_are_refused(algorithm: str) -> None:
    with pytest.raises(UnprovenError, match="algorithm"):
        check(token(rsa(), algorithm))


def test_a_token_without_signature_is_refused() -> None:
    for algorithm in ("none", "None", "nOnE", "NONE"):
        for signature in ("", b64(b"x")):
            with pytest.raises(UnprovenError):
                check(f"{b64({'alg': algorithm})}.{b64(CLAIMS)}.{signature}")


def test_a_public_key_is_no_shared_secret() -> None:
    for secret in (
        rsa().as_pem(private=False),
        json.dumps(rsa().as_dict(private=False)).encode(),
    ):
        signed = f"{b64({'alg': 'HS256', 'kid': 'r'})}.{b64(CLAIMS)}"
        signature = hmac.digest(secret, signed.encode(), "sha256")
        with pytest.raises(UnprovenError, match="algorithm"):
            check(f"{signed}.{b64(signature)}")


def test_a_key_serves_its_own_algorithm_alone() -> None:
    with pytest.raises(UnknownKeyError):
        check(token(rsa(), "RS256"), known(rsa(), alg="RS512"))
    with pytest.raises(UnknownKeyError):
        check(token(p256(), "ES256", kid="f"), known(p384()))
    with pytest.raises(ValueError, match="no key"):
        known(rsa(), use="enc")
    with pytest.raises(ValueError, match="no key"):
        known(small())


def test_a_key_that_nobody_knows_is_told_apart_from_a_wrong_signature() -> None:
    other = RSAKey.generate_key(2048, {"kid": "r"})
    with pytest.raises(UnknownKeyError):
        check(token(other, "RS256", kid="new"))
    with pytest.raises(UnprovenError, match="signature") as caught:
        check(token(other, "RS256"))
    assert not isinstance(caught.value, UnknownKeyError)


@pytest.mark.parametrize(
    ("claims", "problem"),
    [
        ({"iss": "https://evil.example"}, "issuer"),
        ({"iss": "https://issuer.example.evil"}, "issuer"),
        ({"iss": None}, "issuer"),
        ({"iss": ["https://issuer.example"]}, "issuer"),
        ({"aud": "https://other.example"}, "audience"),
        ({"aud": ["https://other.example"]}, "audience"),
        ({"aud": None}, "audience"),
        ({"aud": {"https://example.com": 1}}, "audience"),
        ({"exp": NOW - LEEWAY}, "expired"),
        ({"exp": None}, "expires"),
        ({"exp": "9999999999"}, "number"),
        ({"exp": True}, "number"),
        ({"nbf": NOW + LEEWAY + 1}, "future"),
        ({"iat": NOW + LEEWAY + 1}, "future"),
        ({"sub": None}, "subject"),
        ({"sub": ""}, "subject"),
        ({"sub": 5}, "subject"),
    ],
)
def test_what_a_token_must_say(claims: dict[str, Any], problem: str) -> None:
    with pytest.raises(UnprovenError, match=problem):
        check(token(rsa(), "RS256", **claims))


def test_what_a_token_may_say() -> None:
    assert check(token(rsa(), "RS256", iss="https://issuer.example/"))
    assert check(token(rsa(), "RS256", aud=["https://other.example", "https://example.com"]))
    assert check(token(rsa(), "RS256", nbf=NOW + LEEWAY, exp=NOW - LEEWAY + 1))


def test_critical_extensions_are_not_understood() -> None:
    header = {"alg": "RS256", "kid": "r", "crit": ["b64"], "b64": True}
    text = f"{b64(header)}.{b64(CLAIMS)}.{b64(b'x')}"
    with pytest.raises(UnprovenError, match="extensions"):
        read(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a.b",
        "a.b.c.d",
        "..",
        "a" * 20_000,
        "é.b.c",
        f"{b64({'alg': 'RS256', 'x': 'y' * 5000})}.{b64(CLAIMS)}.AA",
        f"{b64(b'[]')}.{b64(CLAIMS)}.AA",
        f"{b64(b'{' * 3000)}.{b64(CLAIMS)}.AA",
        f"{b64(b'[' * 3000)}.{b64(CLAIMS)}.AA",
        f"{b64({'alg': 'RS256', 'kid': 7})}.{b64(CLAIMS)}.AA",
        f"{b64(TWICE)}.{b64(CLAIMS)}.AA",
        f"{b64({'alg': 'RS256'})}.{b64(TWO_ISSUERS)}.AA",
        f"{b64({'alg': 'RS256'})}.{b64(NAN)}.AA",
        f"{b64({'alg': 'RS256'})}+.{b64(CLAIMS)}.AA",
    ],
)
def test_what_is_no_token(text: str) -> None:
    with pytest.raises(UnprovenError):
        read(text)


@given(st.text(st.characters(codec="ascii"), max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    with pytest.raises(UnprovenError):
        read(text)


@given(st.integers(0, 2000), st.integers(1, 255))
def test_a_changed_token_proves_nothing(place: int, change: int) -> None:
    text = token(rsa(), "RS256")
    place %= len(text)
    changed = text[:place] + chr((ord(text[place]) + change) % 128) + text[place + 1 :]
    try:
        claims = check(changed)
    except UnprovenError:
        return
    # The last character of base64 has bits that do not count.
    assert claims == CLAIMS
    assert (
        jws.extract_compact(changed.encode()).payload == jws.extract_compact(text.encode()).payload
    )


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", '{"keys": {}}', '{"keys": []}', '{"keys": [{"kty": "oct", "k": "AA"}]}'],
)
def test_what_is_no_key_set(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Keys.parse(text)


def number(value: int) -> str:
    data = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@pytest.mark.parametrize(
    ("modulus", "exponent", "usable"),
    [
        (2048, 65537, True),
        (3072, 3, True),
        (8192, (1 << 32) - 1, True),
        (2048, (1 << 32) + 1, False),
        (2048, (1 << 2039) + 1, False),
        (2048, 65536, False),
        (2048, 1, False),
        (2048, 0, False),
        (8256, 65537, False),
        (16384, 65537, False),
    ],
)
def test_keys_that_are_cheap_to_verify_with(modulus: int, exponent: int, usable: bool) -> None:
    item = {"kty": "RSA", "kid": "k", "n": number((1 << modulus) - 1), "e": number(exponent)}
    text = json.dumps({"keys": [item]})
    if usable:
        assert len(Keys.parse(text).find("RS256", "k")) == 1
    else:
        with pytest.raises(ValueError, match="no key"):
            Keys.parse(text)


@pytest.mark.parametrize("change", [{"e": ["AQAB"]}, {"n": ["A"] * 500}, {"e": "A!=="}, {"e": ""}])
def test_numbers_of_a_key_that_are_none(change: dict[str, Any]) -> None:
    item = {**rsa().as_dict(private=False), **change}
    with pytest.raises(ValueError, match="no key"):
        Keys.parse(json.dumps({"keys": [item]}))


def test_a_token_is_tried_with_a_few_keys() -> None:
    right = {**rsa().as_dict(private=False), "kid": "right"}
    others = [{**RSAKey.generate_key(2048).as_dict(private=False)} for _ in range(5)]
    for item in others:
        item.pop("kid", None)
    keys = Keys.parse(json.dumps({"keys": [*others, right]}))
    assert len(keys.find("RS256", None)) == 4
    assert keys.find("RS256", "right")[0].kid == "right"
    assert check(token(rsa(), "RS256", kid="right"), keys)["sub"] == "repo:org/app"


def test_a_huge_key_set_is_not_read() -> None:
    with pytest.raises(ValueError, match="larger"):
        Keys.parse(" " * (300 << 10))


@given(st.binary(max_size=200))
def test_any_bytes_are_keys_or_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"(?s)."):
        Keys.parse(data)


def test_a_final_slash_makes_no_difference() -> None:
    assert same_issuer("https://a.example/", "https://a.example")
    assert not same_issuer("https://a.example", "https://b.example")
