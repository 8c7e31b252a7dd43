"""Against the sum of RFC 1071 written as a loop."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from octelium.tunnel.packets.checksums import checksum, finish, pseudo_sum, word_sum


def naive(data: bytes) -> int:
    """RFC 1071, section 4.1: the field's value over `data`."""
    total = 0
    for at in range(0, len(data), 2):
        total += data[at] << 8 | (data[at + 1] if at + 1 < len(data) else 0)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


@given(st.binary(min_size=1, max_size=300).filter(any))
def test_short_data(data: bytes) -> None:
    assert checksum(word_sum(data)) == naive(data)
    assert checksum(word_sum(memoryview(data))) == naive(data)


@given(
    st.integers(1, 4000) | st.sampled_from((20_001, 65_575)),
    st.integers(0, 2**32 - 1),
    st.sampled_from((0, 255)),
)
def test_data_of_all_lengths(size: int, seed: int, fill: int) -> None:
    data = bytes([1]) + random.Random(seed).randbytes(size)
    assert checksum(word_sum(data)) == naive(data)
    sparse = bytes([1]) + bytes([fill]) * size
    assert checksum(word_sum(sparse)) == naive(sparse)


def test_the_example_of_rfc_1071() -> None:
    """Section 3: 0001 f203 f4f5 f6f7 sum to ddf2."""
    assert word_sum(bytes.fromhex("0001f203f4f5f6f7")) == 0xDDF2


def test_a_finished_checksum_is_never_zero() -> None:
    """RFC 768: zero would mean that there is none."""
    packet = bytearray(b"\0\0\xff\xff")
    finish(packet, 0, 0)
    assert packet == b"\xff\xff\xff\xff"


def test_sums_of_nothing_and_of_ones() -> None:
    assert word_sum(b"") == word_sum(b"\xff\xff") == word_sum(bytes(4)) == 0
    assert checksum(0) == checksum(65535) == 0
    assert checksum(1) == 0xFFFE


@given(st.binary(min_size=8, max_size=8), st.integers(0, 255), st.integers(0, 2**32 - 1))
def test_pseudo_headers(addresses: bytes, protocol: int, length: int) -> None:
    whole = addresses + bytes(3) + bytes([protocol]) + length.to_bytes(4, "big")
    assert pseudo_sum(addresses, protocol, length) % 65535 == word_sum(whole)


@given(st.binary(min_size=10, max_size=2000).filter(any), st.integers(0, 8))
def test_a_finished_checksum_fits(data: bytes, start: int) -> None:
    packet = bytearray(data)
    finish(packet, start, 0)
    field = int.from_bytes(data[start : start + 2], "big")
    assert (word_sum(packet[start:]) + field) % 65535 == 0
    assert packet[start : start + 2] != b"\0\0"
