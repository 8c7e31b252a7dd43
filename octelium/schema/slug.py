"""The form of a text by which it is indexed: e-mail addresses, identities."""

from __future__ import annotations

import re
import unicodedata

_OTHER = re.compile(r"[^a-z0-9_-]+")


def slug(text: str) -> str:
    """Lower-case ASCII with everything but letters, digits, `_` and `-` made one `-`.

    Accents are dropped; other letters become their code points, so that texts in another script
    keep apart. Different texts may share a slug: whoever looks up by it compares the text itself.
    """
    plain = "".join(
        char
        if char.isascii()
        else ""
        if unicodedata.combining(char)
        else f"u{ord(char):x}"
        if char.isalnum()
        else "-"
        for char in unicodedata.normalize("NFKD", text.lower())
    )
    return _OTHER.sub("-", plain).strip("-")
