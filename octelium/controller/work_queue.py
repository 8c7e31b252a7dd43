"""Keys that are to be looked at: each once, by one worker at a time, some not before a moment."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

K = TypeVar("K", bound="Hashable")


class WorkQueue(Generic[K]):
    """A queue without doubles.

    A key that is added again while a worker has it comes back when the worker is done.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._due: dict[K, float] = {}
        self._taken: set[K] = set()
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._due)

    @property
    def idle(self) -> bool:
        """Whether no worker has a key and none is due."""
        now = self._now()
        return not self._taken and all(moment > now for moment in self._due.values())

    def add(self, key: K, after: float = 0.0) -> None:
        """Have `key` looked at in `after` seconds, or earlier if that was asked for already."""
        due = self._now() + after
        if due < self._due.get(key, float("inf")):
            self._due[key] = due
            self._changed.set()

    def take(self) -> K | None:
        """A key that is due, if there is one; the caller has it until `done`."""
        now = self._now()
        waiting = [
            (moment, key)
            for key, moment in self._due.items()
            if moment <= now and key not in self._taken
        ]
        if not waiting:
            return None
        _, key = min(waiting, key=lambda one: one[0])
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
            free = [moment for key, moment in self._due.items() if key not in self._taken]
            wait = max(0.0, min(free) - self._now()) if free else None
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def done(self, key: K) -> None:
        """The worker is through with `key`."""
        self._taken.discard(key)
        if key in self._due:
            self._changed.set()
