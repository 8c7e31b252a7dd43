from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.http.message import MessageError
from octelium.http.syntax import elements, is_token, is_value, parse_host, parse_length


@pytest.mark.parametrize(("text", "number"), [(b"0", 0), (b"15", 15), (b"00015", 15)])
def test_lengths(text: bytes, number: int) -> None:
    assert parse_length(text) == number


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"+5",
        b"-5",
        b"0x5",
        b"1_0",
        b"5 ",
        b" 5",
        b"5\n",
        b"5,5",
        b"\xb2",
        "٣".encode(),
        b"9" * 19,
    ],
)
def test_what_is_no_length(text: bytes) -> None:
    with pytest.raises(MessageError):
        parse_length(text)


@pytest.mark.parametrize(
    ("text", "host"),
    [
        (b"A.Example", b"a.example"),
        (b"a.example:443", b"a.example"),
        (b"192.0.2.1:8080", b"192.0.2.1"),
        (b"[2001:DB8::1]:443", b"[2001:db8::1]"),
        (b"a_b-c", b"a_b-c"),
        (b"a.example.", b"a.example."),
    ],
)
def test_hosts(text: bytes, host: bytes) -> None:
    assert parse_host(text) == host


@pytest.mark.parametrize(
    "text",
    [b"", b" a", b"a ", b"a:", b"a:b", b"a:65536", b"a:-1", b"a/b", b"a?b", b"a@b", b"a,b", b"a%62",
     b"[::1", b"::1", b"a\x00", b"a\n", b".", b"-a", b"\xc3\xa4"],
)  # fmt: skip
def test_what_is_no_host(text: bytes) -> None:
    with pytest.raises(MessageError):
        parse_host(text)


def test_elements() -> None:
    assert elements(b"Close, ,\tkeep-alive ,") == [b"close", b"keep-alive"]
    assert elements(b"") == []


def test_tokens_and_values() -> None:
    assert is_token(b"x-y_z")
    assert not is_token(b"x y")
    assert not is_token(b"")
    assert is_value(b"")
    assert is_value(b"a b\tc")
    for bad in (b" a", b"a ", b"a\r\nb", b"a\nb", b"a\x00", b"\x7f"):
        assert not is_value(bad)


@given(st.binary(max_size=30))
def test_a_length_is_digits_and_nothing_else(text: bytes) -> None:
    try:
        number = parse_length(text)
    except MessageError:
        return
    assert str(number).encode() == (text.lstrip(b"0") or b"0")
