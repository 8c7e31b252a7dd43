"""Explanations on a terminal: coloured, and folded so that they fit."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Final

from octelium.cli.inert import inert
from octelium.policy.narration import Tone, narrate

if TYPE_CHECKING:
    from octelium.cli.terminal import Terminal
    from octelium.schema.pb import ext_v1_pb2 as ext

_STYLES: Final[dict[Tone, tuple[str, ...]]] = {
    Tone.PLAIN: (),
    Tone.HEADING: ("bold",),
    Tone.GOOD: ("green",),
    Tone.BAD: ("red",),
    Tone.DIM: ("dim",),
}
_LEAST: Final = 40
"""Columns below which folding would not help."""


def show_explanation(terminal: Terminal, explanation: ext.Explanation, margin: str = "") -> None:
    """Write an explanation, every line behind `margin`."""
    columns = terminal.columns()
    for line in narrate(explanation):
        indent = f"{margin}{'  ' * line.indent}"
        text = inert(line.text)
        rows = [text]
        if columns is not None:
            rows = textwrap.wrap(
                text,
                max(columns - len(indent), _LEAST),
                subsequent_indent="    ",
                break_on_hyphens=False,
                break_long_words=False,
            ) or [""]
        styles = _STYLES[line.tone]
        for row in rows:
            shown = terminal.style(row, *styles) if styles and row else row
            terminal.show(f"{indent}{shown}".rstrip())
