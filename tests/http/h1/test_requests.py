from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.http.h1.requests import frame, parse_request
from octelium.http.message import MessageError, RequestHead
from octelium.http.section import parse_section


def parse(line: bytes, section: bytes = b"Host: a.example\r\n") -> RequestHead:
    return parse_request(line, parse_section(section), b"https")


def test_a_plain_request() -> None:
    head = parse(b"GET /a?b=c HTTP/1.1", b"Host: A.Example:8443\r\nX-Y: 1\r\n")
    assert (head.method, head.target, head.version) == (b"GET", b"/a?b=c", 11)
    assert (head.host, head.authority, head.scheme) == (b"A.Example:8443", b"a.example", b"https")
    assert (head.content_length, head.has_body, head.keep_alive) == (0, False, True)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"GET /",
        b"GET / HTTP/1.1 ",
        b" GET / HTTP/1.1",
        b"GET  / HTTP/1.1",
        b"GET /  HTTP/1.1",
        b"GET\t/ HTTP/1.1",
        b"GET / HTTP/1.1\r",
        b"GET /a b HTTP/1.1",
        b"GET /\x00 HTTP/1.1",
        b"GET /\xff HTTP/1.1",
        b"GET /a#b HTTP/1.1",
        b"GET a HTTP/1.1",
        b"G(T / HTTP/1.1",
        b"GET / http/1.1",
        b"GET / HTTP/1.1x",
        b"GET / HTTP/11",
        b"GET / HTTP/1.",
        b"GET * HTTP/1.1",
        b"CONNECT a.example:443 HTTP/1.1",
        b"CONNECT http://a.example/ HTTP/1.1",
        b"GET ftp://a.example/ HTTP/1.1",
        b"GET http:///x HTTP/1.1",
        b"GET http://u@a.example/ HTTP/1.1",
        b"M" * 33 + b" / HTTP/1.1",
    ],
)
def test_a_request_line_that_is_none(line: bytes) -> None:
    with pytest.raises(MessageError) as caught:
        parse(line)
    assert caught.value.status == 400


@pytest.mark.parametrize("version", [b"0.9", b"2.0", b"1.2", b"3.0"])
def test_another_version(version: bytes) -> None:
    with pytest.raises(MessageError) as caught:
        parse(b"GET / HTTP/" + version)
    assert caught.value.status == 505


@pytest.mark.parametrize(
    ("target", "origin"),
    [
        (b"http://a.example/x?y", b"/x?y"),
        (b"HTTPS://A.EXAMPLE/x", b"/x"),
        (b"http://a.example", b"/"),
        (b"http://a.example?y", b"/?y"),
    ],
)
def test_an_absolute_form(target: bytes, origin: bytes) -> None:
    assert parse(b"GET " + target + b" HTTP/1.1").target == origin


@pytest.mark.parametrize("target", [b"http://b.example/", b"http://a.example:80/", b"http://a/"])
def test_an_absolute_form_with_another_host(target: bytes) -> None:
    with pytest.raises(MessageError, match="different hosts"):
        parse(b"GET " + target + b" HTTP/1.1")


def test_the_asterisk() -> None:
    assert parse(b"OPTIONS * HTTP/1.1").target == b"*"
    assert parse(b"OPTIONS http://a.example HTTP/1.1").target == b"*"


@pytest.mark.parametrize(
    "section",
    [
        b"X: y\r\n",
        b"Host: a\r\nHost: a\r\n",
        b"Host: a\r\nhost: b\r\n",
        b"Host: \r\n",
        b"Host: a b\r\n",
        b"Host: a/b\r\n",
        b"Host: a,b\r\n",
        b"Host: a:99999\r\n",
        b"Host: a:\r\n",
        b"Host: u@a\r\n",
        b"Host: .a\r\n",
        b"Host: \xe4\r\n",
    ],
)
def test_a_missing_repeated_or_invalid_host(section: bytes) -> None:
    with pytest.raises(MessageError) as caught:
        parse(b"GET / HTTP/1.1", section)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    "fields",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: 5\r\nContent-Length: 5\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Content-Length: 5, 5\r\n",
        b"Content-Length: +5\r\n",
        b"Content-Length: -5\r\n",
        b"Content-Length: 0x5\r\n",
        b"Content-Length: 1_0\r\n",
        b"Content-Length: 5.0\r\n",
        b"Content-Length: \r\n",
        b"Content-Length: 1 0\r\n",
        b"Content-Length: \xb2\r\n",
        b"Content-Length: 9999999999999999999\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding: chunked, chunked\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Transfer-Encoding: identity\r\n",
        b"Transfer-Encoding: chunked,\r\n",
        b"Transfer-Encoding: \r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        b"Transfer-Encoding: \x0bchunked\r\n",
    ],
)
def test_ambiguous_framing(fields: bytes) -> None:
    with pytest.raises(MessageError) as caught:
        parse(b"POST / HTTP/1.1", b"Host: a\r\n" + fields)
    assert caught.value.status == 400


