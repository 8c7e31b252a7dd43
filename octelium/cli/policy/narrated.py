"""Explanations on a terminal: coloured, and folded so that they fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from octelium.cli.policy.folding import folded
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


def show_explanation(terminal: Terminal, explanation: ext.Explanation, margin: str = "") -> None:
    """Write an explanation, every line behind `margin`."""
    columns = terminal.columns()
    for line in narrate(explanation):
        indent = f"{margin}{'  ' * line.indent}"
        styles = _STYLES[line.tone]
        for row in folded(line.text, columns, len(indent), 4):
            shown = terminal.style(row, *styles) if styles and row else row
            terminal.show(f"{indent}{shown}".rstrip())
