from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.http.message import EMPTY_BLOCK, MessageError
from octelium.http.section import MAX_FIELDS, SectionCache, combine_cookies, parse_section


def test_fields_in_order_with_both_spellings() -> None:
    block = parse_section(b"X-One: 1\r\nx-two:\t 2 \r\nX-ONE:\r\n")
    assert block.fields == ((b"x-one", b"1"), (b"x-two", b"2"), (b"x-one", b""))
    assert list(block.spellings) == [b"X-One", b"x-two", b"X-ONE"]
    assert list(block.names) == [b"x-one", b"x-two", b"x-one"]


def test_bytes_above_ascii_stay() -> None:
    assert parse_section(b"X: \xe4\xff\r\n").first(b"x") == b"\xe4\xff"


@pytest.mark.parametrize(
    "raw",
    [
        b"X: y",
        b"X: y\n",
        b"X : y\r\n",
        b" X: y\r\n",
        b"X: y\r\n z\r\n",
        b"X: y\r\n\tz\r\n",
        b": y\r\n",
        b":X: y\r\n",
        b"A: b\r\n:X: y\r\n",
        b"X\r\n",
        b"\r\n",
        b"X: y\rz\r\n",
        b"X: y\nz\r\n",
        b"X: \x00\r\n",
        b"X: \x0b\r\n",
        b"X: \x7f\r\n",
        b"X\x00: y\r\n",
        b"X\xe4: y\r\n",
        b"X(: y\r\n",
        b"X[]: y\r\n",
    ],
)
def test_malformed_sections(raw: bytes) -> None:
    with pytest.raises(MessageError) as caught:
        parse_section(raw)
    assert caught.value.status == 400
    assert "y" not in str(caught.value).split()


def test_too_many_fields() -> None:
    parse_section(b"X: y\r\n" * MAX_FIELDS)
    with pytest.raises(MessageError) as caught:
        parse_section(b"X: y\r\n" * (MAX_FIELDS + 1))
    assert caught.value.status == 431


def test_several_cookie_fields_are_one() -> None:
    block = parse_section(b"Cookie: a=1\r\nX: y\r\ncookie: b=2\r\nCOOKIE: c=3\r\n")
    assert block.fields == ((b"cookie", b"a=1; b=2; c=3"), (b"x", b"y"))
    assert block.spellings[0] == b"Cookie"
    assert not block.repeated
    fields = [(b"x", b"y")]
    assert combine_cookies(fields) is fields


def test_the_same_bytes_are_parsed_once() -> None:
    cache = SectionCache()
    blocks = [cache.get(b"X: y\r\n") for _ in range(4)]
    assert blocks[0] is not blocks[1]  # kept when it comes for the second time
    assert blocks[1] is blocks[2] is blocks[3]
    assert cache.get(b"X: z\r\n") is not blocks[1]
    assert cache.misses == 3
    assert cache.get(b"") is EMPTY_BLOCK


def test_failures_are_not_remembered() -> None:
    cache = SectionCache()
    for _ in range(3):
        with pytest.raises(MessageError):
            cache.get(b"X : y\r\n")
    assert len(cache) == 0


def test_what_is_not_asked_for_is_forgotten() -> None:
    cache = SectionCache()
    for _ in range(2):
        kept, dropped = cache.get(b"X: kept\r\n"), cache.get(b"X: dropped\r\n")
    for _ in range(3):
        cache.age()
        assert cache.get(b"X: kept\r\n") is kept
    assert len(cache) == 1
    assert cache.get(b"X: dropped\r\n") is not dropped


def test_number_and_bytes_are_bounded() -> None:
    cache = SectionCache(max_entries=10, max_bytes=10_000, max_section=500)
    for number in range(100):
        for _ in range(2):
            cache.get(b"X: %d\r\n" % number)
        assert 0 < len(cache) <= 20
    for number in range(100):
        for _ in range(2):
            cache.get(b"X: %0400d\r\n" % number)
        assert 0 < len(cache) <= 50
    for _ in range(3):
        cache.get(b"X: " + b"y" * 600 + b"\r\n")
    before = cache.misses
    cache.get(b"X: " + b"y" * 600 + b"\r\n")
    assert cache.misses == before + 1


@given(st.binary(max_size=400))
def test_any_bytes_give_fields_or_a_refusal(raw: bytes) -> None:
    try:
        block = parse_section(raw)
    except MessageError:
        return
    for name, value in block.fields:
        assert name == name.lower()
        assert name
        assert not set(value) & {0, 10, 13}
        assert value == value.strip(b" \t")
    if len(block.fields) == raw.count(b"\r\n"):
        pairs = zip(block.spellings, block.values, strict=True)
        again = b"".join(b"%b:%b\r\n" % field for field in pairs)
        assert parse_section(again).fields == block.fields
