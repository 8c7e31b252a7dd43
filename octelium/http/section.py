"""Header sections of HTTP/1.1: parsed once per distinct bytes."""

from __future__ import annotations

from typing import Final

from octelium.http.message import EMPTY_BLOCK, Field, HeaderBlock, MessageError
from octelium.http.syntax import OWS, field_lines, is_section

MAX_FIELDS: Final = 200


def parse_section(raw: bytes) -> HeaderBlock:
    """Parse field lines, each ended by CR LF, without the empty line.

    Raises:
        MessageError: the bytes are not valid field lines (400), or there are too many (431).
    """
    if is_section(raw) is None:
        raise MessageError("malformed header section")
    lines = field_lines(raw)
    if len(lines) > MAX_FIELDS:
        raise MessageError("too many header fields", 431)
    spelled = [(name, value.strip(OWS)) for name, value in lines]
    spelled = combine_cookies(spelled)
    fields = tuple([(name.lower(), value) for name, value in spelled])
    return HeaderBlock(fields, tuple(spelled))


class SectionCache:
    """Remembers parsed sections by their bytes, in bounded number, bytes and time.

    Entries hold credentials, so none outlives two turns of `age()` without being asked for again.
    Two generations: whatever is asked for moves to the young one; when that is full, or by `age()`,
    the old one is dropped and the young one becomes old.
    """

    def __init__(
        self, max_entries: int = 4096, max_bytes: int = 8 << 20, max_section: int = 8192
    ) -> None:
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._max_section = max_section
        self._young: dict[bytes, HeaderBlock] = {}
        self._old: dict[bytes, HeaderBlock] = {}
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
            if not raw:
                return EMPTY_BLOCK
            self.misses += 1
            block = parse_section(raw)
            if len(raw) > self._max_section:
                return block
        if len(self._young) >= self._max_entries or self._bytes + len(raw) > self._max_bytes:
            self.age()
        self._young[raw] = block
        self._bytes += len(raw)
        return block

    def age(self) -> None:
        """Drop what was not asked for since the last call."""
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
