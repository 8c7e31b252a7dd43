"""How often Sessions may connect: each time costs a transaction, and a place in the history.

Two token buckets, one of the Session and one of its User: so much at once, and so much more as
time goes by.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

SESSION: Final = (10.0, 0.2)
"""Connections at once, and more of them a second."""
USER: Final = (512.0, 2.0)
"""The same for all Sessions of a User together."""
_SWEEP_AT: Final = 4096

Bucket = tuple[float, float]


class ConnectPace:
    """What Sessions and Users have left; `session` and `user` are bursts and rates."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        *,
        session: Bucket = SESSION,
        user: Bucket = USER,
    ) -> None:
        self._clock = clock
        self._rules = (session, user)
        self._left: tuple[dict[str, Bucket], dict[str, Bucket]] = ({}, {})
        """Where less than everything is left: how much, and when that was so."""
        self._sweep_at = _SWEEP_AT

    def __len__(self) -> int:
        """How many Sessions and Users are remembered."""
        return sum(map(len, self._left))

    def take(self, session_uid: str, user_uid: str) -> float:
        """Connect once: 0 if that may be, else seconds to wait, and nothing is taken."""
        now = self._clock()
        keys = (session_uid, user_uid)
        found = [self._now(kind, key, now) for kind, key in enumerate(keys)]
        wait = max((1 - left) / rate for left, (_, rate) in zip(found, self._rules, strict=True))
        if wait > 0:
            return wait
        for table, key, left in zip(self._left, keys, found, strict=True):
            table[key] = (left - 1, now)
        if len(self) >= self._sweep_at:
            self._sweep(now)
        return 0.0

    def _now(self, kind: int, key: str, now: float) -> float:
        burst, rate = self._rules[kind]
        left, at = self._left[kind].get(key, (burst, now))
        return min(burst, left + (now - at) * rate)

    def _sweep(self, now: float) -> None:
        """Forget who has everything again."""
        for kind, table in enumerate(self._left):
            burst, _ = self._rules[kind]
            for key in [key for key in table if self._now(kind, key, now) >= burst]:
                del table[key]
        self._sweep_at = max(_SWEEP_AT, 2 * len(self))
