"""How often something may be done within a time: sliding windows, in the memory of one process."""

from __future__ import annotations

import time
from bisect import bisect_right
from typing import TYPE_CHECKING, Final

from octelium.identity.authenticators.errors import RateLimitError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

AUTHENTICATOR: Final = ((20, 3 * 60.0), (100, 60 * 60.0))
"""Uses of one Authenticator: 20 within 3 minutes, 100 within an hour."""


class RateLimits:
    """`windows` are pairs of a count and of the seconds in which no more than it may happen."""

    def __init__(
        self,
        windows: Sequence[tuple[int, float]] = AUTHENTICATOR,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._windows = windows
        self._longest = max(seconds for _, seconds in windows)
        self._clock = clock
        self._used: dict[str, list[float]] = {}
        self._swept = clock()

    def use(self, key: str) -> None:
        """Count one use of `key`; what is refused does not count.

        Raises:
            RateLimitError: it is one too many.
        """
        now = self._clock()
        self._sweep(now)
        used = self._used.setdefault(key, [])
        del used[: bisect_right(used, now - self._longest)]
        for most, seconds in self._windows:
            if len(used) - bisect_right(used, now - seconds) >= most:
                raise RateLimitError(
                    f"tried {most} times within {round(seconds / 60)} minutes: wait and try again"
                )
        used.append(now)

    def __len__(self) -> int:
        """How many keys are remembered."""
        return len(self._used)

    def _sweep(self, now: float) -> None:
        if now - self._swept < self._longest:
            return
        self._swept = now
        for key in [key for key, used in self._used.items() if used[-1] <= now - self._longest]:
            del self._used[key]
