"""Characters that nobody sees: control and format characters, such as those that reorder a line.

What they do to a text is the Unicode Standard's (Annex #9, and chapter 23); what they do on a
terminal is worse. YAML and JSON can say each of them by an escape.
"""

from __future__ import annotations

import unicodedata
from typing import Final

_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_NAMED: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def is_unseen(character: str) -> bool:
    """Whether a character is a control or format character, a lone surrogate or a separator."""
    return not character.isprintable() and unicodedata.category(character) in _CATEGORIES


def has_unseen(text: str) -> bool:
    """Whether a text has such characters besides newlines."""
    if text.isprintable():
        return False
    return any(character != "\n" and is_unseen(character) for character in text)


def visible(text: str) -> str:
    r"""The text with unseen characters but newlines and tabulators as escapes such as `\u202e`."""
    if text.isprintable():
        return text
    return "".join(
        _escape(character) if character not in "\n\t" and is_unseen(character) else character
        for character in text
    )


def one_line(text: str) -> str:
    r"""The text with all unseen characters as escapes, such as `\n` and `\x1b`.

    No part of a name can then begin a line of its own, which terminals and the logs of CI systems
    would take for somebody else's words.
    """
    if text.isprintable():
        return text
    return "".join(
        _NAMED.get(character) or _escape(character) if is_unseen(character) else character
        for character in text
    )


def escaped_yaml(text: str) -> str:
    """YAML with the same value without unseen characters but newlines.

    All texts in it that have some must stand between double quotation marks (YAML 1.2, 5.7).
    """
    if not has_unseen(text):
        return text
    return "".join(
        _escape(character) if character != "\n" and is_unseen(character) else character
        for character in text
    )


def _escape(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
