"""Header sections of HTTP/1.1: parsed once per distinct bytes."""

from __future__ import annotations

from typing import Final

from octelium.http.message import EMPTY_BLOCK, Field, HeaderBlock, MessageError
from octelium.http.syntax import TOKEN_BYTES, VALUE_BYTES

MAX_FIELDS: Final = 200


def parse_section(raw: bytes) -> HeaderBlock:
    """Parse field lines, each ended by CR LF, without the empty line (RFC 9112, section 5).

    No folding, no space before the colon, no bare CR or LF, no NUL or other control.

    Raises:
        MessageError: the bytes are not valid field lines (400), or there are too many (431).
    """
    if not raw:
        return EMPTY_BLOCK
    lines = raw.split(b"\r\n")
    if lines.pop():
        raise MessageError("malformed header section")
    if len(lines) > MAX_FIELDS:
        raise MessageError("too many header fields", 431)
    # What is left without the bytes that values may have must be one CR LF per line, and nothing
    # that is no token may be left of the names: both at the speed of bytes.translate.
    if raw.translate(None, VALUE_BYTES) != b"\r\n" * len(lines):
        raise MessageError("malformed header section")
    try:
        spellings, rest = zip(*[line.split(b":", 1) for line in lines], strict=True)
    except ValueError:
        raise MessageError("malformed header section") from None
    if b"" in spellings or b"".join(spellings).translate(None, TOKEN_BYTES):
        raise MessageError("malformed header section")
    # Of what strip() takes away, only space and tab can be here.
    values = [value.strip() for value in rest]
    block = HeaderBlock.of([name.lower() for name in spellings], values, spellings)
    if b"cookie" not in block.repeated:
        return block
    fields = combine_cookies(list(zip(spellings, values, strict=True)))
    return HeaderBlock.of(
        [name.lower() for name, _ in fields],
        [value for _, value in fields],
        [name for name, _ in fields],
    )


class SectionCache:
    """Remembers parsed sections by their bytes, in bounded number, bytes and time.

    Entries hold credentials, so none outlives two turns of `age()` without being asked for again.
    Two generations: whatever is asked for moves to the young one; when that is full, or by `age()`,
    the old one is dropped and the young one becomes old. A section is kept when it comes for the
    second time: most that are new will not come again, such as those with an id of the request.
    """

    def __init__(
        self, max_entries: int = 4096, max_bytes: int = 8 << 20, max_section: int = 8192
    ) -> None:
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._max_section = max_section
        self._young: dict[bytes, HeaderBlock] = {}
        self._old: dict[bytes, HeaderBlock] = {}
        self._seen: set[int] = set()
        """Hashes of sections that came once."""
        self._bytes = 0
        self.misses = 0
        """Sections that had to be parsed."""

    def __len__(self) -> int:
        return len(self._young.keys() | self._old.keys())

    def get(self, raw: bytes) -> HeaderBlock:
        """The parsed form of `raw`.

        Raises:
            MessageError: as `parse_section`; failures are not remembered.
        """
        block = self._young.get(raw)
        if block is not None:
            return block
        block = self._old.get(raw)
        if block is None:
            self.misses += 1
            block = parse_section(raw)
            if not self._worth_keeping(raw):
                return block
        if len(self._young) >= self._max_entries or self._bytes + len(raw) > self._max_bytes:
            self.age()
        self._young[raw] = block
        self._bytes += len(raw)
        return block

    def _worth_keeping(self, raw: bytes) -> bool:
        if len(raw) > self._max_section:
            return False
        key = hash(raw)
        if key in self._seen:
            return True
        if len(self._seen) >= 4 * self._max_entries:
            self._seen.clear()
        self._seen.add(key)
        return False

    def age(self) -> None:
        """Drop what was not asked for since the last call."""
        self._seen.clear()
        self._old = self._young
        self._young = {}
        self._bytes = 0


def combine_cookies(fields: list[Field]) -> list[Field]:
    """Join several `Cookie` fields, in any spelling, into one where the first stood.

    HTTP/2 splits them on purpose (RFC 9113, section 8.2.3); whoever reads only the first of them
    must not miss what an upstream would find in the second.
    """
    places = [index for index, (name, _) in enumerate(fields) if name.lower() == b"cookie"]
    if len(places) < 2:
        return fields
    first = places[0]
    joined = (fields[first][0], b"; ".join([fields[index][1] for index in places]))
    others = set(places[1:])
    return [
        joined if index == first else field
        for index, field in enumerate(fields)
        if index not in others
    ]