def test_chunks_in_http_1_0() -> None:
    with pytest.raises(MessageError):
        parse(b"POST / HTTP/1.0", b"Host: a\r\nTransfer-Encoding: chunked\r\n")


@pytest.mark.parametrize(
    ("fields", "length", "has_body"),
    [
        (b"", 0, False),
        (b"Content-Length: 0\r\n", 0, False),
        (b"Content-Length: 007\r\n", 7, True),
        (b"Content-Length: 123456789012\r\n", 123456789012, True),
        (b"Transfer-Encoding: Chunked\r\n", None, True),
    ],
)
def test_the_length_of_the_body(fields: bytes, length: int | None, has_body: bool) -> None:
    head = parse(b"POST / HTTP/1.1", b"Host: a\r\n" + fields)
    assert (head.content_length, head.has_body) == (length, has_body)


@pytest.mark.parametrize(
    ("version", "fields", "keep_alive"),
    [
        (b"1.1", b"", True),
        (b"1.1", b"Connection: close\r\n", False),
        (b"1.1", b"Connection: Keep-Alive, Close\r\n", False),
        (b"1.1", b"Connection: keep-alive\r\nConnection: close\r\n", False),
        (b"1.0", b"", False),
        (b"1.0", b"Connection: keep-alive\r\n", True),
        (b"1.0", b"Connection: keep-alive, close\r\n", False),
    ],
)
def test_keeping_the_connection(version: bytes, fields: bytes, keep_alive: bool) -> None:
    head = parse(b"GET / HTTP/" + version, b"Host: a\r\n" + fields)
    assert head.keep_alive is keep_alive


def test_the_same_section_in_both_versions() -> None:
    block = parse_section(b"Host: a\r\n")
    assert frame(block, 11).keep_alive
    assert not frame(block, 10).keep_alive


def test_connection_must_not_name_what_policies_read() -> None:
    with pytest.raises(MessageError, match="hop-by-hop"):
        parse(b"GET / HTTP/1.1", b"Host: a\r\nConnection: x-team\r\nX-Team: ops\r\n")
    head = parse(b"GET / HTTP/1.1", b"Host: a\r\nConnection: te, x-absent\r\nTE: trailers\r\n")
    assert head.keep_alive


def test_upgrades() -> None:
    section = b"Host: a\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n"
    assert parse(b"GET / HTTP/1.1", section).upgrade == b"websocket"
    assert parse(b"GET / HTTP/1.0", section).upgrade is None
    assert parse(b"GET / HTTP/1.1", b"Host: a\r\nUpgrade: websocket\r\n").upgrade is None
    two = b"Host: a\r\nConnection: Upgrade\r\nUpgrade: a, b\r\n"
    assert parse(b"GET / HTTP/1.1", two).upgrade is None
    h2c = b"Host: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
    assert parse(b"GET / HTTP/1.1", h2c).upgrade is None
    with pytest.raises(MessageError):
        parse(b"POST / HTTP/1.1", section + b"Content-Length: 3\r\n")


def test_expectations() -> None:
    section = b"Host: a\r\nExpect: 100-Continue\r\nContent-Length: 3\r\n"
    assert parse(b"PUT / HTTP/1.1", section).expect_continue
    assert not parse(b"PUT / HTTP/1.0", section).expect_continue
    with pytest.raises(MessageError) as caught:
        parse(b"PUT / HTTP/1.1", b"Host: a\r\nExpect: magic\r\n")
    assert caught.value.status == 417


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_any_bytes_give_a_head_or_a_refusal(line: bytes, section: bytes) -> None:
    try:
        head = parse(line, section)
    except MessageError as error:
        status = error.status
    else:
        status = 400
        assert b"\r" not in line
        assert b"\n" not in line
        assert head.authority
    assert status in {400, 417, 431, 505}
