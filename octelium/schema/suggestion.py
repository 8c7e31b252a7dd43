"""The word that somebody probably meant."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def closest(word: str, words: Iterable[str]) -> str | None:
    """The one of `words` that resembles `word`, or None when none does.

    Case and separators count less than letters, so that `client_id` and `clientid` find `clientID`.
    """
    by_key: dict[str, str] = {}
    for candidate in words:
        by_key.setdefault(_key(candidate), candidate)
    key = _key(word[:200])
    if key in by_key:
        return by_key[key]
    found = difflib.get_close_matches(key, by_key, n=1, cutoff=0.6)
    return by_key[found[0]] if found else None


def did_you_mean(word: str, words: Iterable[str], *, otherwise: str = "") -> str:
    """A remedy for an unknown word: the closest known one, else `otherwise`."""
    found = closest(word, words)
    return f"did you mean {found}?" if found is not None else otherwise


def _key(word: str) -> str:
    return word.replace("_", "").replace("-", "").lower()
