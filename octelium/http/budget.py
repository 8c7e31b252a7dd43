"""A bound on what strangers may take up: in all, and a share of it for each of them.

Nobody is turned away for what others take: whoever takes more than a share loses the oldest of it,
and when everything is taken, so does whoever has the most.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Budget:
    """At most `most` of something, and at most `each` of it for one owner."""

    def __init__(self, most: int, each: int) -> None:
        self._most = most
        self._each = each
        self._taken = 0
        self._owners: dict[str, _Owner] = {}

    def place(self, owner: str, evict: Callable[[], None]) -> Place:
        """A place for `owner`, which takes nothing yet.

        `evict` is called if the place is given to somebody else, from within whatever takes that:
        also from within this place's own `take`.
        """
        return Place(self, owner, evict)

    @property
    def taken(self) -> int:
        """How much is taken."""
        return self._taken

    def _add(self, place: Place, amount: int) -> None:
        owner = self._owners.get(place.owner)
        if owner is None:
            owner = self._owners[place.owner] = _Owner()
        owner.places[place] = None
        owner.taken += amount
        place.taken += amount
        self._taken += amount
        while owner.taken > self._each:
            self._evict(owner)
        while self._taken > self._most:
            self._evict(max(self._owners.values(), key=_taken))

    def _remove(self, place: Place) -> None:
        owner = self._owners.get(place.owner)
        if owner is None or place not in owner.places:
            return
        del owner.places[place]
        owner.taken -= place.taken
        self._taken -= place.taken
        place.taken = 0
        if not owner.places:
            del self._owners[place.owner]

    def _evict(self, owner: _Owner) -> None:
        place = next(iter(owner.places))
        self._remove(place)
        place.evict()


class Place:
    """What one thing takes up."""

    __slots__ = ("_budget", "evict", "owner", "taken")

    def __init__(self, budget: Budget, owner: str, evict: Callable[[], None]) -> None:
        self._budget = budget
        self.owner = owner
        self.evict = evict
        self.taken = 0

    def take(self, amount: int) -> None:
        """Take so much more, which may evict this place or others."""
        self._budget._add(self, amount)  # noqa: SLF001 - the two are one thing

    def leave(self) -> None:
        """Give everything back. Does nothing the second time, and after an eviction."""
        self._budget._remove(self)  # noqa: SLF001 - the two are one thing


class _Owner:
    __slots__ = ("places", "taken")

    def __init__(self) -> None:
        self.places: dict[Place, None] = {}
        """The oldest first."""
        self.taken = 0


def _taken(owner: _Owner) -> int:
    return owner.taken
