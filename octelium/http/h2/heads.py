"""From decoded fields to heads and trailers: RFC 9113, section 8, and the limits of `syntax`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from octelium.http.h2.compression import Decoder
from octelium.http.h2.frames import ErrorCode, H2StreamError
from octelium.http.message import EMPTY_BLOCK, HeaderBlock, MessageError, RequestHead, ResponseHead
from octelium.http.section import MAX_FIELDS, combine_cookies
from octelium.http.syntax import (
    CONNECTION_SPECIFIC,
    NOT_IN_TRAILERS,
    is_token,
    parse_host,
    parse_length,
)

if TYPE_CHECKING:
    from octelium.http.message import Field, Fields

MAX_REMEMBERED: Final = 16
"""Heads, and header blocks, remembered per connection. They hold credentials and go with it."""
MAX_REMEMBERED_SIZE: Final = 8 << 10
"""Larger header lists are read anew each time: nobody is to fill memory before a decision."""

_NAME: Final = rb"[!#$%&'*+\-.^_`|~0-9a-z]++"
_are_names = re.compile(_NAME + rb"(?:\n" + _NAME + rb")*+").fullmatch
_bad_values = re.compile(rb"(?m:^[ \t]|[ \t]$)|[\x00-\x08\x0b-\x1f\x7f]").search
_is_target = re.compile(rb"/[\x21\x22\x24-\x7e]*|\*").fullmatch
_is_status = re.compile(rb"[1-5][0-9]{2}").fullmatch

_REQUEST_PSEUDO: Final = frozenset((b":method", b":scheme", b":path", b":authority"))
_FRAMING: Final = object()

_Head = RequestHead | ResponseHead


class _Framing(NamedTuple):
    content_length: int | None
    host: bytes | None
    expect_continue: bool


class HeadReader:
    """Makes heads of one direction of one connection from its header blocks.

    Equal blocks give the same head object as long as the compression state stays, and equal
    regular fields the same `HeaderBlock` whatever the path is.
    """

    __slots__ = ("_blocks", "_decoder", "_fixed", "_heads", "_repeatable", "_scheme")

    def __init__(self, max_list: int, scheme: bytes = b"https") -> None:
        """`max_list` is a header list's size; `scheme` is the connection's, for request heads."""
        self._scheme = scheme
        self._decoder = Decoder(max_list)
        self._repeatable = False
        self._heads: dict[tuple[bytes, bool], _Head] = {}
        """What blocks mean as long as the compression state stays."""
        self._fixed: dict[tuple[bytes, bool], tuple[_Head, list[Field]]] = {}
        """What blocks mean whatever the state, and what they put into it."""
        self._blocks: dict[Fields, HeaderBlock] = {}

    def request(self, raw: bytes, *, end: bool) -> RequestHead:
        """The request whose header block is `raw`; `end`: it has neither body nor trailers.

        Raises:
            H2StreamError: the request is malformed or too large; `status` says what to answer.
            H2ConnectionError: the block cannot be decoded.
        """
        head = self._known(raw, end=end)
        if head is None:
            head = self._request(self._decode(raw), end=end)
            self._remember(raw, head, end=end)
        assert isinstance(head, RequestHead)
        return head

    def response(self, raw: bytes, *, end: bool) -> ResponseHead:
        """The response whose header block is `raw`, informational ones included.

        `has_body` tells what the head alone says: the answer to HEAD is the caller's to know.

        Raises:
            H2StreamError: the response is malformed or too large.
            H2ConnectionError: the block cannot be decoded.
        """
        head = self._known(raw, end=end)
        if head is None:
            head = self._response(self._decode(raw), end=end)
            self._remember(raw, head, end=end)
        assert isinstance(head, ResponseHead)
        return head

    def trailers(self, raw: bytes) -> Fields:
        """The trailers in block `raw`, without those that could change what the head said.

        Raises:
            H2StreamError: they are malformed or too large.
            H2ConnectionError: the block cannot be decoded.
        """
        return tuple(
            [f for f in self._block(self._decode(raw)).fields if f[0] not in NOT_IN_TRAILERS]
        )

    def skip(self, raw: bytes) -> None:
        """Decode a block that nobody wants, to keep the compression state.

        Raises:
            H2ConnectionError: the block cannot be decoded.
        """
        self._walk(raw)

    def forget(self) -> None:
        """Let go of what was remembered; the compression state stays."""
        self._heads.clear()
        self._fixed.clear()
        self._blocks.clear()

    def _walk(self, raw: bytes) -> list[Field] | None:
        """Decode; a block that changes the table means something else if it comes again."""
        generation = self._decoder.generation
        fields = self._decoder.decode(raw)
        self._repeatable = generation == self._decoder.generation
        if not self._repeatable:
            self._heads.clear()
        return fields

    def _decode(self, raw: bytes) -> list[Field]:
        fields = self._walk(raw)
        if fields is None or len(fields) > MAX_FIELDS:
            raise H2StreamError(ErrorCode.NO_ERROR, "header list too large", 431)
        return fields

    def _known(self, raw: bytes, *, end: bool) -> _Head | None:
        head = self._heads.get((raw, end))
        if head is not None:
            return head
        fixed = self._fixed.get((raw, end))
        if fixed is None:
            return None
        head, added = fixed
        for field in added:
            self._decoder.add(field)
        self._heads.clear()
        return head

    def _remember(self, raw: bytes, head: _Head, *, end: bool) -> None:
        if max(len(raw), self._decoder.size) > MAX_REMEMBERED_SIZE:
            return
        if self._decoder.independent:
            if len(self._fixed) >= MAX_REMEMBERED:
                self._fixed.clear()
            self._fixed[raw, end] = (head, self._decoder.added)
        elif self._repeatable:
            if len(self._heads) >= MAX_REMEMBERED:
                self._heads.clear()
            self._heads[raw, end] = head

    def _request(self, fields: list[Field], *, end: bool) -> RequestHead:
        pseudo: dict[bytes, bytes] = {}
        for name, value in fields:
            if name[:1] != b":":
                break
            if name in pseudo or name not in _REQUEST_PSEUDO:
                raise _malformed("unknown or repeated pseudo-field")
            pseudo[name] = value
        block = self._block(fields[len(pseudo) :])
        method = pseudo.get(b":method")
        if method is None or len(method) > 32 or is_token(method) is None:
            raise _malformed("no valid :method")
        if method == b"CONNECT":
            raise H2StreamError(ErrorCode.NO_ERROR, "CONNECT is not offered", 501)
        # The connection says how the client came; a gateway before us may have changed it.
        if pseudo.get(b":scheme") not in {b"http", b"https"}:
            raise _malformed("no valid :scheme")
        target = pseudo.get(b":path")
        if target is None or _is_target(target) is None:
            raise _malformed("no valid :path")
        if target == b"*" and method != b"OPTIONS":
            raise _malformed("no valid :path")
        try:
            framing = _framing(block)
            host = _host(pseudo.get(b":authority"), framing.host)
            authority = parse_host(host)
        except MessageError as error:
            raise _malformed(str(error), error.status) from error
        length = framing.content_length
        if end:
            if length:
                raise _malformed("content-length without a body")
            length = 0
        return RequestHead(
            method,
            target,
            self._scheme,
            host,
            authority,
            block,
            20,
            length,
            not end,
            None,
            framing.expect_continue and not end,
        )

    def _response(self, fields: list[Field], *, end: bool) -> ResponseHead:
        if not fields or fields[0][0] != b":status" or _is_status(fields[0][1]) is None:
            raise _malformed("no valid :status")
        block = self._block(fields[1:])
        status = int(fields[0][1])
        if status == 101 or (status < 200 and end):
            raise _malformed("impossible informational response")
        try:
            length = _framing(block).content_length
        except MessageError as error:
            raise _malformed(str(error)) from error
        has_body = not end and status >= 200 and status not in {204, 304} and length != 0
        return ResponseHead(status, block, 20, length, has_body)

    def _block(self, fields: list[Field]) -> HeaderBlock:
        """The block of regular fields, checked once."""
        if not fields:
            return EMPTY_BLOCK
        key = tuple(fields)
        block = self._blocks.get(key)
        if block is None:
            block = _checked(fields)
            if self._decoder.size > MAX_REMEMBERED_SIZE:
                return block
            if len(self._blocks) >= MAX_REMEMBERED:
                self._blocks.clear()
            self._blocks[key] = block
        return block


def _malformed(problem: str, status: int = 400) -> H2StreamError:
    """A fault of the peer; other statuses than 400 are answers to proper requests."""
    code = ErrorCode.PROTOCOL_ERROR if status == 400 else ErrorCode.NO_ERROR
    return H2StreamError(code, problem, status)


def _checked(fields: list[Field]) -> HeaderBlock:
    """RFC 9113, sections 8.2.1 to 8.2.3. Raises H2StreamError."""
    names = b"\n".join([name for name, _ in fields])
    values = b"\n".join([value for _, value in fields])
    breaks = len(fields) - 1
    # A line feed within a name or value shows in the count.
    if names.count(b"\n") != breaks or _are_names(names) is None:
        raise _malformed("invalid field name")
    if values.count(b"\n") != breaks or _bad_values(values) is not None:
        raise _malformed("invalid field value")
    block = HeaderBlock(tuple(combine_cookies(fields)))
    if not CONNECTION_SPECIFIC.isdisjoint(block.index):
        raise _malformed("connection-specific field")
    if b"te" in block.index and [v.lower() for v in block.all(b"te")] != [b"trailers"]:
        raise _malformed("TE other than trailers")
    return block


def _framing(block: HeaderBlock) -> _Framing:
    framing: _Framing | None = block.derived.get(_FRAMING)
    if framing is None:
        length = block.first(b"content-length")
        if b"content-length" in block.repeated:
            raise MessageError("more than one Content-Length")
        if b"host" in block.repeated:
            raise MessageError("more than one Host")
        expect = block.all(b"expect")
        if expect and (len(expect) > 1 or expect[0].lower() != b"100-continue"):
            raise MessageError("Expect is not 100-continue", 417)
        framing = _Framing(
            None if length is None else parse_length(length), block.first(b"host"), bool(expect)
        )
        block.remember(_FRAMING, framing)
    return framing


def _host(authority: bytes | None, host: bytes | None) -> bytes:
    """What the client named; both places must agree (RFC 9113, section 8.3.1)."""
    if authority is None:
        authority = host
    elif host is not None and host != authority and host.lower() != authority.lower():
        raise MessageError(":authority and Host differ")
    if not authority:
        raise MessageError("no :authority")
    return authority
