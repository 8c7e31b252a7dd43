"""Request heads of HTTP/1.1, from bytes to `RequestHead` (RFC 9112, sections 3, 6 and 9)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from octelium.http.message import HeaderBlock, MessageError, RequestHead
from octelium.http.syntax import (
    TOKEN,
    connection_options,
    elements,
    parse_host,
    parse_length,
)

_request_line = re.compile(
    rb"(" + TOKEN + rb"{1,32}) (/[\x21\x22\x24-\x7e]*|[\x21\x22\x24-\x7e]+) HTTP/(1\.[01])"
).fullmatch
_other_version = re.compile(rb"[^ ]+ [^ ]+ HTTP/(?!1\.[01])[0-9]\.[0-9]").fullmatch
_absolute = re.compile(rb"(?i:(https?))://([^/?#@]+)((?:/.*)?|\?.*)").fullmatch

_REMEMBERED_LINE: Final = 512
"""Bytes of the longest request line that is worth remembering."""

_HOP_BY_HOP = frozenset(
    {b"close", b"keep-alive", b"upgrade", b"te", b"http2-settings", b"trailer", b"proxy-connection"}
)


class Framing(NamedTuple):
    """What a request's header section alone says about the message and the connection."""

    host: bytes
    authority: bytes
    content_length: int | None
    has_body: bool
    upgrade: bytes | None
    expect_continue: bool
    keep_alive: bool


def frame(block: HeaderBlock, version: int) -> Framing:
    """Work out the framing; for bytes seen before, remember it.

    Raises:
        MessageError: it is missing, ambiguous or beyond what this server takes.
    """
    framing: Framing | None = block.derived.get(version)
    if framing is None:
        framing = _frame(block, version)
        block.remember(version, framing)
    return framing


def _body(block: HeaderBlock, version: int) -> tuple[int | None, bool]:
    """Content length (None: chunked) and whether there is a body (RFC 9112, section 6.3)."""
    coding = block.index.get(b"transfer-encoding")
    length = block.index.get(b"content-length")
    if coding is not None:
        if length is not None:
            raise MessageError("both Transfer-Encoding and Content-Length")
        if version < 11:
            raise MessageError("Transfer-Encoding in HTTP/1.0")
        if b"transfer-encoding" in block.repeated or coding.lower() != b"chunked":
            raise MessageError("Transfer-Encoding is not chunked")
        return None, True
    if length is None:
        return 0, False
    if b"content-length" in block.repeated:
        raise MessageError("more than one Content-Length")
    number = parse_length(length)
    return number, number > 0


def _frame(block: HeaderBlock, version: int) -> Framing:
    host = block.index.get(b"host")
    if host is None:
        raise MessageError("no Host")
    if b"host" in block.repeated:
        raise MessageError("more than one Host")
    authority = parse_host(host)
    content_length, has_body = _body(block, version)

    options = connection_options(block)
    for option in options:
        # A field that the sender may have removed on the way is one that the policy would see and
        # the upstream would not.
        if option not in _HOP_BY_HOP and option in block.index:
            raise MessageError("Connection names a field that is not hop-by-hop")
    if version >= 11:
        keep_alive = b"close" not in options
    else:
        keep_alive = b"keep-alive" in options and b"close" not in options

    upgrade = None
    if version >= 11 and b"upgrade" in options:
        wanted = block.all(b"upgrade")
        if len(wanted) == 1 and len(names := elements(wanted[0])) == 1:
            upgrade = names[0]
    if upgrade == b"h2c":
        upgrade = None  # RFC 9113 removed it; the request is answered over HTTP/1.1
    if upgrade is not None and has_body:
        raise MessageError("Upgrade in a request with a body")

    expect = block.all(b"expect") if b"expect" in block.index else []
    if expect and (len(expect) > 1 or expect[0].lower() != b"100-continue"):
        raise MessageError("Expect is not 100-continue", 417)
    return Framing(
        host,
        authority,
        content_length,
        has_body,
        upgrade,
        bool(expect) and version >= 11 and has_body,
        keep_alive,
    )


@lru_cache(maxsize=1024)
def _split_line(line: bytes) -> tuple[bytes, bytes, int]:
    """Method, target and version of a request line.

    Raises:
        MessageError: it is no request line, or one of another version of HTTP.
    """
    match = _request_line(line)
    if match is None:
        if _other_version(line):
            raise MessageError("HTTP version is not 1.0 or 1.1", 505)
        raise MessageError("malformed request line")
    return match[1], match[2], 11 if match[3] == b"1.1" else 10


def forget_lines() -> None:
    """Forget request lines; what stands in a query may be a secret."""
    _split_line.cache_clear()


def parse_request(line: bytes, block: HeaderBlock, scheme: bytes) -> RequestHead:
    """Make a head of a request line (without CR LF) and its header section.

    `scheme` is that of the connection, `http` or `https`.

    Raises:
        MessageError: the request must not be served; its status is the answer.
    """
    split = _split_line if len(line) <= _REMEMBERED_LINE else _split_line.__wrapped__
    method, target, version = split(line)
    host, authority, content_length, has_body, upgrade, expect, keep_alive = frame(block, version)
    if not target.startswith(b"/"):
        target = _origin_form(method, target, host)
    return RequestHead(
        method,
        target,
        scheme,
        host,
        authority,
        block,
        version,
        content_length,
        has_body,
        upgrade,
        expect,
        keep_alive,
    )


def _origin_form(method: bytes, target: bytes, host: bytes) -> bytes:
    """Turn an absolute form into the origin form; `*` stays (RFC 9112, section 3.2)."""
    if target == b"*":
        if method != b"OPTIONS":
            raise MessageError("request target * is for OPTIONS only")
        return target
    match = _absolute(target)
    if match is None or method == b"CONNECT":
        raise MessageError("request target is neither a path nor a URL")
    if match[2].lower() != host.lower():
        raise MessageError("request target and Host name different hosts")
    path: bytes = match[3]
    if not path:
        return b"*" if method == b"OPTIONS" else b"/"
    return path if path.startswith(b"/") else b"/" + path
