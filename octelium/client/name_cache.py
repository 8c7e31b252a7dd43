"""Names of resources that were seen a moment ago, for shells that complete them."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from octelium.client.storage import Storage

FILE: Final = "names.json"
FRESH: Final = 60.0
"""Seconds for which names are as good as new."""
KEPT: Final = 86_400.0
"""Seconds for which they are better than none, when the Cluster does not answer in time."""
_MOST: Final = 32
"""Lists; the oldest one goes."""
_LONGEST: Final = 1 << 20
_WRITING: Final = threading.Lock()


@dataclass(frozen=True, slots=True)
class Seen:
    """Names, when they were seen (Unix seconds), and whether that is within the last minute."""

    names: list[str]
    at: float
    is_fresh: bool


class NameCache:
    """Lists of names by a key, in a file that only its user can read.

    It is a cache: what is damaged in it counts as missing, and of two processes that write at once
    one wins.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def get(self, key: str, now: float) -> Seen | None:
        """The names under `key`, if they are not too old; `now` in Unix seconds.

        Raises StateError.
        """
        entry = self._read().get(key)
        if entry is None or not 0 <= now - entry["at"] < KEPT:
            return None
        return Seen(entry["names"], entry["at"], now - entry["at"] < FRESH)

    def put(self, key: str, names: list[str], now: float) -> None:
        """Remember names in place of those under `key`. Raises StateError."""
        with _WRITING:
            entries = self._read() | {key: {"at": now, "names": names}}
            kept = sorted(entries.items(), key=lambda item: float(item[1]["at"]))[-_MOST:]
            text = json.dumps(dict(kept), separators=(",", ":"))
            if len(text) <= _LONGEST:
                self._storage.write(FILE, text.encode())

    def _read(self) -> dict[str, dict[str, Any]]:
        content = self._storage.read(FILE)
        if not content or len(content) > _LONGEST:
            return {}
        try:
            entries = json.loads(content)
        except (ValueError, RecursionError):
            return {}
        if not isinstance(entries, dict):
            return {}
        return {key: entry for key, entry in entries.items() if _is_entry(entry)}


def _is_entry(entry: object) -> bool:
    if not isinstance(entry, dict):
        return False
    at, names = entry.get("at"), entry.get("names")
    return (
        isinstance(at, int | float)
        and not isinstance(at, bool)
        and isinstance(names, list)
        and all(isinstance(name, str) for name in names)
    )
