"""How many containers there may be at a time, and which of them have a place."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from octelium.controller.managed import Key


class Places:
    """At most `most` containers have a place; others wait for one in the order of their coming.

    Who has a place keeps it until it is not wanted any more, whoever else comes: nobody can push
    out a container by asking for others.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._held: set[Key] = set()
        self._waiting: dict[Key, None] = {}

    def begin(self, there: Iterable[Key]) -> None:
        """Begin anew with those that exist, even if they are more."""
        self._held = set(there)
        self._waiting.clear()

    def take(self, key: Key) -> bool:
        """Whether a container has a place, or gets one now; if not, it waits."""
        if key in self._held:
            return True
        if len(self._held) < self.most:
            self._waiting.pop(key, None)
            self._held.add(key)
            return True
        self._waiting[key] = None
        return False

    def leave(self, key: Key) -> tuple[Key, ...]:
        """A container is gone; returns those that have a place by that."""
        self._waiting.pop(key, None)
        self._held.discard(key)
        found = []
        while self._waiting and len(self._held) < self.most:
            first = next(iter(self._waiting))
            del self._waiting[first]
            self._held.add(first)
            found.append(first)
        return tuple(found)
