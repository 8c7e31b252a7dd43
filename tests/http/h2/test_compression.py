from __future__ import annotations

import hpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octelium.http.h2.compression import (
    NO_TABLE,
    Decoder,
    encode,
    encode_status,
    encode_target,
    encoded,
)
from octelium.http.h2.frames import ErrorCode, H2ConnectionError
from octelium.http.message import Field, FieldBlock
from tests.peers.timing import within

NAMES = st.sampled_from([b":path", b":method", b"cookie", b"accept", b"x-test", b"user-agent", b""])
VALUES = st.one_of(st.sampled_from([b"GET", b"/", b"a" * 300, b""]), st.binary(max_size=40))
LISTS = st.lists(st.tuples(NAMES, VALUES), max_size=12)


@given(st.lists(st.tuples(LISTS, st.booleans(), st.sampled_from([None, 0, 100, 4096])), max_size=8))
@settings(deadline=None)
def test_reads_what_the_hpack_package_writes(
    blocks: list[tuple[list[Field], bool, int | None]],
) -> None:
    encoder = hpack.Encoder()
    decoder = Decoder(1 << 20)
    for fields, huffman, size in blocks:
        if size is not None:
            encoder.header_table_size = size
        assert decoder.decode(encoder.encode(fields, huffman=huffman)) == fields


@given(LISTS, st.booleans())
def test_the_hpack_package_reads_what_is_written(fields: list[Field], never: bool) -> None:
    decoder = hpack.Decoder()
    for _ in range(2):
        found = decoder.decode(NO_TABLE + encode(fields, never_indexed=never), raw=True)
        assert [tuple(field) for field in found] == fields
    assert not decoder.header_table.dynamic_entries


def test_credentials_are_never_to_be_indexed() -> None:
    fields = [(b"set-cookie", b"secret"), (b"content-type", b"text/plain")]
    plain = hpack.Decoder().decode(encode(fields), raw=True)
    assert [field.indexable for field in plain] == [False, True]
    upstream = hpack.Decoder().decode(encode(fields, never_indexed=True), raw=True)
    assert [field.indexable for field in upstream] == [False, False]


@pytest.mark.parametrize("status", [100, 200, 204, 304, 404, 418, 599, 999])
def test_status(status: int) -> None:
    ((name, value),) = hpack.Decoder().decode(encode_status(status), raw=True)
    assert (name, value) == (b":status", b"%d" % status)


@pytest.mark.parametrize("target", [b"/", b"/" + b"a" * 126, b"/" + b"a" * 1000])
def test_target(target: bytes) -> None:
    assert Decoder(4096).decode(encode_target(target)) == [(b":path", target)]


def test_a_block_is_encoded_once() -> None:
    block = FieldBlock(((b"server", b"octelium"),))
    assert encoded(block) is encoded(block)


def test_the_generation_rises_with_the_table_only() -> None:
    decoder = Decoder(1000)
    encoder = hpack.Encoder()
    first = encoder.encode([(b"x-a", b"1")])
    decoder.decode(first)
    assert decoder.generation == 1
    decoder.decode(encoder.encode([(b"x-a", b"1")]))
    decoder.decode(encode([(b"x-b", b"2")]))
    assert decoder.generation == 1
    decoder.decode(b"\x20")
    assert decoder.generation == 2


def test_an_oversized_list_is_reported_and_the_table_kept() -> None:
    decoder = Decoder(200)
    encoder = hpack.Encoder()
    assert decoder.decode(encoder.encode([(b"x-%d" % n, b"v" * 20) for n in range(9)])) is None
    assert decoder.decode(encoder.encode([(b"x-7", b"v" * 20)])) == [(b"x-7", b"v" * 20)]


def test_the_size_counts_as_the_rfc_says() -> None:
    fields = [(b"n", b"v" * 9)]
    assert Decoder(42).decode(encode(fields)) == fields
    assert Decoder(41).decode(encode(fields)) is None


def test_a_bomb_costs_little() -> None:
    decoder = Decoder(32 << 10)
    decoder.decode(hpack.Encoder().encode([(b"x", b"v" * 4000)], huffman=False))
    bomb = b"\xbe" * (40 << 10)

    with within(1):
        assert decoder.decode(bomb) is None


@pytest.mark.parametrize(
    "block",
    [
        b"\x80",  # index 0
        b"\xbe",  # nothing at 62
        b"\xff\xff\xff\xff\xff\xff\x0f",  # an index of many bytes
        b"\x40\x05ab",  # cut off
        b"\x00\x81\x00\x00",  # broken Huffman code
        b"\x7f",  # cut off within an integer
        b"\x3f\xe2\x1f",  # a table of 4097 bytes
        b"\x82\x20",  # a table size after a field
        b"\x20\x20\x20",  # a third table size
        b"\x40",
    ],
)
def test_broken_blocks(block: bytes) -> None:
    with pytest.raises(H2ConnectionError) as raised:
        Decoder(1000).decode(block)
    assert raised.value.code is ErrorCode.COMPRESSION_ERROR


@given(st.lists(st.binary(max_size=60), max_size=4))
def test_any_bytes_decode_or_are_refused_as_by_the_hpack_package(blocks: list[bytes]) -> None:
    decoder, reference = Decoder(1 << 20), hpack.Decoder(1 << 20)
    for block in blocks:
        try:
            found = decoder.decode(block)
        except H2ConnectionError:
            return
        assert found == [tuple(field) for field in reference.decode(block, raw=True)]
