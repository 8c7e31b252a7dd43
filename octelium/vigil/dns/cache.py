"""Answers of other resolvers that are kept for a while, within a number of bytes."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from octelium.vigil.dns.answers import Received
    from octelium.vigil.dns.wire import Answer

_OVERHEAD: Final = 900
"""What an entry takes beside its records: objects, keys, the places of lifetimes."""
_PER_LIFETIME: Final = 40


class Cache:
    """What was used least recently goes first. `clock` gives seconds that only increase."""

    def __init__(self, most_bytes: int, clock: Callable[[], float]) -> None:
        self._most = most_bytes
        self._clock = clock
        self._entries: OrderedDict[Hashable, tuple[Received, float, float, int]] = OrderedDict()
        self.size = 0
        """Bytes taken, about."""

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Hashable) -> Answer | None:
        """An answer that is still good, its lifetimes counted down."""
        found = self._entries.get(key)
        if found is None:
            return None
        received, since, until, _ = found
        now = self._clock()
        if now >= until:
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return received.aged(int(now - since))

    def put(self, key: Hashable, received: Received, seconds: float) -> None:
        """Keep an answer; one that is not to be kept at all, or too large, is not."""
        self._drop(key)
        cost = len(received.answer.records) + len(received.lifetimes) * _PER_LIFETIME + _OVERHEAD
        if seconds <= 0 or cost > self._most:
            return
        now = self._clock()
        self._entries[key] = (received, now, now + seconds, cost)
        self.size += cost
        while self.size > self._most:
            self._drop(next(iter(self._entries)))

    def _drop(self, key: Hashable) -> None:
        found = self._entries.pop(key, None)
        if found is not None:
            self.size -= found[3]
