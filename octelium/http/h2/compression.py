"""HPACK (RFC 7541): reading header blocks with the peer's table, writing them without one.

The static table and the codes are the `hpack` package's; its decoder copies the rest of the block
for every field and reports an oversized list by losing the connection's state, so the walk over a
block is here. What is written never refers to the dynamic table: the same fields are then the same
bytes on every connection and are encoded once.
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

    __slots__ = (
        "_entries",
        "_max_list",
        "_max_table",
        "_table_size",
        "added",
        "generation",
        "independent",
        "size",
    )

    def __init__(self, max_list: int) -> None:
        """`max_list` caps the size of a list, counted as RFC 9113, section 10.5.1 does."""
        self._max_list = max_list
        self._entries: list[Field] = []
        """The newest at the end."""
        self._table_size = 0
        self._max_table = TABLE_SIZE
        self.generation = 0
        """Rises with every change of the table. While it stays, equal blocks mean equal fields."""
        self.independent = True
        """Whether the last block means the same whatever the table holds."""
        self.size = 0
        """Of the last list, as RFC 9113, section 10.5.1 counts it."""
        self.added: list[Field] = []
        """What the last block put into the table."""

    def decode(self, block: bytes) -> list[Field] | None:
        """The fields of `block`; None if they are more than allowed (the table is kept right).

        Raises:
            H2ConnectionError: COMPRESSION_ERROR; what follows cannot be understood any more.
        """
        fields: list[Field] = []
        self.independent = True
        self.added = []
        budget = self._max_list
        position, size = 0, len(block)
        updates = 0
        try:
            while position < size:
                byte = block[position]
                if byte & 0x80:
                    index, position = _integer(block, position, 0x7F)
                    field = self._entry(index)
                elif byte & 0x60 == 0x20:
                    updates += 1
                    position = self._resize(block, position, first=not fields and updates <= 2)
                    continue
                else:
                    index, position = _integer(block, position, 0x3F if byte & 0x40 else 0x0F)
                    if index:
                        name = self._entry(index)[0]
                    else:
                        name, position = _string(block, position)
                    value, position = _string(block, position)
                    field = (name, value)
                    if byte & 0x40:
                        self.added.append(field)
                        self.add(field)
                budget -= len(field[0]) + len(field[1]) + FIELD_OVERHEAD
                if budget >= 0:
                    fields.append(field)
        except (IndexError, huffman.HuffmanError) as error:
            raise H2ConnectionError(ErrorCode.COMPRESSION_ERROR, "broken header block") from error
        self.size = self._max_list - budget
        return fields if budget >= 0 else None

    def add(self, field: Field) -> None:
        """Put a field into the table."""
        self._table_size += len(field[0]) + len(field[1]) + FIELD_OVERHEAD
        self._entries.append(field)
        self._evict()

    def _entry(self, index: int) -> Field:
        if index < _FIRST_DYNAMIC:
            if not index:
                raise IndexError("index 0")
            return _STATIC[index]
        self.independent = False
        return self._entries[_FIRST_DYNAMIC - 1 - index]

    def _resize(self, block: bytes, position: int, *, first: bool) -> int:
        size, position = _integer(block, position, 0x1F)
        if not first or size > TABLE_SIZE:
            raise H2ConnectionError(ErrorCode.COMPRESSION_ERROR, "bad table size update")
        self.independent = False
        self._max_table = size
        self._evict()
        return position

    def _evict(self) -> None:
        """Drop the oldest entries; one that does not fit empties the table (RFC 7541, 4.4)."""
        self.generation += 1
        while self._table_size > self._max_table:
            name, value = self._entries.pop(0)
            self._table_size -= len(name) + len(value) + FIELD_OVERHEAD


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


def encode_target(target: bytes) -> bytes:
    """The pseudo-field `:path`."""
    return b"\x04%b%b" % (_write_integer(len(target), 0x7F, 0), target)


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


def _integer(block: bytes, position: int, prefix: int) -> tuple[int, int]:
    """The integer at `position` and where the next byte stands (RFC 7541, section 5.1)."""
    value = block[position] & prefix
    position += 1
    if value < prefix:
        return value, position
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


def _string(block: bytes, position: int) -> tuple[bytes, int]:
    coded = block[position] & 0x80
    length, position = _integer(block, position, 0x7F)
    stop = position + length
    if stop > len(block):
        raise IndexError("truncated string")
    text = block[position:stop]
    return (huffman.decode(text) if coded else text), stop
