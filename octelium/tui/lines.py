"""Lines of a page, and how each is meant; what a tone looks like is `octelium.tui.look`'s."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from octelium.tui import inert

if TYPE_CHECKING:
    from collections.abc import Iterable


class Tone(StrEnum):
    """How a text is meant. It is never all that tells it: words do."""

    PLAIN = "plain"
    HEADING = "heading"
    GOOD = "good"
    BAD = "bad"
    WARN = "warn"
    DIM = "dim"
    ACCENT = "accent"
    PICTURE = "picture"


class Line(NamedTuple):
    """One line, which is inert."""

    text: str
    tone: Tone = Tone.PLAIN


def told(text: str, tone: Tone = Tone.PLAIN) -> list[Line]:
    """The lines of a text from elsewhere."""
    return [Line(line, tone) for line in inert.lines(text)]


def section(title: str, texts: Iterable[str], tone: Tone = Tone.PLAIN) -> list[Line]:
    """A heading and what belongs to it, indented; nothing if there is nothing."""
    body = [Line(f"  {line.text}", tone) for text in texts for line in told(text)]
    return [Line(""), Line(inert.cell(title), Tone.HEADING), *body] if body else []


def difference(text: str) -> list[Line]:
    """A unified diff, coloured."""
    tones = {"+": Tone.GOOD, "-": Tone.BAD, "@": Tone.ACCENT}
    found = []
    for line in inert.lines(text):
        is_head = line.startswith(("+++", "---"))
        found.append(Line(line, Tone.HEADING if is_head else tones.get(line[:1], Tone.PLAIN)))
    return found
