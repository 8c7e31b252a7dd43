"""Texts from elsewhere, made harmless for a terminal.

Paths, user agents and names come from whoever sends a request. Shown as they are, control
characters could rewrite the screen, and format characters could reorder what is read (Unicode
Standard Annex #9).
"""

from __future__ import annotations

import json

from octelium.schema.unseen import is_unseen, one_line


def inert(text: str) -> str:
    r"""The text on one line, with control and format characters as escapes such as `\x1b`."""
    return one_line(text)


def inert_lines(text: str) -> str:
    """As `inert`, but lines stay lines."""
    return "\n".join(inert(line) for line in text.split("\n"))


def inert_json(text: str) -> str:
    r"""JSON text with the same value that shows no control or format characters.

    They can only stand within its strings, where `\u001b` means the same.
    """
    if text.isascii() and "\x7f" not in text:
        return text
    return "".join(
        json.dumps(character)[1:-1] if is_unseen(character) and character != "\n" else character
        for character in text
    )
