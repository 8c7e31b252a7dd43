from __future__ import annotations

import pytest
from hpack.huffman import HuffmanEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH
from hpack.huffman_table import decode_huffman
from hypothesis import given
from hypothesis import strategies as st

from octelium.http.h2 import huffman

ENCODER = HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH)


@given(st.binary(max_size=100))
def test_round_trip(text: bytes) -> None:
    assert huffman.decode(ENCODER.encode(text)) == text


@given(st.binary(max_size=40))
def test_same_as_the_reference_on_any_bytes(data: bytes) -> None:
    try:
        expected = decode_huffman(data)
    except Exception:
        with pytest.raises(huffman.HuffmanError):
            huffman.decode(data)
    else:
        assert huffman.decode(data) == expected


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xff\xff\xff",  # EOS within the text
        b"\xff",  # eight bits of padding
        b"\x00",  # the rest of a code, padded with zeroes
    ],
)
def test_bad_codes_and_padding_are_refused(data: bytes) -> None:
    with pytest.raises(huffman.HuffmanError):
        huffman.decode(data)
