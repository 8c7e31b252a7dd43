"""How often strangers may have the Cluster do something for them that others pay for.

A token bucket for each of them: so much at once, and so much more a second. What turns out to be
right is given back, so only what comes to nothing counts in the end.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST: Final = 16_384


class Pace:
    """By key, `burst` at once and `rate` a second. The oldest keys are forgotten beyond a bound."""

    def __init__(
        self, burst: float, rate: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._burst = burst
        self._rate = rate
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """What was left, and when."""

    def take(self, key: str) -> bool:
        """Whether it may be done once more, which this counts as."""
        left, now = self._now(key)
        if left < 1:
            return False
        self._keep(key, left - 1, now)
        return True

    def give_back(self, key: str) -> None:
        """What was taken last does not count."""
        left, now = self._now(key)
        self._keep(key, left + 1, now)

    def _now(self, key: str) -> tuple[float, float]:
        now = self._clock()
        left, at = self._left.get(key, (self._burst, now))
        return min(self._burst, left + (now - at) * self._rate), now

    def _keep(self, key: str, left: float, now: float) -> None:
        self._left.pop(key, None)
        if left < self._burst:
            self._left[key] = (left, now)
            if len(self._left) > _MOST:
                self._left.popitem(last=False)
