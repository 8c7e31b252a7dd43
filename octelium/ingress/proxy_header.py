"""PROXY protocol, versions 1 and 2: the client's address as a load balancer knows it.

Source: "The PROXY protocol", HAProxy Technologies, versions 1 & 2.
"""

from __future__ import annotations

import socket
from typing import Final, NamedTuple

_SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
_MAX_V1: Final = 107
_MAX_V2: Final = 16 + 2048


class ProxyHeader(NamedTuple):
    """A header: who the client is (None: the load balancer itself), and the bytes after it."""

    client: tuple[str, int] | None
    rest: bytes


class BadProxyHeaderError(ValueError):
    """The bytes are not a PROXY header."""


def parse_proxy_header(data: bytes) -> ProxyHeader | None:
    """Parse the header at the start of `data`; None if more bytes are needed.

    Raises:
        BadProxyHeaderError: `data` does not begin with a header of either version.
    """
    if data.startswith(b"PROXY "):
        return _parse_v1(data)
    if data.startswith(_SIGNATURE):
        return _parse_v2(data)
    if b"PROXY ".startswith(data) or _SIGNATURE.startswith(data):
        return None
    raise BadProxyHeaderError("no PROXY header")


def _parse_v1(data: bytes) -> ProxyHeader | None:
    end = data.find(b"\r\n", 0, _MAX_V1)
    if end < 0:
        if len(data) >= _MAX_V1:
            raise BadProxyHeaderError("PROXY header is too long")
        return None
    rest = data[end + 2 :]
    words = data[:end].split(b" ")
    if words[1] == b"UNKNOWN":
        return ProxyHeader(None, rest)
    family = {b"TCP4": socket.AF_INET, b"TCP6": socket.AF_INET6}.get(words[1])
    if family is None or len(words) != 6:
        raise BadProxyHeaderError("malformed PROXY header")
    try:
        source = words[2].decode("ascii")
        socket.inet_pton(family, source)
        socket.inet_pton(family, words[3].decode("ascii"))
    except (OSError, UnicodeDecodeError) as error:
        raise BadProxyHeaderError("PROXY header with an invalid address") from error
    return ProxyHeader((source, _port(words[4])), rest)


def _port(word: bytes) -> int:
    if not word.isdigit() or len(word) > 5 or (port := int(word)) > 65535:
        raise BadProxyHeaderError("PROXY header with an invalid port")
    return port


def _parse_v2(data: bytes) -> ProxyHeader | None:
    if len(data) < 16:
        return None
    version_command, family, length = data[12], data[13], int.from_bytes(data[14:16], "big")
    if version_command >> 4 != 2 or version_command & 15 > 1:
        raise BadProxyHeaderError("unknown version or command of the PROXY protocol")
    if 16 + length > _MAX_V2:
        raise BadProxyHeaderError("PROXY header is too long")
    if len(data) < 16 + length:
        return None
    body, rest = data[16 : 16 + length], data[16 + length :]
    if version_command & 15 == 0:  # LOCAL: the load balancer's own connection, a health check
        return ProxyHeader(None, rest)
    if family == 0x11 and length >= 12:
        return ProxyHeader(
            (socket.inet_ntop(socket.AF_INET, body[:4]), int.from_bytes(body[8:10], "big")), rest
        )
    if family == 0x21 and length >= 36:
        return ProxyHeader(
            (socket.inet_ntop(socket.AF_INET6, body[:16]), int.from_bytes(body[32:34], "big")),
            rest,
        )
    if family == 0:
        return ProxyHeader(None, rest)
    raise BadProxyHeaderError("PROXY header for neither TCP over IPv4 nor IPv6")
