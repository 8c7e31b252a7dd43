"""Response heads of HTTP/1.1, from bytes to `ResponseHead` (RFC 9112, sections 4 and 6)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from octelium.http.message import HeaderBlock, MessageError, ResponseHead
from octelium.http.syntax import connection_options, parse_length

_status_line = re.compile(
    rb"HTTP/(1\.[01]) ([1-5][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?"
).fullmatch


_BINDING: Final = (b"negotiate", b"ntlm")
_MAX_LINE: Final = 4096
"""Bytes of the longest status line that is taken."""
_REMEMBERED_LINE: Final = 128
"""Bytes of the longest status line that is worth remembering."""


class Framing(NamedTuple):
    """What a response's header section alone says about its body and the connection."""

    chunked: bool
    content_length: int | None
    close: bool
    """The connection ends with it, or may be bound to a user by what follows."""
    keep_alive: bool


def _frame(block: HeaderBlock) -> Framing:
    coding = block.index.get(b"transfer-encoding")
    length = block.index.get(b"content-length")
    if coding is not None:
        if length is not None:
            raise MessageError("both Transfer-Encoding and Content-Length", 502)
        if b"transfer-encoding" in block.repeated or coding.lower() != b"chunked":
            raise MessageError("Transfer-Encoding is not chunked", 502)
    if b"content-length" in block.repeated:
        raise MessageError("more than one Content-Length", 502)
    number = None if length is None else parse_length(length)
    options = connection_options(block)
    close = b"close" in options or (
        b"www-authenticate" in block.index
        and any(
            scheme in challenge.lower()
            for challenge in block.all(b"www-authenticate")
            for scheme in _BINDING
        )
    )
    return Framing(coding is not None, number, close, b"keep-alive" in options)


def binds_connection(lines: bytes) -> bool:
    """Whether a request with these field lines may log the connection itself in.

    Servers that take Negotiate or NTLM often treat whatever comes later on the same connection as
    coming from the same user (RFC 4559, section 6), so it must never serve another client.
    """
    lines = lines.lower()
    return b"authorization: n" in lines and any(
        b"authorization: " + scheme in lines for scheme in _BINDING
    )


@lru_cache(maxsize=256)
def _split_line(line: bytes) -> tuple[int, int, bytes]:
    """Version, status and reason of a status line.

    Raises:
        MessageError: it is none.
    """
    match = _status_line(line)
    if match is None or len(line) > _MAX_LINE:
        raise MessageError("malformed status line", 502)
    return 11 if match[1] == b"1.1" else 10, int(match[2]), match[3] or b""


def parse_response(line: bytes, block: HeaderBlock) -> tuple[ResponseHead, Framing]:
    """Make a head of a status line (without CR LF) and its header section.

    `has_body` and `content_length` of the head are for a request that was not HEAD; the caller
    corrects them otherwise.

    Raises:
        MessageError: the upstream's answer must not be used.
    """
    known: tuple[ResponseHead, Framing] | None = block.derived.get(line)
    if known is not None:
        return known
    memorable = len(line) <= _REMEMBERED_LINE
    version, status, reason = (_split_line if memorable else _split_line.__wrapped__)(line)
    framing = _frame(block)
    if version < 11 and framing.chunked:
        raise MessageError("Transfer-Encoding in HTTP/1.0", 502)
    length = framing.content_length
    # RFC 9112, section 6.3: these never have a body, whatever their fields say.
    has_body = not (length == 0 or status < 200 or status in {204, 304})
    head = ResponseHead(status, block, version, length if has_body else 0, has_body, reason)
    if memorable:
        block.remember(line, (head, framing))
    return head, framing


def persists(head: ResponseHead, framing: Framing) -> bool:
    """Whether the upstream keeps the connection open after this response (section 9.3)."""
    if head.version >= 11:
        return not framing.close
    return framing.keep_alive and not framing.close
