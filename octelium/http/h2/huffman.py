"""Decoding of HPACK's Huffman code, a byte at a time.

The `hpack` package walks its state machine by half bytes; here two of its steps are joined when
they are first met, which halves the work and keeps the table as small as the texts are plain.
"""

from __future__ import annotations

from typing import Final

from hpack.huffman_table import (
    HUFFMAN_COMPLETE,
    HUFFMAN_EMIT_SYMBOL,
    HUFFMAN_FAIL,
    HUFFMAN_TABLE,
)

_Step = tuple[int, bytes, bool]

_STEPS: Final[dict[int, _Step]] = {}
"""From `state << 8 | byte` to the next state (shifted), the symbols it yields, and whether the
text may end here. At most 65,536 entries."""


_MAX_KNOWN: Final = 1024
_MAX_KNOWN_SIZE: Final = 48
_KNOWN: Final[dict[bytes, bytes]] = {}
"""Short codes met before: servers send the same few values with every response."""


class HuffmanError(ValueError):
    """The bytes are no Huffman code of RFC 7541, appendix B, or their padding is wrong."""


def decode(data: bytes) -> bytes:
    """The text that `data` stands for. Raises HuffmanError."""
    known = _KNOWN.get(data)
    if known is not None:
        return known
    text = _decode(data)
    if len(data) <= _MAX_KNOWN_SIZE:
        if len(_KNOWN) >= _MAX_KNOWN:
            _KNOWN.clear()
        _KNOWN[data] = text
    return text


def _decode(data: bytes) -> bytes:
    state = 0
    complete = True
    texts = []
    steps = _STEPS
    for byte in data:
        try:
            state, text, complete = steps[state | byte]
        except KeyError:
            state, text, complete = _joined(state | byte)
        texts.append(text)
    if not complete:
        raise HuffmanError("incomplete Huffman code")
    return b"".join(texts)


def _joined(key: int) -> _Step:
    state = key >> 8
    text = b""
    flags = 0
    for nibble in (key >> 4 & 0xF, key & 0xF):
        state, flags, symbol = HUFFMAN_TABLE[state * 16 + nibble]
        if flags & HUFFMAN_FAIL:
            raise HuffmanError("invalid Huffman code")
        if flags & HUFFMAN_EMIT_SYMBOL:
            text += bytes((symbol,))
    step = (state << 8, text, bool(flags & HUFFMAN_COMPLETE))
    _STEPS[key] = step
    return step
