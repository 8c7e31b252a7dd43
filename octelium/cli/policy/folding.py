"""Long lines folded for a terminal, and left whole for pipes."""

from __future__ import annotations

import textwrap
from typing import Final

from octelium.cli.inert import inert

_LEAST: Final = 40
"""Columns below which folding would not help."""
_JOINT: Final = "\u00a0"


def folded(text: str, columns: int | None, indent: int, hanging: int = 2) -> list[str]:
    """The rows of a text that begins after `indent` columns, without that indentation.

    Further rows stand `hanging` columns further in. `columns` is the terminal's width; None where
    there is none. The text is made inert.
    """
    shown = inert(text)
    if columns is None:
        return [shown]
    # The first word stays with the second: `if` alone on a row says nothing.
    rows = textwrap.wrap(
        shown.replace(" ", _JOINT, 1),
        max(columns - indent, _LEAST),
        subsequent_indent=" " * hanging,
        break_on_hyphens=False,
        break_long_words=False,
    ) or [""]
    return [rows[0].replace(_JOINT, " ", 1), *rows[1:]]
