"""Plain tables: aligned columns without lines around them."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from octelium.cli.inert import inert

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_GAP = "  "
_WIDEST = 256
"""Columns to which cells are filled up: one name must not multiply with the number of rows."""


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lines of columns. An empty cell is shown as `-`, so that every line has as many fields."""
    cells = [list(headers), *([inert(cell) or "-" for cell in row] for row in rows)]
    widths = [widest(column) for column in zip(*cells, strict=True)]
    return "\n".join(line(row, widths) for row in cells)


def line(row: Sequence[str], widths: Sequence[int]) -> str:
    """One row, each cell filled up to its column's width, without spaces at the end."""
    padded = (cell + " " * (size - width(cell)) for cell, size in zip(row, widths, strict=True))
    return _GAP.join(padded).rstrip()


def widest(cells: Iterable[str]) -> int:
    """The width of a column, bounded."""
    return min(max(map(width, cells)), _WIDEST)


def width(text: str) -> int:
    """The columns that a text takes on a terminal (Unicode Standard Annex #11)."""
    if text.isascii():
        return len(text)
    return sum(_cell_width(character) for character in text)


def shortened(text: str, size: int) -> str:
    """The text in at most `size` columns, with an ellipsis where it is cut."""
    if width(text) <= size:
        return text
    kept, used = "", 1
    for character in text:
        used += _cell_width(character)
        if used > size:
            break
        kept += character
    return f"{kept}…"


def _cell_width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
