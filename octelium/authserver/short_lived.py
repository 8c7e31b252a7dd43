"""Things that are remembered for some minutes, and of which anybody may make one.

They are in the memory of one process and gone when it ends. So that nobody can fill it, the oldest
make room for new ones: first those of the same owner, and when there are too many at all, those of
whoever has the most.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class _Entry(NamedTuple, Generic[T]):
    value: T
    owner: str
    ends_at: float


class ShortLived(Generic[T]):
    """Values by key, each for `seconds`; at most `most`, and `most_each` of one owner."""

    def __init__(
        self,
        seconds: float,
        *,
        most: int,
        most_each: int,
        clock: Callable[[], float] = lambda: time.monotonic(),
    ) -> None:
        self._seconds = seconds
        self._most = most
        self._most_each = most_each
        self._clock = clock
        self._entries: OrderedDict[str, _Entry[T]] = OrderedDict()
        self._owned: dict[str, OrderedDict[str, None]] = {}
        self._by_count: dict[int, OrderedDict[str, None]] = {}
        """Owners by how many they have, in the order in which they got as many."""
        self._largest = 0

    def __len__(self) -> int:
        """How many are remembered, those included that are over and not dropped yet."""
        return len(self._entries)

    def put(self, key: str, value: T, owner: str = "") -> None:
        """Remember `value` from now on, instead of what was remembered under `key`."""
        self._drop(key)
        self._drop_ended()
        own = self._owned.get(owner)
        if own is not None and len(own) >= self._most_each:
            self._drop(next(iter(own)))
        if len(self._entries) >= self._most:
            largest = next(iter(self._by_count[self._largest]))
            self._drop(next(iter(self._owned[largest])))
        self._entries[key] = _Entry(value, owner, self._clock() + self._seconds)
        own = self._owned.setdefault(owner, OrderedDict())
        own[key] = None
        self._count(owner, len(own) - 1, len(own))

    def get(self, key: str) -> T | None:
        """What is remembered under `key`, if its time is not over."""
        entry = self._entries.get(key)
        return entry.value if entry is not None and entry.ends_at > self._clock() else None

    def take(self, key: str) -> T | None:
        """What `get` gives, for the last time: of many that ask one gets it."""
        value = self.get(key)
        self._drop(key)
        return value

    def _drop_ended(self) -> None:
        now = self._clock()
        while self._entries:
            key, entry = next(iter(self._entries.items()))
            if entry.ends_at > now:
                return
            self._drop(key)

    def _drop(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is None:
            return
        own = self._owned[entry.owner]
        del own[key]
        self._count(entry.owner, len(own) + 1, len(own))
        if not own:
            del self._owned[entry.owner]

    def _count(self, owner: str, before: int, now: int) -> None:
        """An owner has one more or one less."""
        if before:
            same = self._by_count[before]
            del same[owner]
            if not same:
                del self._by_count[before]
        if now:
            self._by_count.setdefault(now, OrderedDict())[owner] = None
        if now > self._largest or before == self._largest not in self._by_count:
            self._largest = now
