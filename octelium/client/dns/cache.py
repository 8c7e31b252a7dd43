"""Answers that are kept for a while."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

MOST: Final = 4096
LARGEST: Final = 4096
"""Answers, and bytes of one: 16 MB at most."""


class Cache:
    """What was used least recently goes first. `clock` gives seconds that only increase."""

    def __init__(self, clock: Callable[[], float], most: int = MOST) -> None:
        self._clock = clock
        self._most = most
        self._kept: OrderedDict[Hashable, tuple[bytes, float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Hashable) -> tuple[bytes, int] | None:
        """An answer that is still good, and its age in seconds."""
        found = self._kept.get(key)
        if found is None:
            return None
        wire, since, until = found
        now = self._clock()
        if now >= until:
            del self._kept[key]
            return None
        self._kept.move_to_end(key)
        return wire, int(now - since)

    def put(self, key: Hashable, wire: bytes, seconds: int) -> None:
        """Keep an answer, unless it is large or good for no time."""
        self._kept.pop(key, None)
        if seconds <= 0 or len(wire) > LARGEST:
            return
        now = self._clock()
        self._kept[key] = (wire, now, now + seconds)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def clear(self) -> None:
        """Keep nothing."""
        self._kept.clear()
