"""Texts from elsewhere, made harmless for a terminal.

Paths, user agents and names come from whoever sends a request. Shown as they are, control
characters could rewrite the screen, and format characters could reorder what is read (Unicode
Standard Annex #9).
"""

from __future__ import annotations

_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_FORMATS = frozenset(
    "\u061c\u200b\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e"
    "\u2060\u2066\u2067\u2068\u2069\ufeff"
)


def inert(text: str) -> str:
    r"""The text on one line, with control and format characters as escapes such as `\x1b`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escape(character) for character in text)


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
        f"\\u{ord(character):04x}" if _is_active(character) and character != "\n" else character
        for character in text
    )


def _escape(character: str) -> str:
    if not _is_active(character):
        return character
    if character in _NAMED:
        return _NAMED[character]
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _is_active(character: str) -> bool:
    code = ord(character)
    return code < 0x20 or 0x7F <= code < 0xA0 or 0xD800 <= code < 0xE000 or character in _FORMATS
