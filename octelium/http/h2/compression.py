"""HPACK (RFC 7541): reading header blocks with the peer's table, writing them without one.

The tables and codes are the `hpack` package's; its decoder copies the rest of the block for every
field and reports an oversized list by losing the connection's state, so the walk over a block is
here. What is written never refers to the dynamic table: the same fields are then the same bytes
on every connection and are encoded once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hpack.table import HeaderTable

from octelium.http.h2 import huffman
from octelium.http.h2.frames import ErrorCode, H2ConnectionError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from octelium.http.message import Field, FieldBlock

TABLE_SIZE: Final = 4_096
"""SETTINGS_HEADER_TABLE_SIZE that we keep to: the default."""

FIELD_OVERHEAD: Final = 32
"""What a field counts beside its name and value (RFC 9113, section 10.5.1)."""

NO_TABLE: Final = b"\x20"
"""Stands before the first block we send: our dynamic table has size 0 (RFC 7541, section 6.3)."""

_STATIC: Final[tuple[Field, ...]] = ((b"", b""), *HeaderTable.STATIC_TABLE)
_FIRST_DYNAMIC: Final = len(_STATIC)
_MAX_INTEGER: Final = 2**24


class Decoder:
    """Header blocks of one direction of one connection, in the order received."""

    __slots__ = ("_max_list", "_table", "generation")

    def __init__(self, max_list: int) -> None:
        """`max_list` caps the size of a list, counted as RFC 9113, section 10.5.1 does."""
        self._max_list = max_list
        self._table = HeaderTable()
        self.generation = 0
        """Rises with every change of the table. While it stays, equal blocks mean equal fields."""

    def decode(self, block: bytes) -> list[Field] | None:
        """The fields of `block`; None if they are more than allowed (the table is kept right).

        Raises H2ConnectionError(COMPRESSION_ERROR): what follows cannot be understood any more.
        """
        fields: list[Field] = []
        budget = self._max_list
        position, size = 0, len(block)
        entries = self._table.dynamic_entries
        updates = 0
        try:
            while position < size:
                byte = block[position]
                if byte & 0x80:
                    index = byte & 0x7F
                    position += 1
                    if index == 0x7F:
                        index, position = _integer(block, position, 0x7F)
                    field = _entry(index, entries)
                elif byte & 0x60 == 0x20:
                    updates += 1
                    position = self._resize(block, position, first=not fields and updates <= 2)
                    continue
                else:
                    field, position = _literal(block, position, byte, entries)
                    if byte & 0x40:
                        self.generation += 1
                        self._table.add(*field)
                budget -= len(field[0]) + len(field[1]) + FIELD_OVERHEAD
                if budget >= 0:
                    fields.append(field)
        except (IndexError, huffman.HuffmanError) as error:
            raise H2ConnectionError(ErrorCode.COMPRESSION_ERROR, "broken header block") from error
        return fields if budget >= 0 else None

    def _resize(self, block: bytes, position: int, *, first: bool) -> int:
        size, position = _number(block, position, 0x1F)
        if not first or size > TABLE_SIZE:
            raise H2ConnectionError(ErrorCode.COMPRESSION_ERROR, "bad table size update")
        self.generation += 1
        self._table.maxsize = size
        return position


def encode(fields: Iterable[Field], *, never_indexed: bool = False) -> bytes:
    """A header block without reference to the dynamic table.

    `never_indexed` forbids later hops to put the literals in theirs (RFC 7541, section 7.1.3), as
    is right where any of them may be a credential.
    """
    return b"".join(
        [_INDEXED.get(field) or _encode(*field, 0x10 if never_indexed else 0) for field in fields]
    )


def encoded(block: FieldBlock, *, never_indexed: bool = False) -> bytes:
    """The block's fields for HTTP/2, encoded once and kept in it."""
    wire: bytes | None = block.h2
    if wire is None:
        wire = block.h2 = encode(block.fields, never_indexed=never_indexed)
    return wire


def encode_status(status: int) -> bytes:
    """The pseudo-field `:status`."""
    return _STATUSES.get(status) or encode(((b":status", b"%d" % status),))


_INDEXED: Final[dict[Field, bytes]] = {
    field: bytes((0x80 | index,)) for index, field in enumerate(_STATIC) if field[1]
}
_NAMES: Final[dict[bytes, int]] = {
    name: index for index, (name, _) in reversed(tuple(enumerate(_STATIC))) if index
}
_CREDENTIALS: Final = frozenset(
    (b"authorization", b"cookie", b"proxy-authorization", b"set-cookie")
)


def _encode(name: bytes, value: bytes, kind: int) -> bytes:
    if name in _CREDENTIALS:
        kind = 0x10
    size = len(value)
    length = bytes((size,)) if size < 0x7F else _write_integer(size, 0x7F, 0)
    index = _NAMES.get(name)
    if index is None:
        return b"%c%b%b%b%b" % (kind, _write_integer(len(name), 0x7F, 0), name, length, value)
    return b"%b%b%b" % (_write_integer(index, 0x0F, kind), length, value)


def _write_integer(value: int, prefix: int, bits: int) -> bytes:
    """RFC 7541, section 5.1; `prefix` is the largest number that the first byte holds, plus 0."""
    if value < prefix:
        return bytes((bits | value,))
    out = bytearray((bits | prefix,))
    value -= prefix
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


_STATUSES: Final = {status: encode(((b":status", b"%d" % status),)) for status in range(100, 600)}


def _number(block: bytes, position: int, prefix: int) -> tuple[int, int]:
    value = block[position] & prefix
    position += 1
    return _integer(block, position, prefix) if value == prefix else (value, position)


def _integer(block: bytes, position: int, value: int) -> tuple[int, int]:
    """The rest of an integer whose first byte was full."""
    shift = 0
    while True:
        byte = block[position]
        position += 1
        value += (byte & 0x7F) << shift
        if value > _MAX_INTEGER or shift > 28:
            raise IndexError("integer too large")
        if byte < 0x80:
            return value, position
        shift += 7


def _entry(index: int, entries: Iterable[Field]) -> Field:
    if 0 < index < _FIRST_DYNAMIC:
        return _STATIC[index]
    if not index:
        raise IndexError("index 0")
    found: Field = entries[index - _FIRST_DYNAMIC]  # type: ignore[index]  # a deque
    return found


def _literal(block: bytes, position: int, byte: int, entries: Iterable[Field]) -> tuple[Field, int]:
    index, position = _number(block, position, 0x3F if byte & 0x40 else 0x0F)
    if index:
        name = _entry(index, entries)[0]
    else:
        name, position = _string(block, position)
    value, position = _string(block, position)
    return (name, value), position


def _string(block: bytes, position: int) -> tuple[bytes, int]:
    coded = block[position] & 0x80
    length, position = _number(block, position, 0x7F)
    stop = position + length
    if stop > len(block):
        raise IndexError("truncated string")
    text = block[position:stop]
    return (huffman.decode(text) if coded else text), stop
