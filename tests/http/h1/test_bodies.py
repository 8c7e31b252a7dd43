from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.http.h1.bodies import (
    MAX_CHUNK_LINE,
    MAX_TRAILERS,
    Body,
    ChunkedBody,
    CloseBody,
    LengthBody,
)
from octelium.http.message import MessageError


def feed(body: Body, data: bytes, size: int = 1 << 20) -> tuple[bytes, bytes]:
    """Feed in pieces of `size`; the body, and what followed it."""
    result = b""
    for start in range(0, len(data), size):
        pieces, rest = body.feed(data[start : start + size])
        result += b"".join(pieces)
        if body.done:
            return result, rest + data[start + size :]
    return result, b""


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_a_body_of_known_length(size: int) -> None:
    body = LengthBody(5)
    assert feed(body, b"hello, more", size) == (b"hello", b", more")
    assert body.done
    body.finish()


def test_a_body_that_is_too_short() -> None:
    body = LengthBody(5)
    feed(body, b"hell")
    assert not body.done
    with pytest.raises(MessageError):
        body.finish()


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 100])
def test_chunks(size: int) -> None:
    body = ChunkedBody()
    data = b'5\r\nhello\r\nA;x=y ; z="q"\r\n0123456789\r\n0\r\nX-Sum: 1\r\nHost: evil\r\n\r\nnext'
    assert feed(body, data, size) == (b"hello0123456789", b"next")
    assert body.trailers == ((b"x-sum", b"1"),)
    body.finish()


@pytest.mark.parametrize(
    "data",
    [
        b"5\nhello\r\n0\r\n\r\n",
        b"+5\r\nhello\r\n0\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"1_0\r\n",
        b"-1\r\n",
        b" 5\r\nhello\r\n",
        b"5 \r\nhello\r\n",
        b"\r\nhello",
        b"5\r\nhelloo\r\n",
        b"5\r\nhello\n0\r\n\r\n",
        b"5\r\nhello0\r\n\r\n",
        b"5;a\x00b\r\nhello\r\n",
        b"5;a\rb\r\nhello\r\n",
        b"5;a\nb\r\nhello\r\n",
        b"G\r\n",
        b"ffffffffffffffff\r\n",
        b"0\r\nbad trailer\r\n\r\n",
        b"0\r\n x: y\r\n\r\n",
        b"0\r\nx: y\n\r\n\r\n",
        b"0\r\nx : y\r\n\r\n",
        b"0\r\n\nGET / HTTP/1.1\r\n\r\n",
        b"5" * (MAX_CHUNK_LINE + 3),
        b"5;" + b"x" * (MAX_CHUNK_LINE + 1) + b"\r\n",
        b"0\r\nx: " + b"y" * (MAX_TRAILERS + 1) + b"\r\n\r\n",
        b"1;" + b"x" * 1000 + b"\r\nab",
    ],
)
@pytest.mark.parametrize("size", [1, 3, 1 << 20])
def test_bad_chunks(data: bytes, size: int) -> None:
    with pytest.raises(MessageError):
        feed(ChunkedBody(), data, size)


def test_extensions_are_bounded_in_sum() -> None:
    body = ChunkedBody()
    with pytest.raises(MessageError, match="extensions"):
        feed(body, (b"1;" + b"x" * 900 + b"\r\na\r\n") * 100)


def test_chunks_that_end_early() -> None:
    body = ChunkedBody()
    feed(body, b"5\r\nhello\r\n")
    with pytest.raises(MessageError):
        body.finish()


def test_until_the_end_of_the_connection() -> None:
    body = CloseBody()
    assert feed(body, b"anything", 3) == (b"anything", b"")
    assert not body.done
    body.finish()
    assert body.done


@given(
    st.lists(st.binary(min_size=1, max_size=40), max_size=6),
    st.integers(1, 50),
    st.binary(max_size=20),
)
def test_chunking_is_undone(chunks: list[bytes], size: int, rest: bytes) -> None:
    wire = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    body = ChunkedBody()
    assert feed(body, wire + rest, size) == (b"".join(chunks), rest)


@given(st.binary(max_size=300), st.integers(1, 20))
def test_how_bytes_are_cut_does_not_matter(data: bytes, size: int) -> None:
    def outcome(size: int) -> object:
        body = ChunkedBody()
        try:
            return feed(body, data, size), body.done, body.trailers
        except MessageError:
            return "refused"

    whole, cut = outcome(1 << 20), outcome(size)
    # A refusal may come earlier or later, but never a different message.
    if isinstance(whole, tuple) and isinstance(cut, tuple):
        assert whole == cut
    elif isinstance(whole, tuple):
        assert not whole[1]
    elif isinstance(cut, tuple):
        assert not cut[1]
