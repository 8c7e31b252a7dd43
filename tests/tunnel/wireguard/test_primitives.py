from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from octelium.tunnel.wireguard.errors import HandshakeError
from octelium.tunnel.wireguard.primitives import (
    derive,
    digest,
    exchange,
    following,
    hchacha20,
    mac,
    same,
    seal,
    tai64n,
    unseal,
    xseal,
    xunseal,
)

hexed = bytes.fromhex


def hmac_blake2s(key: bytes, message: bytes) -> bytes:
    """HMAC by RFC 2104, word for word; BLAKE2s has blocks of 64 bytes."""
    if len(key) > 64:
        key = hashlib.blake2s(key).digest()
    key = key.ljust(64, b"\0")
    inner = hashlib.blake2s(bytes(one ^ 0x36 for one in key) + message).digest()
    return hashlib.blake2s(bytes(one ^ 0x5C for one in key) + inner).digest()


def test_blake2s_of_rfc_7693_appendix_b() -> None:
    wanted = hexed("508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982")
    assert digest(b"abc") == digest(b"a", b"", b"bc") == wanted


def test_keyed_blake2s_is_no_hmac() -> None:
    key = bytes(range(32))
    assert len(mac(key, b"x")) == 16
    assert mac(key, b"x") == hashlib.blake2s(b"x", key=key, digest_size=16).digest()
    assert mac(key, b"x") != hmac_blake2s(key, b"x")[:16]


def test_x25519_of_rfc_7748_section_5_2() -> None:
    scalar = hexed("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4")
    point = hexed("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c")
    wanted = hexed("c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552")
    assert exchange(X25519PrivateKey.from_private_bytes(scalar), point) == wanted


@pytest.mark.parametrize(
    "point",
    [
        "00" * 32,
        "01" + "00" * 31,
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ],
)
def test_points_of_small_order_are_no_secret(point: str) -> None:
    with pytest.raises(HandshakeError, match="small order"):
        exchange(X25519PrivateKey.generate(), hexed(point))


def test_keys_are_derived_as_by_the_other_implementations() -> None:
    assert derive(b"test-key", b"test-input", 3) == (
        hexed("6f0e5ad38daba1bea8a0d213688736f19763239305e0f58aba697f9ffc41c633"),
        hexed("df1194df20802a4fe594cde27e92991c8cae66c366e8106aaa937a55fa371e8a"),
        hexed("fac6e2745a325f5dc5d11a5b165aad08b0ada28e7b4e666b7c077934a4d76c24"),
    )


@given(st.binary(max_size=100), st.binary(max_size=100), st.integers(1, 3))
def test_derivation_is_hkdf_of_rfc_5869(key: bytes, material: bytes, count: int) -> None:
    secret = hmac_blake2s(key, material)
    wanted: list[bytes] = []
    for number in range(count):
        wanted.append(hmac_blake2s(secret, (wanted or [b""])[-1] + bytes([number + 1])))
    assert derive(key, material, count) == tuple(wanted)


def test_hchacha20_of_the_draft_section_2_2_1() -> None:
    nonce = hexed("000000090000004a0000000031415927")
    wanted = "82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc"
    assert hchacha20(bytes(range(32)), nonce).hex() == wanted


def test_xchacha20_poly1305_of_the_draft_appendix_a_3_1() -> None:
    key, nonce = bytes(range(0x80, 0xA0)), bytes(range(0x40, 0x58))
    plain = (
        b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the "
        b"future, sunscreen would be it."
    )
    data = hexed("50515253c0c1c2c3c4c5c6c7")
    sealed = hexed(
        "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f"
        "4eda7e39ae64c6708c54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f"
        "76b2383565d3fff921f9664c97637da9768812f615c68b13b52ec0875924c1c7987947deafd8780acf49"
    )
    assert xseal(key, nonce, plain, data) == sealed
    assert xunseal(key, nonce, sealed, data) == plain
    for wrong in (sealed[:-1] + b"\0", b"", bytes(32)):
        with pytest.raises(HandshakeError):
            xunseal(key, nonce, wrong, data)


@given(st.binary(max_size=64), st.binary(max_size=64))
def test_sealed_parts_open_with_their_key_and_data_only(plain: bytes, data: bytes) -> None:
    key = bytes(range(32))
    sealed = seal(key, plain, data)
    assert unseal(key, sealed, data) == plain
    for wrong in ((bytes(32), sealed, data), (key, sealed[:-1], data), (key, sealed, data + b"x")):
        with pytest.raises(HandshakeError):
            unseal(*wrong)


@given(st.integers(0, 2**62), st.integers(0, 2**62))
def test_labels_are_in_the_order_of_times(one: int, other: int) -> None:
    first, second = sorted((one, other))
    assert tai64n(first) <= tai64n(second)
    assert len(tai64n(first)) == 12
    if second - first > 1 << 24:
        assert tai64n(first) < tai64n(second)


@given(st.integers(0, 2**62), st.integers(1, 80))
def test_following_labels_are_greater_and_well_formed(time: int, times: int) -> None:
    label = tai64n(time)
    for _ in range(times):
        later = following(label)
        assert later > label
        assert int.from_bytes(later[8:], "big") < 10**9
        label = later


def test_tai_is_ten_seconds_ahead_of_1970() -> None:
    assert tai64n(0).hex() == "400000000000000a00000000"
    assert tai64n(1_700_000_000 * 10**9 + 5).hex() == "400000006553f10a00000000"


def test_secrets_are_compared_as_a_whole() -> None:
    assert same(b"abc", b"abc")
    assert not same(b"abc", b"abd")
    assert not same(b"abc", b"ab")
