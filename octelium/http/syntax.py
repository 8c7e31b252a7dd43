"""The grammar of HTTP heads, as strict as RFC 9110 and RFC 9112 allow a recipient to be.

Python's own conversions are laxer than the grammar (`int()` takes `+5`, `0x5`, `1_0` and digits of
other scripts; `bytes.strip()` takes VT and FF), so nothing here relies on them.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from octelium.http.message import MessageError

if TYPE_CHECKING:
    from collections.abc import Collection

    from octelium.http.message import HeaderBlock

TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
_VALUE: Final = rb"[\t\x20-\x7e\x80-\xff]"

is_token = re.compile(TOKEN + rb"+").fullmatch
is_value = re.compile(
    rb"(?:[\x21-\x7e\x80-\xff](?:" + _VALUE + rb"*[\x21-\x7e\x80-\xff])?)?"
).fullmatch
"""Whether a field value is free of controls and of outer white space (RFC 9110, section 5.5)."""
TOKEN_BYTES: Final = bytes(byte for byte in range(256) if re.fullmatch(TOKEN, bytes([byte])))
VALUE_BYTES: Final = bytes(byte for byte in range(256) if re.fullmatch(_VALUE, bytes([byte])))
_is_length = re.compile(rb"[0-9]{1,18}").fullmatch
_is_host = re.compile(
    rb"((?:[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_.])?)|\[[0-9A-Fa-f:.]{2,45}\])(?::([0-9]{1,5}))?"
).fullmatch

_USUAL_OPTIONS: Final = {
    b"keep-alive": (b"keep-alive",),
    b"close": (b"close",),
    b"Keep-Alive": (b"keep-alive",),
    b"Close": (b"close",),
}

_not_alphanumeric = re.compile(rb"[^a-z0-9]")

CONNECTION_SPECIFIC: Final = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade")
)
"""Fields about one connection, of which HTTP/2 has none (RFC 9113, section 8.2.2)."""
NOT_IN_TRAILERS: Final = CONNECTION_SPECIFIC | {
    b"authorization",
    b"content-encoding",
    b"content-length",
    b"content-range",
    b"content-type",
    b"cookie",
    b"host",
    b"proxy-authorization",
    b"set-cookie",
    b"te",
    b"trailer",
}
"""Fields that count for nothing behind a body (RFC 9110, section 6.5.1)."""

OWS: Final = b" \t"
"""Optional white space (RFC 9110, section 5.6.3)."""


def parse_length(value: bytes) -> int:
    """The number in a `Content-Length`: ASCII digits and nothing else (RFC 9110, section 8.6).

    Raises:
        MessageError: it is no such number, or above 10^18.
    """
    if _is_length(value) is None:
        raise MessageError("Content-Length is not a number")
    return int(value)


def parse_host(value: bytes) -> bytes:
    """The host of a `Host` or `:authority`, lower-case, without its port.

    Names are letters, digits, `-`, `_` and dots, or an address in brackets: what a public name of
    this system can be, less than RFC 3986 allows.

    Raises:
        MessageError: it is not of that form.
    """
    match = _is_host(value)
    if match is None or (match[2] is not None and int(match[2]) > 65535):
        raise MessageError("Host is not a valid host name")
    host: bytes = match[1]
    return host.lower()


def elements(value: bytes) -> list[bytes]:
    """The non-empty elements of a comma-separated list, lower-case (RFC 9110, section 5.6.1)."""
    return [item for part in value.split(b",") if (item := part.strip(OWS).lower())]


@lru_cache(maxsize=2048)
def fold(name: bytes) -> bytes:
    """The name as a CGI-like interface cannot tell it apart from others; `name` is lower-case."""
    return _not_alphanumeric.sub(b"-", name)


def connection_options(block: HeaderBlock) -> Collection[bytes]:
    """The options in `Connection`, lower-case (RFC 9110, section 7.6.1)."""
    value = block.index.get(b"connection")
    if value is None:
        return ()
    if b"connection" in block.repeated:
        return [option for value in block.all(b"connection") for option in elements(value)]
    return _USUAL_OPTIONS.get(value) or elements(value)
