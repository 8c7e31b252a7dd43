"""How often strangers may have the Cluster do something for them that others pay for.

A token bucket for each of them: so much at once, and so much more a second. Who comes too often
waits for a moment, so that others at the same address are slowed down but not shut out. What turns
out to be right is given back: only what comes to nothing counts in the end.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST: Final = 16_384
_PATIENCE: Final = 5.0
"""Seconds that anybody waits."""


class Pace:
    """By key, `burst` at once and `rate` a second. The oldest keys are forgotten beyond a bound."""

    def __init__(
        self, burst: float, rate: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._burst = burst
        self._rate = rate
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """What was left, and when; less than nothing where somebody waits."""

    def take(self, key: str) -> float | None:
        """Seconds after which it may be done once more, which this counts as.

        None if that is too long to wait for, which does not count.
        """
        left, now = self._now(key)
        missing = 1 - left
        if missing > 0 and missing > self._rate * _PATIENCE:
            return None
        self._keep(key, left - 1, now)
        return missing / self._rate if missing > 0 else 0.0

    def is_spent(self, key: str) -> bool:
        """Whether nothing is left at present."""
        return self._now(key)[0] < 1

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
