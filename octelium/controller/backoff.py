"""How long to wait before what failed is tried again: longer each time, and never in step."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_DOUBLINGS = 16


class Backoff:
    """Doubles from `first` seconds up to `most`; a random half of it keeps callers apart."""

    def __init__(
        self,
        first: float = 0.5,
        most: float = 60.0,
        *,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._first = first
        self._most = most
        self._chance = chance
        self.failures = 0
        """How often in a row it failed."""

    def next(self, at_least: float = 0.0) -> float:
        """Seconds to wait after one more failure, `at_least` as many as the server asks for."""
        base = min(self._most, self._first * 2.0 ** min(self.failures, _DOUBLINGS))
        self.failures += 1
        return at_least + base * (0.5 + self._chance() / 2)

    def reset(self) -> None:
        """It went well."""
        self.failures = 0
