"""Keys that are to be looked at: each once, by one worker at a time, some not before a moment."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

K = TypeVar("K", bound="Hashable")


class WorkQueue(Generic[K]):
    """A queue without doubles.

    A key that is added again while a worker has it comes back when the worker is done. Each step
    costs the logarithm of what waits, whatever else is due.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._due: dict[K, float] = {}
        self._order: list[tuple[float, int, K]] = []
        """A heap of all that nobody has; an entry whose moment is not that of its key is void."""
        self._number = itertools.count()
        self._taken: set[K] = set()
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._due)

    @property
    def idle(self) -> bool:
        """Whether no worker has a key and none is due."""
        first = self._first()
        return not self._taken and (first is None or first > self._now())

    def add(self, key: K, after: float = 0.0) -> None:
        """Have `key` looked at in `after` seconds, or earlier if that was asked for already."""
        due = self._now() + after
        if due < self._due.get(key, float("inf")):
            self._due[key] = due
            self._line_up(key)

    def take(self) -> K | None:
        """A key that is due, if there is one; the caller has it until `done`."""
        first = self._first()
        if first is None or first > self._now():
            return None
        _, _, key = heapq.heappop(self._order)
        del self._due[key]
        self._taken.add(key)
        return key

    async def get(self) -> K:
        """The next key, as soon as there is one."""
        while True:
            key = self.take()
            if key is not None:
                return key
            self._changed.clear()
            first = self._first()
            wait = None if first is None else max(0.0, first - self._now())
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def done(self, key: K) -> None:
        """The worker is through with `key`."""
        self._taken.discard(key)
        if key in self._due:
            self._line_up(key)

    def _line_up(self, key: K) -> None:
        if key not in self._taken:
            heapq.heappush(self._order, (self._due[key], next(self._number), key))
            self._changed.set()

    def _first(self) -> float | None:
        """The earliest moment at which a key is due that nobody has."""
        while self._order:
            moment, _, key = self._order[0]
            if key not in self._taken and self._due.get(key) == moment:
                return moment
            heapq.heappop(self._order)
        return None
