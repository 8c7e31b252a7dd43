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


_REMEMBERED_LINE: Final = 128
"""Bytes of the longest status line that is worth remembering."""


class Framing(NamedTuple):
    """What a response's header section alone says about its body and the connection."""

    chunked: bool
    content_length: int | None
    close: bool
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
    return Framing(coding is not None, number, b"close" in options, b"keep-alive" in options)


@lru_cache(maxsize=256)
def _split_line(line: bytes) -> tuple[int, int, bytes]:
    """Version, status and reason of a status line.

    Raises:
        MessageError: it is none.
    """
    match = _status_line(line)
    if match is None:
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
    split = _split_line if len(line) <= _REMEMBERED_LINE else _split_line.__wrapped__
    version, status, reason = split(line)
    framing = _frame(block)
    if version < 11 and framing.chunked:
        raise MessageError("Transfer-Encoding in HTTP/1.0", 502)
    length = framing.content_length
    # RFC 9112, section 6.3: these never have a body, whatever their fields say.
    has_body = not (length == 0 or status < 200 or status in {204, 304})
    head = ResponseHead(status, block, version, length if has_body else 0, has_body, reason)
    block.remember(line, (head, framing))
    return head, framing


def persists(head: ResponseHead, framing: Framing) -> bool:
    """Whether the upstream keeps the connection open after this response (section 9.3)."""
    if head.version >= 11:
        return not framing.close
    return framing.keep_alive and not framing.close
