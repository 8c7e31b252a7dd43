"""Texts from elsewhere, made harmless for a grid of cells.

Paths, User-Agents and names come from whoever sends a request. Beyond what control and format
characters do to any terminal (Unicode Standard Annex #9, ECMA-48), a grid is broken by characters
of which nobody knows the width, and by marks that pile up over other lines. All of these are shown
as escapes, and no text is longer than a cell can need. Markup is no danger, as texts are only drawn
by segments, never parsed.
"""

from __future__ import annotations

import unicodedata
from typing import Final

from rich.cells import cell_len, set_cell_size

from octelium.cli.inert import inert as _without_controls

CELL: Final = 300
"""Characters of one cell of a table."""
LINE: Final = 2000
"""Characters of one line of a page."""
_MARKS: Final = 2
"""Marks over one letter that scripts of the world need; more are a pile."""
_SPACES: Final = "\u3000"
_BLANKS: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Letters and marks that show nothing (`Default_Ignorable_Code_Point`, and the empty Braille)."""
_UNKNOWN: Final = frozenset({"Cn", "Co", "Zs"})
_PASSED: Final = 4
"""Characters of input for each that may be shown; no more of a text is looked at."""


def cell(text: str, most: int = CELL) -> str:
    """The text on one line of at most `most` characters, with an ellipsis where it was cut."""
    if len(text) <= most and text.isascii() and text.isprintable():
        return text
    shown = _escaped(_without_controls(text[: most * _PASSED]))
    return shown if len(shown) <= most and len(text) <= most * _PASSED else f"{shown[: most - 1]}…"


def lines(text: str, most: int = LINE) -> list[str]:
    """The lines of a text, each as `cell`; a tabulator is two spaces."""
    return [cell(line.replace("\t", "  "), most) for line in text.split("\n")]


def fitted(text: str, width: int) -> str:
    """An inert text in exactly `width` columns, with an ellipsis where it is cut."""
    if width <= 0:
        return ""
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    return set_cell_size(set_cell_size(text, width - 1).rstrip() + "…", width)


def shortened(text: str, width: int) -> str:
    """As `fitted`, but what is cut is the middle: names that belong together often begin alike."""
    if width < 8 or not text.isascii() or len(text) <= width:
        return fitted(text, width)
    end = (width - 1) // 2
    return f"{text[: width - 1 - end]}…{text[-end:]}"


def _escaped(text: str) -> str:
    if text.isascii():
        return text
    parts: list[str] = []
    pile = 0
    for character in text:
        if character.isascii():
            pile = 0
            parts.append(character)
            continue
        category = unicodedata.category(character)
        is_mark = category in ("Mn", "Me")
        pile = pile + 1 if is_mark else 0
        is_lone = is_mark and not parts
        if (
            (category in _UNKNOWN and character not in _SPACES)
            or character in _BLANKS
            or 0xFE00 <= ord(character) <= 0xFE0F
            or 0xE0100 <= ord(character) <= 0xE01EF
            or pile > _MARKS
            or is_lone
        ):
            code = ord(character)
            parts.append(f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")
        else:
            parts.append(character)
    return "".join(parts)
