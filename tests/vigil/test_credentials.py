from __future__ import annotations

import uuid

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from octelium.http.message import HeaderBlock, MessageError
from octelium.identity.tokens import Signer, TokenType
from octelium.vigil.credentials import (
    Credential,
    find_credential,
    is_own_authorization,
    sets_own_cookie,
    without_own_cookies,
)


def block(*fields: tuple[bytes, bytes]) -> HeaderBlock:
    return HeaderBlock(fields)


@pytest.mark.parametrize(
    ("fields", "token"),
    [
        ([], None),
        ([(b"x-octelium-auth", b"t")], b"t"),
        ([(b"cookie", b"octelium_auth=t")], b"t"),
        ([(b"cookie", b"a=1; octelium_auth=t; b=2")], b"t"),
        ([(b"cookie", b"a=1;octelium_auth = t ;b=2")], b"t"),
        ([(b"cookie", b"xoctelium_auth=t; octelium_authx=t; Octelium_Auth=t")], None),
        ([(b"cookie", b"a=octelium_auth=t")], None),
        ([(b"cookie", b"octelium_auth=; octelium_auth=t")], b"t"),
        ([(b"cookie", b"octelium_auth=t; octelium_auth=u")], None),
        ([(b"authorization", b"Bearer t")], b"t"),
        ([(b"authorization", b"bearer t")], None),
        ([(b"authorization", b"Bearer")], None),
        ([(b"authorization", b"Bearer ")], None),
        ([(b"authorization", b"Basic dDp0")], None),
        ([(b"x_octelium_auth", b"t")], None),
        ([(b"authorization", b"Bearer b"), (b"x-octelium-auth", b"h")], b"h"),
        ([(b"authorization", b"Bearer b"), (b"cookie", b"octelium_auth=c")], b"c"),
        ([(b"authorization", b"Bearer b"), (b"x-octelium-auth", b"")], b"b"),
    ],
)
def test_where_the_token_is(fields: list[tuple[bytes, bytes]], token: bytes | None) -> None:
    made = block(*fields)
    assert find_credential(made).token == token
    assert find_credential(made) is find_credential(made)  # from memory


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([(b"x-octelium-auth", b"t"), (b"cookie", b"octelium_auth=t")], Credential(b"t")),
        ([(b"authorization", b"Bearer t")], Credential(b"t")),
        ([(b"cookie", b"octelium_auth=t")], Credential(b"t", from_cookie=True)),
        (
            [(b"cookie", b"octelium_auth=t; a=1; octelium_auth = t ;octelium_auth=")],
            Credential(b"t", from_cookie=True),
        ),
        (
            [(b"cookie", b"octelium_auth=t; octelium_auth=u"), (b"authorization", b"Bearer t")],
            Credential(None, from_cookie=True, planted=True),
        ),
        (
            [(b"cookie", b"octelium_auth=t; octelium_auth=u"), (b"x-octelium-auth", b"t")],
            Credential(b"t"),
        ),
    ],
)
def test_what_is_known_of_a_token(fields: list[tuple[bytes, bytes]], expected: Credential) -> None:
    assert find_credential(block(*fields)) == expected


@pytest.mark.parametrize("name", [b"x-octelium-auth", b"authorization"])
def test_two_credentials_in_one_place(name: bytes) -> None:
    with pytest.raises(MessageError) as caught:
        find_credential(block((name, b"Bearer a"), (name, b"Bearer b")))
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("cookies", "left"),
    [
        (b"a=1; b=2", b"a=1; b=2"),
        (b"octelium_auth=t", b""),
        (b"octelium_auth=t; octelium_rt=r", b""),
        (b"a=1; octelium_auth=t; b=2", b"a=1; b=2"),
        (b"octelium_auth=t; a=1", b"a=1"),
        (b'a=1;octelium_rt=r;b="x y"', b'a=1;b="x y"'),
        (b"a=1; octelium_authx=t", b"a=1; octelium_authx=t"),
        (b"octelium_auth =t; a=1", b"a=1"),
        (b"\toctelium_auth\t=t; a=1", b"a=1"),
        (b"octelium_auth; a=1", b"a=1"),
        (b"a=octelium_auth=t", b"a=octelium_auth=t"),
        (b"a==; b=%3B; c", b"a==; b=%3B; c"),
    ],
)
def test_cutting_cookies_out(cookies: bytes, left: bytes) -> None:
    assert without_own_cookies(cookies) == left


@pytest.mark.parametrize(
    ("value", "own"),
    [
        (b"octelium_auth=x; Path=/", True),
        (b" octelium_rt =x", True),
        (b"octelium_auth", True),
        (b"=octelium_auth=x; Domain=example", True),
        (b" = octelium_rt =x", True),
        (b"==octelium_auth=x", True),
        (b"=sid=1", False),
        (b"sid=octelium_auth", False),
        (b"octelium_authx=1", False),
    ],
)
def test_planting_cookies(value: bytes, own: bool) -> None:
    assert sets_own_cookie(value) is own


_PIECE = st.sampled_from([b"a=1", b"octelium_auth=t", b" octelium_rt=r", b"", b" b=2", b"c", b"="])


@given(st.lists(_PIECE, max_size=6))
def test_nothing_of_ours_remains_and_nothing_else_goes(pieces: list[bytes]) -> None:
    left = without_own_cookies(b";".join(pieces))
    assert b"octelium_" not in left
    kept = [piece.strip() for piece in pieces if b"octelium" not in piece]
    assert [piece.strip() for piece in left.split(b";") if piece] == [p for p in kept if p]


@given(st.binary(max_size=80))
def test_any_cookie_gives_a_token_or_none(value: bytes) -> None:
    token = find_credential(block((b"cookie", value))).token
    assert token is None or (token and token in value)
    assert find_credential(block((b"cookie", without_own_cookies(value)))).token is None


def test_own_tokens_as_authorization() -> None:
    signer = Signer(str(uuid.uuid4()), Ed25519PrivateKey.generate())
    for token_type in TokenType:
        for end in (None, 1_900_000_000):
            token = signer.issue(token_type, str(uuid.uuid4()), str(uuid.uuid4()), end).encode()
            for value in (b"Bearer " + token, b"bearer  " + token, b"BEARER\t" + token):
                assert is_own_authorization(value), value
            assert not is_own_authorization(b"Basic " + token)
            assert not is_own_authorization(b"Bearer x." + token)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"Bearer",
        b"Bearer ghp_" + b"a" * 36,
        b"Bearer eyJhbGciOiJSUzI1NiJ9." + b"e" * 80 + b"." + b"s" * 86,
        b"Bearer " + b"b" * 180,
    ],
)
def test_tokens_of_others_as_authorization(value: bytes) -> None:
    assert not is_own_authorization(value)
