"""How much unproductive work a peer may cause."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Budget:
    """A token bucket: `burst` at once, `rate` per second after that.

    The clock is read only when the bucket is empty, so that spending costs a subtraction.
    """

    __slots__ = ("_clock", "_filled", "_left", "burst", "rate")

    def __init__(self, burst: int, rate: float, clock: Callable[[], float]) -> None:
        self.burst = burst
        self.rate = rate
        self._clock = clock
        self._left: float = burst
        self._filled = clock()

    def spend(self) -> bool:
        """Take one token; False if there is none."""
        if self._left < 1:
            now = self._clock()
            self._left = min(self.burst, self._left + (now - self._filled) * self.rate)
            self._filled = now
            if self._left < 1:
                return False
        self._left -= 1
        return True

    def add(self, tokens: int) -> None:
        """Put `tokens` in, as far as `burst` allows."""
        self._left = min(self.burst, self._left + tokens)
