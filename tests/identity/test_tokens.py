from __future__ import annotations

import string
import uuid
from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given
from hypothesis import strategies as st

from octelium.identity.tokens import PublicKey, Signer, TokenClaims, TokenType, Verifier
from octelium.schema.pb import token_v1_pb2 as token_v1

NOW = 1_900_000_000
KEY = Ed25519PrivateKey.generate()
KEY_UID = str(uuid.uuid4())
SUBJECT = str(uuid.uuid4())
TOKEN_ID = str(uuid.uuid4())
ALPHABET = (string.ascii_letters + string.digits + "-_").encode()
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class Clock:
    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def verifier(clock: Clock | None = None, capacity: int = 100) -> Verifier:
    keys: dict[bytes, PublicKey] = {uuid.UUID(KEY_UID).bytes: KEY.public_key()}
    return Verifier(keys, clock=clock or Clock(), capacity=capacity)


def issue(
    token_type: TokenType = TokenType.ACCESS,
    expires_at: int | None = NOW + 60,
    subject: str = SUBJECT,
) -> str:
    return Signer(KEY_UID, KEY).issue(token_type, subject, TOKEN_ID, expires_at)


def encode(raw: bytes) -> bytes:
    return urlsafe_b64encode(raw).rstrip(b"=")


def decode(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_a_token_says_what_was_issued() -> None:
    claims = TokenClaims(TokenType.ACCESS, SUBJECT, TOKEN_ID, NOW + 60)
    token = issue()
    checker = verifier()
    assert checker.verify(token, TokenType.ACCESS) == claims
    assert checker.verify(token.encode(), TokenType.ACCESS) == claims


def test_wire_format() -> None:
    raw = decode(issue(TokenType.REFRESH))
    assert raw[0] == 1
    content = token_v1.TokenContent.FromString(token_v1.TokenT0.FromString(raw[1:]).content)
    assert content.type == token_v1.Type__.REFRESH_TOKEN
    assert content.key_id == uuid.UUID(KEY_UID).bytes
    assert content.subject == uuid.UUID(SUBJECT).bytes
    assert content.token_id == uuid.UUID(TOKEN_ID).bytes
    assert content.expires_at.seconds == NOW + 60
    assert content.expires_at.nanos == 0


@pytest.mark.parametrize("expires_at", [None, 0, NOW, 2**33])
def test_shape(expires_at: int | None) -> None:
    token = issue(expires_at=expires_at)
    assert 150 <= len(token) <= 220
    assert set(token.encode()) <= set(ALPHABET)


def test_a_token_without_an_end_outlives_everything() -> None:
    token = issue(TokenType.CREDENTIAL, expires_at=None)
    claims = verifier(Clock(1e12)).verify(token, TokenType.CREDENTIAL)
    assert claims is not None
    assert claims.expires_at == float("inf")


def test_expiry_holds_for_fresh_and_for_remembered_tokens() -> None:
    clock = Clock()
    token = issue()
    checker = verifier(clock)
    clock.now = NOW + 59.9
    assert checker.verify(token, TokenType.ACCESS)
    clock.now = NOW + 60
    assert checker.verify(token, TokenType.ACCESS) is None
    assert verifier(clock).verify(token, TokenType.ACCESS) is None


def test_one_type_is_not_another() -> None:
    checker = verifier()
    for issued in TokenType:
        token = issue(issued)
        for asked in TokenType:
            assert (checker.verify(token, asked) is not None) == (asked is issued)


def test_every_changed_character_is_refused() -> None:
    token = issue().encode()
    checker = verifier()
    for place, character in enumerate(token):
        value = ALPHABET.index(character)
        for bit in range(6):
            other = ALPHABET[value ^ (1 << bit)]
            changed = token[:place] + bytes([other]) + token[place + 1 :]
            assert checker.verify(changed, TokenType.ACCESS) is None, (place, bit)


def test_every_truncation_and_padding_is_refused() -> None:
    token = issue()
    checker = verifier()
    for length in range(len(token)):
        assert checker.verify(token[:length], TokenType.ACCESS) is None
    for suffix in ("=", "==", "A", "AA", "AAAA", " ", "\n", "\0"):
        assert checker.verify(token + suffix, TokenType.ACCESS) is None
        assert checker.verify(suffix + token, TokenType.ACCESS) is None


def test_unsigned_fields_around_the_signature_are_refused() -> None:
    raw = decode(issue())
    token = token_v1.TokenT0.FromString(raw[1:])
    content = token.content
    unknown_field = b"\x78\x01"
    repeated = token_v1.TokenT0(content=content).SerializeToString()
    for change in (raw + unknown_field, raw + repeated, b"\x01" + repeated + raw[1:]):
        assert verifier().verify(encode(change), TokenType.ACCESS) is None
    assert verifier().verify(encode(b"\x02" + raw[1:]), TokenType.ACCESS) is None
    assert verifier().verify(encode(raw), TokenType.ACCESS)


def test_another_key_under_the_same_name_is_refused() -> None:
    forged = Signer(KEY_UID, Ed25519PrivateKey.generate()).issue(
        TokenType.ACCESS, SUBJECT, TOKEN_ID, NOW + 60
    )
    assert verifier().verify(forged, TokenType.ACCESS) is None


def test_replaced_keys_end_remembered_tokens() -> None:
    checker = verifier()
    token = issue()
    assert checker.verify(token, TokenType.ACCESS)
    checker.replace_keys({uuid.uuid4().bytes: KEY.public_key()})
    assert checker.verify(token, TokenType.ACCESS) is None
    checker.replace_keys({uuid.UUID(KEY_UID).bytes: KEY.public_key()})
    assert checker.verify(token, TokenType.ACCESS)


def signed_content(content: token_v1.TokenContent) -> bytes:
    raw = content.SerializeToString()
    token = token_v1.TokenT0(signature=KEY.sign(raw), content=raw)
    return encode(b"\x01" + token.SerializeToString())


def good_content() -> token_v1.TokenContent:
    content = token_v1.TokenContent(
        type=token_v1.Type__.ACCESS_TOKEN,
        key_id=uuid.UUID(KEY_UID).bytes,
        subject=uuid.UUID(SUBJECT).bytes,
        token_id=uuid.UUID(TOKEN_ID).bytes,
    )
    content.expires_at.seconds = NOW + 60
    return content


def test_signed_but_malformed_contents_are_refused() -> None:
    assert verifier().verify(signed_content(good_content()), TokenType.ACCESS)
    for field, value in (
        ("type", 0),
        ("type", 7),
        ("subject", b"x" * 15),
        ("subject", b"x" * 17),
        ("token_id", b"x" * 15),
    ):
        content = good_content()
        setattr(content, field, value)
        token = signed_content(content)
        for asked in TokenType:
            assert verifier().verify(token, asked) is None, (field, value)
    content = good_content()
    content.expires_at.nanos = 1
    assert verifier().verify(signed_content(content), TokenType.ACCESS) is None


def p256_token(key: ec.EllipticCurvePrivateKey, *, high: bool) -> bytes:
    content = good_content().SerializeToString()
    r, s = decode_dss_signature(key.sign(content, ec.ECDSA(SHA256())))
    if (s > P256_ORDER // 2) != high:
        s = P256_ORDER - s
    token = token_v1.TokenT0(signature=r.to_bytes(32) + s.to_bytes(32), content=content)
    return encode(b"\x01" + token.SerializeToString())


def test_p256_signatures_verify_in_their_low_form_only() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    checker = Verifier({uuid.UUID(KEY_UID).bytes: key.public_key()}, clock=Clock())
    assert checker.verify(p256_token(key, high=False), TokenType.ACCESS)
    assert checker.verify(p256_token(key, high=True), TokenType.ACCESS) is None
    other = ec.generate_private_key(ec.SECP256R1())
    assert checker.verify(p256_token(other, high=False), TokenType.ACCESS) is None
    assert checker.verify(issue(), TokenType.ACCESS) is None


def test_other_curves_are_refused() -> None:
    key = ec.generate_private_key(ec.SECP256K1())
    checker = Verifier({uuid.UUID(KEY_UID).bytes: key.public_key()}, clock=Clock())
    assert checker.verify(p256_token(key, high=False), TokenType.ACCESS) is None


class CountingKeys(dict[bytes, PublicKey]):
    """Counts how often a signature had to be verified."""

    looked_up = 0

    def __getitem__(self, key: bytes) -> PublicKey:
        CountingKeys.looked_up += 1
        return super().__getitem__(key)


def test_a_remembered_token_is_not_verified_again_and_memory_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checker = verifier(capacity=3)
    monkeypatch.setattr(checker, "_keys", CountingKeys(checker._keys))
    CountingKeys.looked_up = 0
    tokens = [issue(subject=str(uuid.uuid4())) for _ in range(10)]
    hot = tokens[0]
    for token in tokens:
        assert checker.verify(token, TokenType.ACCESS)
        assert checker.verify(hot, TokenType.ACCESS)
    assert CountingKeys.looked_up == len(tokens)
    assert len(checker._young) <= 3
    assert len(checker._old) <= 3
    assert checker.verify(tokens[1], TokenType.ACCESS)
    assert CountingKeys.looked_up == len(tokens) + 1


def test_refused_texts_are_not_remembered() -> None:
    checker = verifier()
    for _ in range(10):
        assert checker.verify(b"A" * 178, TokenType.ACCESS) is None
    assert checker.verify(issue(expires_at=NOW - 1), TokenType.ACCESS) is None
    assert not checker._young
    assert not checker._old


@given(
    st.one_of(
        st.binary(max_size=300),
        st.text(max_size=300),
        st.text(alphabet=ALPHABET.decode(), min_size=150, max_size=220),
        st.binary(min_size=100, max_size=160).map(lambda raw: encode(b"\x01" + raw)),
    )
)
def test_anything_else_is_refused_without_an_error(text: bytes | str) -> None:
    checker = verifier()
    for token_type in TokenType:
        assert checker.verify(text, token_type) is None


@given(st.sampled_from(TokenType), st.uuids(), st.uuids(), st.integers(NOW + 1, 2**40))
def test_round_trip(
    token_type: TokenType, subject: uuid.UUID, token_id: uuid.UUID, expires_at: int
) -> None:
    token = Signer(KEY_UID, KEY).issue(token_type, str(subject), str(token_id), expires_at)
    assert verifier().verify(token, token_type) == TokenClaims(
        token_type, str(subject), str(token_id), expires_at
    )


def test_only_uuids_can_be_named() -> None:
    with pytest.raises(ValueError):
        Signer(KEY_UID, KEY).issue(TokenType.ACCESS, "root", TOKEN_ID, None)
