"""Which of the 65,279 addresses for Sessions are free.

An address is an index from 1 to 65534 that is no multiple of 256, the same in both families. It is
chosen at random, so that who connects next cannot tell which one he gets, and rests for ten minutes
after its use, so that what was under way to the former Session reaches nobody else.
"""

from __future__ import annotations

import random
from collections import deque
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from octelium.store.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

REST: Final = 600.0
"""Seconds between the end of a connection and the next use of its address by another Session."""
LARGEST: Final = 65534


def is_index(index: int) -> bool:
    """Whether an index may be given to a Session."""
    return 0 < index <= LARGEST and index % 256 != 0


class SessionAddresses:
    """The free, the used and the resting indexes. Every operation takes constant time, unless
    hardly any is free.

    `pick` only chooses; what is in use is told by `use` and `release`, after the commit.
    """

    def __init__(self, chooser: random.Random | None = None) -> None:
        self._chooser = chooser or random.SystemRandom()
        self._free = [index for index in range(1, LARGEST + 1) if index % 256]
        self._places: list[int] = [-1] * (LARGEST + 1)
        for place, index in enumerate(self._free):
            self._places[index] = place
        self._used: dict[int, str] = {}
        self._resting: dict[int, tuple[str, float]] = {}
        self._queue: deque[tuple[float, int]] = deque()

    def pick(
        self,
        owner: str,
        now: float,
        former: int | None = None,
        picked: Mapping[int, str] = MappingProxyType({}),
    ) -> int:
        """An index for the Session `owner`: the one it had, if nobody else has it now.

        `picked` are those that are about to be used, and by whom.

        Raises:
            Unavailable: all are used or resting.
        """
        self._wake(now)
        if (
            former is not None
            and is_index(former)
            and self._may_have(owner, former)
            and picked.get(former, owner) == owner
        ):
            return former
        free = self._free
        if len(free) <= len(picked):
            free = [index for index in free if index not in picked]
        if not free:
            raise Unavailable("every address for Sessions is in use: try again later")
        while (index := free[self._chooser.randrange(len(free))]) in picked:
            pass
        return index

    def use(self, index: int, owner: str) -> None:
        """A Session is connected with an index from now on."""
        if is_index(index):
            self._take_out(index)
            self._resting.pop(index, None)
            self._used[index] = owner

    def release(self, index: int, owner: str, now: float) -> None:
        """A Session is not connected with an index any more; for others it rests."""
        if self._used.get(index) == owner:
            del self._used[index]
            self.rest(index, owner, now + REST)

    def rest(self, index: int, owner: str, until: float) -> None:
        """Keep an index that nobody uses from everybody but `owner` until then (unix seconds)."""
        if is_index(index) and index not in self._used:
            self._take_out(index)
            self._resting[index] = owner, until
            self._queue.append((until, index))

    def _may_have(self, owner: str, index: int) -> bool:
        if index in self._used:
            return self._used[index] == owner
        return index not in self._resting or self._resting[index][0] == owner

    def _wake(self, now: float) -> None:
        while self._queue and self._queue[0][0] <= now:
            until, index = self._queue.popleft()
            if self._resting.get(index, ("", 0.0))[1] == until:
                del self._resting[index]
                self._places[index] = len(self._free)
                self._free.append(index)

    def _take_out(self, index: int) -> None:
        place = self._places[index]
        if place < 0:
            return
        last = self._free.pop()
        if last != index:
            self._free[place] = last
            self._places[last] = place
        self._places[index] = -1
