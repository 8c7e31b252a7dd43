from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from octelium.visibility.batch import (
    LONGEST_TARGET,
    LONGEST_TEXT,
    Span,
    decode,
    decode_header,
    encode,
    entry_id,
    name_of,
    new_prefix,
    number_at,
    split_id,
)
from octelium.visibility.logged import LoggedRequest
from octelium.visibility.record import AuditSubject
from tests.visibility.samples import record


def test_a_batch_keeps_every_record_and_shares_what_repeats() -> None:
    other = AuditSubject(mode="HTTP", allowed=False, authenticated=False, reason={})
    batch = decode(encode("abcdefgh", [record(1), record(2), record(3, other, None)]))
    assert [row.number for row in batch.rows] == [1, 2, 3]
    assert len(batch.subjects) == 2
    assert batch.texts.count(b"curl") == 1
    assert batch.subjects[batch.rows[2].subject]["allowed"] is False
    agents = [batch.texts[batch.shapes[row.shape].user_agent] for row in batch.rows]
    assert agents == [b"curl", b"curl", b""]
    assert len(batch.shapes) == 2


def test_the_header_is_enough_to_keep_a_batch() -> None:
    records = [record(7), record(8), record(9)]
    records[1].started = 90.0
    header = decode_header(encode("abcdefgh", records))
    assert header.prefix == "abcdefgh"
    assert header.span == Span(7, 9, 90.0, 100.0)
    assert decode_header(encode("abcdefgh", [])).span is None


@given(st.integers(min_value=0, max_value=36**8 - 1))
def test_ids_have_the_official_shape_and_can_be_split(number: int) -> None:
    prefix = new_prefix()
    entry = entry_id(prefix, number)
    assert [len(part) for part in entry.split("-")] == [4, 4, 2, 4, 4]
    name, place = split_id(entry)
    assert name == name_of(prefix) == prefix[:8]
    assert number_at(prefix, place) == number


def test_ids_do_not_count() -> None:
    prefix = new_prefix()
    places = [split_id(entry_id(prefix, number))[1] for number in range(1, 101)]
    assert len(set(places)) == 100
    assert places != sorted(places)
    # Nor do they show the key.
    assert prefix[8:] not in "".join(entry_id(prefix, number) for number in range(100))
    assert split_id(entry_id("abcdefgh", 7)) == ("abcdefgh", 7)


@given(st.text(max_size=30))
def test_other_texts_are_no_ids(text: str) -> None:
    try:
        prefix, number = split_id(text)
    except ValueError:
        return
    assert entry_id(prefix, number) == text


def test_an_id_has_an_end() -> None:
    with pytest.raises(ValueError, match="more entries"):
        entry_id("abcdefgh", 36**8)
    with pytest.raises(ValueError, match="more entries"):
        entry_id(new_prefix(), 36**8)


@given(st.binary(max_size=200))
@example(b"\x93\x00\xa7\x00\x00\x00\x00\x00\x00\x80")  # a text that is no UTF-8
def test_damaged_batches_are_refused(data: bytes) -> None:
    for read in (decode, decode_header):
        with pytest.raises(ValueError, match="batch of log records"):
            read(data)


def test_an_unknown_format_is_refused() -> None:
    data = bytearray(encode("abcdefgh", []))
    data[1] = 99
    with pytest.raises(ValueError, match="unknown format 99"):
        decode(bytes(data))


def test_long_texts_are_cut() -> None:
    made = record(1, agent=b"a" * 30_000)
    made.target = b"/" * 30_000
    batch = decode(encode("abcdefgh", [made]))
    assert len(batch.rows[0].target) == LONGEST_TARGET
    assert max(map(len, batch.texts)) == LONGEST_TEXT


def test_less_is_kept_of_requests_of_nobody() -> None:
    nobody = AuditSubject("HTTP", False, False, {})
    made = record(1, nobody, agent=b"a" * 5000)
    made.target = b"/" * 5000
    batch = decode(encode("aaaaaaaa", [made]))
    assert (len(batch.rows[0].target), max(map(len, batch.texts))) == (512, 256)
    assert batch.span is not None
    assert batch.span.anonymous
    assert LoggedRequest(batch, batch.rows[0]).cut
