from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.http.h1.responses import binds_connection, parse_response, persists
from octelium.http.message import MessageError
from octelium.http.section import parse_section


def test_a_response() -> None:
    block = parse_section(b"Content-Length: 5\r\nX: y\r\n")
    head, framing = parse_response(b"HTTP/1.1 200 All right", block)
    assert (head.status, head.version, head.reason) == (200, 11, b"All right")
    assert (head.content_length, head.has_body) == (5, True)
    assert persists(head, framing)


def test_long_status_lines_are_not_remembered() -> None:
    block = parse_section(b"X: y\r\n")
    for number in range(10):
        line = b"HTTP/1.1 200 %d" % number + b"x" * 3000
        head, _ = parse_response(line, block)
        assert head.reason == line[13:]
    assert block.derived == {}
    parse_response(b"HTTP/1.1 200 OK", block)
    assert len(block.derived) == 1


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        (b"WWW-Authenticate: Negotiate\r\n", False),
        (b"WWW-Authenticate: Basic realm=a\r\nwww-authenticate: ntlm TlRM\r\n", False),
        (b'WWW-Authenticate: Basic realm="a", NEGOTIATE\r\n', False),
        (b"WWW-Authenticate: Basic realm=a\r\n", True),
    ],
)
def test_a_challenge_to_the_connection(section: bytes, expected: bool) -> None:
    head, framing = parse_response(b"HTTP/1.1 401 x", parse_section(section))
    assert persists(head, framing) is expected


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (b"X: y\r\nAuthorization: Negotiate YII=\r\n", True),
        (b"AUTHORIZATION: nTLM TlRM\r\n", True),
        (b"proxy-authorization: NTLM TlRM\r\n", True),
        (b"authorization: Basic Negotiate\r\n", False),
        (b"authorization: Nothing\r\nX: negotiate\r\n", False),
        (b"", False),
    ],
)
def test_a_login_of_the_connection(lines: bytes, expected: bool) -> None:
    assert binds_connection(lines) is expected


@pytest.mark.parametrize("status", [b"100", b"101", b"204", b"304"])
def test_statuses_without_a_body(status: bytes) -> None:
    block = parse_section(b"Content-Length: 5\r\n")
    head, _ = parse_response(b"HTTP/1.1 " + status + b" x", block)
    assert not head.has_body


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"HTTP/1.1",
        b"HTTP/1.1 ",
        b"HTTP/1.1 20 OK",
        b"HTTP/1.1 2000 OK",
        b"HTTP/1.1 600 OK",
        b"HTTP/1.1 099 OK",
        b"HTTP/2 200 OK",
        b"HTTP/1.1  200 OK",
        b"HTTP/1.1 200OK",
        b"HTTP/1.1 200 O\x00K",
        b"ICY 200 OK",
        b"HTTP/1.1 2_0 OK",
        b"HTTP/1.1 200 " + b"x" * 5000,
    ],
)
def test_a_status_line_that_is_none(line: bytes) -> None:
    with pytest.raises(MessageError):
        parse_response(line, parse_section(b""))


@pytest.mark.parametrize(
    "section",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: 5\r\nContent-Length: 5\r\n",
        b"Content-Length: +5\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    ],
)
def test_ambiguous_framing(section: bytes) -> None:
    with pytest.raises(MessageError):
        parse_response(b"HTTP/1.1 200 OK", parse_section(section))


def test_chunks_in_http_1_0() -> None:
    with pytest.raises(MessageError):
        parse_response(b"HTTP/1.0 200 OK", parse_section(b"Transfer-Encoding: chunked\r\n"))


@pytest.mark.parametrize(
    ("version", "section", "stays"),
    [
        (b"1.1", b"", True),
        (b"1.1", b"Connection: close\r\n", False),
        (b"1.0", b"", False),
        (b"1.0", b"Connection: keep-alive\r\n", True),
    ],
)
def test_keeping_the_connection(version: bytes, section: bytes, stays: bool) -> None:
    head, framing = parse_response(b"HTTP/" + version + b" 200 OK", parse_section(section))
    assert persists(head, framing) is stays


@given(st.binary(max_size=100), st.binary(max_size=200))
def test_any_bytes_give_a_head_or_a_refusal(line: bytes, section: bytes) -> None:
    try:
        head, _ = parse_response(line, parse_section(section))
    except MessageError:
        return
    assert 100 <= head.status <= 599
