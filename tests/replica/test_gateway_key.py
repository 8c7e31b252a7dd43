from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from octelium.replica.gateway_key import GatewayKeyError, GatewayKeys, keys_from, name_of
from octelium.schema.pb import core_v1_pb2 as core

KEY = st.binary(min_size=32, max_size=32)


def secret(data: bytes) -> core.Secret:
    made = core.Secret()
    made.metadata.name = name_of("abc")
    made.data.value_bytes = data
    return made


@given(KEY, st.lists(st.tuples(KEY, st.floats(0, 1e10)), max_size=3))
def test_keys_come_back_as_they_went_in(
    current: bytes, previous: list[tuple[bytes, float]]
) -> None:
    keys = GatewayKeys(current, tuple(previous))
    assert keys_from(secret(keys.to_bytes())) == keys


def test_the_public_key_is_wireguards() -> None:
    key = X25519PrivateKey.generate()
    public = base64.b64encode(key.public_key().public_bytes_raw()).decode()
    assert GatewayKeys(key.private_bytes_raw()).public == public


@given(st.binary(max_size=60))
def test_anything_else_is_no_key(data: bytes) -> None:
    with pytest.raises(GatewayKeyError, match="sys:gateway-key-abc"):
        keys_from(secret(data))


@pytest.mark.parametrize(
    "text",
    [
        '{"current": "QUJD", "previous": []}',
        '{"current": 5, "previous": []}',
        '{"current": "!", "previous": []}',
        '{"previous": []}',
        '{"current": "' + "A" * 43 + '=", "previous": [["QUJD", 1]]}',
        '{"current": "' + "A" * 43 + '=", "previous": [1]}',
        "[]",
    ],
)
def test_what_nearly_is_a_key(text: str) -> None:
    with pytest.raises(GatewayKeyError):
        keys_from(secret(text.encode()))


def test_former_keys_count_until_their_time() -> None:
    keys = GatewayKeys(b"c" * 32, ((b"b" * 32, 20.0), (b"a" * 32, 10.0)))
    assert keys.former(9.0) == (b"b" * 32, b"a" * 32)
    assert keys.former(10.0) == (b"b" * 32,)
    assert keys.former(20.0) == ()
