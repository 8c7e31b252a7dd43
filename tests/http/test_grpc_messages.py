from __future__ import annotations

import itertools
from typing import Any, Self
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.http import grpc_messages
from octelium.http.grpc_messages import (
    CompressedError,
    Splitter,
    TooLargeError,
    framed,
    is_media_type,
    seconds_of,
    status_fields,
)


@given(st.lists(st.binary(max_size=40), max_size=8), st.lists(st.integers(0, 300), max_size=12))
def test_messages_are_the_same_however_they_are_cut(messages: list[bytes], cuts: list[int]) -> None:
    body = b"".join(map(framed, messages))
    places = sorted({min(cut, len(body)) for cut in cuts} | {0, len(body)})
    splitter, found = Splitter(40), []
    for start, stop in itertools.pairwise(places):
        found += splitter.feed(body[start:stop])
        assert splitter.waiting == stop - sum(5 + len(message) for message in found)
    assert found == messages
    assert not splitter.waiting


class Counted(bytearray):
    """Counts the bytes that are copied into it, out of it and within it."""

    copied = 0

    def __init__(self, data: bytes | bytearray = b"") -> None:
        super().__init__(data)
        Counted.copied += len(data)

    def __iadd__(self, data: Any) -> Self:
        Counted.copied += len(data)
        return super().__iadd__(data)

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        if isinstance(key, slice):
            Counted.copied += len(found)
        return found

    def __delitem__(self, key: Any) -> None:
        super().__delitem__(key)
        Counted.copied += len(self)


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 100, 20_000])
@pytest.mark.parametrize("sizes", [[60_000], [0] * 2000, [1] * 2000, [5, 30_000, 0, 30_000, 9]])
def test_the_work_is_linear(monkeypatch: pytest.MonkeyPatch, piece: int, sizes: list[int]) -> None:
    """However small the pieces are in which a message comes."""
    monkeypatch.setattr(grpc_messages, "bytearray", Counted, raising=False)
    monkeypatch.setattr(Counted, "copied", 0)
    messages = [bytes([number & 0xFF]) * size for number, size in enumerate(sizes)]
    body = b"".join(map(framed, messages))
    splitter, found = Splitter(60_000), []
    for start in range(0, len(body), piece):
        found += splitter.feed(body[start : start + piece])
    assert found == messages
    assert Counted.copied <= 4 * len(body)


@given(st.binary(max_size=60))
def test_any_bytes_are_messages_or_an_error(data: bytes) -> None:
    splitter = Splitter(16)
    try:
        found = splitter.feed(data)
    except (CompressedError, TooLargeError):
        return
    assert data.startswith(b"".join(map(framed, found)))
    assert all(len(message) <= 16 for message in found)


def test_what_is_too_large_is_known_by_its_prefix() -> None:
    splitter = Splitter(10)
    assert splitter.feed(framed(b"0123456789")) == [b"0123456789"]
    with pytest.raises(TooLargeError) as caught:
        splitter.feed(b"\0\xff\xff\xff\xff")
    assert caught.value.size == 0xFFFFFFFF


@pytest.mark.parametrize("flag", [1, 2, 0x80, 0xFF])
def test_a_flag_is_refused_before_the_length_is_looked_at(flag: int) -> None:
    with pytest.raises(CompressedError):
        Splitter(10).feed(bytes([flag]) + b"\xff" * 4)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"1H", 3600.0),
        (b"2M", 120.0),
        (b"99999999S", 99999999.0),
        (b"250m", 0.25),
        (b"5u", 5e-6),
        (b"7n", 7e-9),
        (b"0S", 0.0),
        (b"100000000S", None),
        (b"S", None),
        (b"-1S", None),
        (b"1s", None),
        (b"1.5S", None),
        (b" 1S", None),
        (b"", None),
        (None, None),
    ],
)
def test_timeouts(value: bytes | None, expected: float | None) -> None:
    assert seconds_of(value) == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"application/grpc", True),
        (b"application/grpc+proto", True),
        (b"Application/GRPC; charset=utf-8", True),
        (b"application/grpc-web", False),
        (b"application/grpc+json", False),
        (b"application/json", False),
        (b"", False),
        (None, False),
    ],
)
def test_media_types(value: bytes | None, expected: bool) -> None:
    assert is_media_type(value) is expected


def test_a_status_without_text() -> None:
    assert status_fields(0, "") == ((b"grpc-status", b"0"),)


@given(st.text(max_size=60).filter(bool))
def test_texts_travel_as_printable_ascii(text: str) -> None:
    (_, code), (name, coded) = status_fields(3, text)
    assert (code, name) == (b"3", b"grpc-message")
    assert all(0x20 <= byte <= 0x7E for byte in coded)
    assert unquote_to_bytes(coded) == text.encode("utf-8", "replace")
