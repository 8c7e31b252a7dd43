from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.ingress.proxy_header import BadProxyHeaderError, parse_proxy_header

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
V4 = socket.inet_aton("192.0.2.1") + socket.inet_aton("192.0.2.2") + b"\x04\xd2\x01\xbb"
V6 = (
    socket.inet_pton(socket.AF_INET6, "2001:db8::1")
    + socket.inet_pton(socket.AF_INET6, "2001:db8::2")
    + b"\x04\xd2\x01\xbb"
)


def v2(family: int, body: bytes, command: int = 0x21) -> bytes:
    return SIGNATURE + bytes([command, family]) + len(body).to_bytes(2, "big") + body


GOOD = [
    (b"PROXY TCP4 192.0.2.1 192.0.2.2 1234 443\r\n", ("192.0.2.1", 1234)),
    (b"PROXY TCP6 2001:db8::1 2001:db8::2 1234 443\r\n", ("2001:db8::1", 1234)),
    (b"PROXY UNKNOWN\r\n", None),
    (b"PROXY UNKNOWN some thing else\r\n", None),
    (v2(0x11, V4), ("192.0.2.1", 1234)),
    (v2(0x11, V4 + b"\x03\x00\x04abcd"), ("192.0.2.1", 1234)),
    (v2(0x21, V6), ("2001:db8::1", 1234)),
    (v2(0x00, b"", 0x20), None),
    (v2(0x11, V4, 0x20), None),
    (v2(0x00, b"ignored"), None),
]


@pytest.mark.parametrize(("data", "client"), GOOD)
def test_headers(data: bytes, client: tuple[str, int] | None) -> None:
    for size in range(len(data)):
        assert parse_proxy_header(data[:size]) is None
    header = parse_proxy_header(data + b"\x16rest")
    assert header is not None
    assert header.client == client
    assert header.rest == b"\x16rest"


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"\x16\x03\x01",
        b"PROXZ",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1234\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1234 443 5\r\n",
        b"PROXY TCP4 192.0.2.1  192.0.2.2 1234 443\r\n",
        b"PROXY TCP4 192.0.2 192.0.2.2 1234 443\r\n",
        b"PROXY TCP4 2001:db8::1 192.0.2.2 1234 443\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 99999 443\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 +1 443\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 -1 443\r\n",
        b"PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n",
        b"PROXY TCP4 " + b"1" * 200,
        v2(0x11, V4[:11]),
        v2(0x21, V4),
        v2(0x31, b"x" * 216),
        v2(0x11, V4, 0x11),
        v2(0x11, V4, 0x22),
        v2(0x11, b"x" * 5000),
    ],
)
def test_what_is_no_header(data: bytes) -> None:
    with pytest.raises(BadProxyHeaderError):
        parse_proxy_header(data)


@given(
    st.one_of(
        st.binary(max_size=60),
        st.binary(max_size=60).map(lambda data: b"PROXY " + data),
        st.binary(max_size=60).map(lambda data: SIGNATURE + data),
    )
)
def test_any_bytes_give_a_header_or_a_refusal(data: bytes) -> None:
    try:
        header = parse_proxy_header(data)
    except BadProxyHeaderError:
        return
    assert header is None or data.endswith(header.rest)
