"""A link as something that a phone can read."""

from __future__ import annotations

import io
import textwrap
from typing import TYPE_CHECKING, Final

import segno

from octelium.tui import inert
from octelium.tui.lines import Line, Tone, told

if TYPE_CHECKING:
    from octelium.tui.data import Invited


_BESIDE: Final = 34
"""Columns of the text beside the picture."""


def drawn(text: str) -> list[str]:
    """A QR code in half blocks, two rows of it in each line; dark on light where blocks are light.

    The lowest level of correction keeps it small: screens are not scratched.
    """
    written = io.StringIO()
    segno.make(text, error="l", micro=False, boost_error=False).save(written, kind="txt", border=2)
    rows = written.getvalue().splitlines()
    rows += ["0" * len(rows[0])] if len(rows) % 2 else []
    blocks = {("0", "0"): "█", ("0", "1"): "▀", ("1", "0"): "▄", ("1", "1"): " "}
    return [
        "".join(blocks[pair] for pair in zip(upper, lower, strict=True))
        for upper, lower in zip(rows[::2], rows[1::2], strict=True)
    ]


def invitation(made: Invited, now: float) -> list[Line]:
    """The picture of a link with what to know of it beside, then the link."""
    minutes = max(0, round((made.expires_at - now) / 60))
    user = inert.cell(made.user, _BESIDE * 2)
    told_of = f"For {user}, and nobody else: whoever opens it first becomes {user}."
    beside = [*textwrap.wrap(told_of, _BESIDE), "", *textwrap.wrap(
        f"It works once, within {minutes} minutes.", _BESIDE
    ), "", "The link stands below (End)."]  # fmt: skip
    rows = drawn(made.url)
    beside += [""] * (len(rows) - len(beside))
    lines = [
        Line(f"{row}  {text}".rstrip(), Tone.PICTURE)
        for row, text in zip(rows, beside, strict=False)
    ]
    return [*lines, Line(""), *told(made.url, Tone.ACCENT)]
