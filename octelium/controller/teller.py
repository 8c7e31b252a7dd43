"""Tells how containers are: what has changed, and not too often."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from octelium.controller.managed import Key
    from octelium.controller.status import ContainerStatus

EVERY = 1.0
"""Seconds between two reports."""
MOST = 64
"""States that are told in one report."""
EVENTS_EVERY = 10.0
"""Seconds between two reports of one container when only its events are new."""


class Teller:
    """Hands `tell` the states that are not those it had last.

    `state` is asked for the state of a key; None if there is none to tell.
    """

    def __init__(
        self,
        state: Callable[[Key], ContainerStatus | None],
        tell: Callable[[Sequence[ContainerStatus]], None],
        *,
        every: float = EVERY,
        events_every: float = EVENTS_EVERY,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._state = state
        self._tell = tell
        self._every = every
        self._events_every = events_every
        self._now = now
        self._told: dict[Key, tuple[float, ContainerStatus]] = {}
        self._dirty: dict[Key, None] = {}
        self._later: dict[Key, float] = {}
        """Those of which only events are new, with the moment when they are due."""
        self._changed = asyncio.Event()

    def mark(self, key: Key) -> None:
        """The state of `key` may be another."""
        self._dirty[key] = None
        self._changed.set()

    def anew(self, key: Key) -> None:
        """Tell the state of `key` whatever it was: the container is another for who is told."""
        self._told.pop(key, None)
        self.mark(key)

    def again(self, keys: Collection[Key]) -> None:
        """Whoever is told has forgotten everything: tell the states of `keys` anew."""
        self._told.clear()
        self._dirty.update(dict.fromkeys(keys))
        self._changed.set()

    def flush(self) -> int:
        """Tell what is to be told now, of `MOST` containers, and return of how many it was."""
        now = self._now()
        for key in [key for key, due in self._later.items() if due <= now]:
            self._dirty[key] = None
        states: list[ContainerStatus] = []
        for key in tuple(itertools.islice(self._dirty, MOST)):
            del self._dirty[key]
            self._later.pop(key, None)
            state = self._state(key)
            if state is None:
                self._told.pop(key, None)
                continue
            when, before = self._told.get(key, (0.0, None))
            if state == before:
                continue
            due = when + self._events_every
            if before is not None and now < due and _alike(state, before):
                self._later[key] = due
                continue
            self._told[key] = (now, state)
            states.append(state)
        if states:
            self._tell(states)
        return len(states)

    async def run(self) -> None:
        """Tell until cancelled."""
        while True:
            self._changed.clear()
            if not self._dirty:
                # At the time-out, events that were held back are due.
                wait = max(0.0, min(self._later.values()) - self._now()) if self._later else None
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._changed.wait()
            # Also without a state to tell, others must have their turn.
            await asyncio.sleep(self._every if self.flush() else 0.0)


def _alike(one: ContainerStatus, other: ContainerStatus) -> bool:
    return dataclasses.replace(one, events=other.events) == other
