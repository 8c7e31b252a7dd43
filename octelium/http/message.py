"""Heads of HTTP messages, the same for HTTP/1.1 and HTTP/2.

What was received (`HeaderBlock`, `RequestHead`, `ResponseHead`) is immutable and, as far as it
follows from the header section's bytes alone, shared between all messages with the same bytes:
keep-alive clients repeat their sections, so whatever is learnt from one is learnt once. What is
sent (`FieldBlock`, `UpstreamRequest`) keeps its wire form for the same reason.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Field = tuple[bytes, bytes]
"""Name and value. Names of received fields are lower-case, values without outer white space."""

Fields = tuple[Field, ...]

MAX_DERIVED: Final = 64
"""Facts that rooms above may hang on one block before they are thrown away and made anew."""


class MessageError(Exception):
    """A message that is not HTTP, or not safely so; the connection cannot be used any further.

    `status` is the answer to a client (400, 413, 414, 431, 501, 505); towards an upstream it means
    502. `str()` says what is wrong and never repeats the sender's bytes.
    """

    def __init__(self, problem: str, status: int = 400) -> None:
        super().__init__(problem)
        self.status = status


class HeaderBlock:
    """A received header section: parsed, valid, immutable, shareable.

    `names` are in the order received and lower-case, `values` beside them, `spellings` the names as
    the sender wrote them; a `cookie` that came in several fields is one (RFC 9113, section 8.2.3).

    `derived` holds what other rooms have worked out from this block and something that lives as
    long as they do (a plan of a Service, say), under keys compared by identity. Use `remember()`.
    """

    __slots__ = ("derived", "index", "names", "repeated", "spellings", "values")

    def __init__(self, fields: Sequence[Field], spellings: Sequence[bytes] | None = None) -> None:
        self._fill(
            [name for name, _ in fields],
            [value for _, value in fields],
            spellings,
        )

    @classmethod
    def of(
        cls, names: Sequence[bytes], values: Sequence[bytes], spellings: Sequence[bytes]
    ) -> HeaderBlock:
        """The block of names, values and spellings, which stand side by side."""
        block = cls.__new__(cls)
        block._fill(names, values, spellings)  # noqa: SLF001 - a second constructor
        return block

    def _fill(
        self, names: Sequence[bytes], values: Sequence[bytes], spellings: Sequence[bytes] | None
    ) -> None:
        self.names = names
        self.values = values
        self.spellings = names if spellings is None else spellings
        self.index: dict[bytes, bytes] = dict(zip(reversed(names), reversed(values), strict=True))
        """First value of each name."""
        self.repeated: frozenset[bytes] = (
            frozenset() if len(self.index) == len(names) else _repeated(names)
        )
        """Names that stand in the section more than once."""
        self.derived: dict[object, Any] = {}

    def __repr__(self) -> str:
        """Names only: values may be credentials."""
        return f"HeaderBlock({', '.join(name.decode('latin-1') for name in self.names)})"

    @property
    def fields(self) -> Fields:
        """Names and values."""
        return tuple(zip(self.names, self.values, strict=True))

    def first(self, name: bytes) -> bytes | None:
        """The first value of `name` (lower-case), or None."""
        return self.index.get(name)

    def all(self, name: bytes) -> list[bytes]:
        """Every value of `name` (lower-case), in order."""
        if name in self.repeated:
            return [value for key, value in self.fields if key == name]
        value = self.index.get(name)
        return [] if value is None else [value]

    def remember(self, key: object, value: Any) -> None:
        """Keep `value` under `key` in `derived`; older entries go when there are too many."""
        if len(self.derived) >= MAX_DERIVED:
            self.derived.clear()
        self.derived[key] = value


EMPTY_BLOCK: Final = HeaderBlock(())


class RequestHead:
    """A request's head as received and found valid.

    `target` is the request target in origin form (path and query, or `*`), exactly as received
    but for the scheme and authority of an absolute form. `host` is what the client named, with
    its port if any; `authority` is the host of it, lower-case and without port, which routes.
    `content_length` is None when the body's length is unknown (chunked, or HTTP/2 without it)
    and 0 when there is none. `upgrade` is the protocol asked for in `Upgrade`, lower-case, only if
    `Connection` names it and the message is HTTP/1.1.
    """

    __slots__ = (
        "authority",
        "block",
        "content_length",
        "expect_continue",
        "has_body",
        "host",
        "keep_alive",
        "method",
        "scheme",
        "target",
        "upgrade",
        "version",
    )

    def __init__(
        self,
        method: bytes,
        target: bytes,
        scheme: bytes,
        host: bytes,
        authority: bytes,
        block: HeaderBlock,
        version: int,
        content_length: int | None = 0,
        has_body: bool = False,
        upgrade: bytes | None = None,
        expect_continue: bool = False,
        keep_alive: bool = True,
    ) -> None:
        self.method = method
        self.target = target
        self.scheme = scheme
        self.host = host
        self.authority = authority
        self.block = block
        self.version = version
        """10, 11 or 20."""
        self.content_length = content_length
        self.has_body = has_body
        self.upgrade = upgrade
        self.expect_continue = expect_continue
        self.keep_alive = keep_alive


class ResponseHead:
    """A response's head as received from an upstream and found valid.

    `content_length` is None when the body's length is unknown or there is no body by nature;
    `has_body` is False for answers to HEAD, for 204 and 304, and for `Content-Length: 0`.
    """

    __slots__ = ("block", "content_length", "has_body", "reason", "status", "version")

    def __init__(
        self,
        status: int,
        block: HeaderBlock,
        version: int,
        content_length: int | None = None,
        has_body: bool = True,
        reason: bytes = b"",
    ) -> None:
        self.status = status
        self.block = block
        self.version = version
        """10, 11 or 20."""
        self.content_length = content_length
        self.has_body = has_body
        self.reason = reason


class FieldBlock:
    """A header section to be sent, with its wire forms made once.

    `fields` have lower-case names and valid values and hold nothing hop-by-hop: no `connection`,
    `transfer-encoding`, `keep-alive`, `upgrade`, `proxy-connection`, no `host` in requests;
    `te: trailers` may stand. `content-length`, if present, is the body's exact length, and
    `content_length` is its number, else None. `h1` are the lines of HTTP/1.1, each ended by CR LF,
    without the empty line; `h2` is a place for HTTP/2 to keep its own wire form, `binding` one for
    whether an upstream may take the fields as the identity of the connection.
    """

    __slots__ = ("binding", "content_length", "h1", "h2")

    def __init__(self, fields: Iterable[Field]) -> None:
        fields = tuple(fields)
        self.h1: bytes = b"".join([b"%b: %b\r\n" % field for field in fields])
        length = next((value for name, value in fields if name == b"content-length"), None)
        self.content_length: int | None = None if length is None else int(length)
        self.h2: Any = None
        self.binding: bool | None = None

    @classmethod
    def of_lines(cls, lines: bytes, content_length: int | None) -> FieldBlock:
        """The block whose lines of HTTP/1.1 are `lines`: `Name: value` in any spelling."""
        block = cls.__new__(cls)
        block.h1 = lines
        block.content_length = content_length
        block.h2 = None
        block.binding = None
        return block

    @property
    def fields(self) -> Fields:
        """Names, lower-case, and values."""
        pairs = [line.partition(b": ") for line in self.h1.split(b"\r\n")[:-1]]
        return tuple([(name.lower(), value) for name, _, value in pairs])

    def __repr__(self) -> str:
        """Names only: values may be credentials."""
        return f"FieldBlock({', '.join(name.decode('latin-1') for name, _ in self.fields)})"


class UpstreamRequest:
    """A request's head as it goes to an upstream.

    `authority` is the value of `Host` or `:authority`. `upgrade` is the protocol to ask for (only
    over HTTP/1.1). `has_body` tells that data or trailers may follow; without a content-length in
    `block` HTTP/1.1 then sends chunks.
    """

    __slots__ = ("authority", "block", "has_body", "method", "target", "upgrade")

    def __init__(
        self,
        method: bytes,
        target: bytes,
        authority: bytes,
        block: FieldBlock,
        has_body: bool = False,
        upgrade: bytes | None = None,
    ) -> None:
        self.method = method
        self.target = target
        self.authority = authority
        self.block = block
        self.has_body = has_body
        self.upgrade = upgrade


def _repeated(names: Sequence[bytes]) -> frozenset[bytes]:
    return frozenset(name for name, count in Counter(names).items() if count > 1)
