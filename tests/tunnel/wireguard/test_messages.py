from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.tunnel.wireguard.errors import HandshakeError
from octelium.tunnel.wireguard.messages import (
    COOKIE,
    COOKIE_SIZE,
    DATA,
    DATA_MINIMUM,
    INITIATION,
    INITIATION_SIZE,
    RESPONSE,
    RESPONSE_SIZE,
    SIZES,
    CookieReply,
    Initiation,
    Response,
    pack_data_head,
    pack_nonce,
    sender_of,
    unpack_data_head,
)

if TYPE_CHECKING:
    from collections.abc import Callable

INDEX = st.integers(0, 2**32 - 1)
PARSERS: tuple[Callable[[bytes], object], ...] = (
    Initiation.parse,
    Response.parse,
    CookieReply.parse,
)


def sized(size: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=size, max_size=size)


def test_sizes_are_the_papers() -> None:
    assert (INITIATION_SIZE, RESPONSE_SIZE, COOKIE_SIZE, DATA_MINIMUM) == (148, 92, 64, 32)


@given(INDEX, sized(32), sized(48), sized(28))
def test_initiations_are_read_as_they_were_written(
    index: int, ephemeral: bytes, static: bytes, timestamp: bytes
) -> None:
    wanted = Initiation(index, ephemeral, static, timestamp)
    message = wanted.pack() + bytes(32)
    assert Initiation.parse(message) == wanted
    assert message[:4] == b"\x01\0\0\0"
    assert sender_of(message) == index


@given(INDEX, INDEX, sized(32), sized(16))
def test_responses_are_read_as_they_were_written(
    sender: int, receiver: int, ephemeral: bytes, empty: bytes
) -> None:
    wanted = Response(sender, receiver, ephemeral, empty)
    message = wanted.pack() + bytes(32)
    assert Response.parse(message) == wanted
    assert sender_of(message) == sender


@given(INDEX, sized(24), sized(32))
def test_cookie_replies_are_read_as_they_were_written(
    index: int, nonce: bytes, cookie: bytes
) -> None:
    wanted = CookieReply(index, nonce, cookie)
    assert CookieReply.parse(wanted.pack()) == wanted


def test_data_heads_are_little_endian() -> None:
    head = pack_data_head(DATA, 0x01020304, 5)
    assert head == bytes.fromhex("04000000 04030201 0500000000000000")
    assert unpack_data_head(head + b"more") == (DATA, 0x01020304, 5)
    assert pack_nonce(2**64 - 1) == bytes(4) + b"\xff" * 8


@given(
    st.sampled_from([0, 1, 2, 3, 4, 255]),
    st.sampled_from([b"\0\0\0", b"\0\0\1"]),
    st.sampled_from([0, 28, 59, 60, 61, 87, 88, 143, 144, 145]),
)
def test_no_parser_takes_what_is_another_ones(kind: int, reserved: bytes, size: int) -> None:
    message = bytes([kind]) + reserved + bytes(size)
    for wanted, parse in enumerate(PARSERS, 1):
        if (kind, reserved, len(message)) == (wanted, b"\0\0\0", SIZES[wanted]):
            parse(message)
        else:
            with pytest.raises(HandshakeError):
                parse(message)


@pytest.mark.parametrize(
    ("kind", "size", "parse"),
    [
        (INITIATION, INITIATION_SIZE, Initiation.parse),
        (RESPONSE, RESPONSE_SIZE, Response.parse),
        (COOKIE, COOKIE_SIZE, CookieReply.parse),
    ],
)
def test_type_reserved_bytes_and_size_must_be_right(
    kind: int, size: int, parse: Callable[[bytes], object]
) -> None:
    good = bytes([kind]) + bytes(size - 1)
    parse(good)
    for wrong in (good[:-1], good + b"\0", bytes([kind, 1]) + good[2:], b"\x07" + good[1:], b""):
        with pytest.raises(HandshakeError, match="not a message of type"):
            parse(wrong)
