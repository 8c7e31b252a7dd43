"""What one Session may ask: so many questions a second, and so many at a time elsewhere.

Without limits a single client could fill the log, keep every upstream busy, and push out of the
cache what others use.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

PER_SECOND: Final = 4000.0
"""Questions of a Session in the long run, and at once."""
FORWARDED_PER_SECOND: Final = 500.0
LOGGED_PER_SECOND: Final = 200.0
"""Entries of the log in the long run; five times as many at once."""
MOST_WAITING: Final = 200
"""Questions of a Session that other resolvers have not answered yet."""
MOST_WAITING_IN_ALL: Final = 2000
MOST_STREAMS: Final = 32
_LOG_BURST: Final = 5 * LOGGED_PER_SECOND
_SWEEP_AT: Final = 1024
_IDLE: Final = 60.0


class _Bucket:
    """Tokens that come back with time."""

    __slots__ = ("_burst", "_left", "_rate", "_since")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._left = burst
        self._since = now

    def take(self, now: float) -> bool:
        left = min(self._burst, self._left + (now - self._since) * self._rate)
        self._since = now
        if left < 1:
            self._left = left
            return False
        self._left = left - 1
        return True


@dataclass(slots=True)
class Allowance:
    """What is left to one Session."""

    questions: _Bucket
    forwarded: _Bucket
    logged: _Bucket
    seen: float
    waiting: int = 0
    streams: int = 0
    unlogged: int = 0
    """Questions since the last entry that have none of their own."""


class Limits:
    """The allowances of all Sessions. `clock` gives seconds that only increase."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._allowances: dict[str, Allowance] = {}
        self._sweep_at = _SWEEP_AT
        self.waiting = 0
        """Questions of all Sessions that wait for other resolvers."""

    def __len__(self) -> int:
        return len(self._allowances)

    def of(self, session_uid: str) -> Allowance:
        """The allowance of a Session."""
        found = self._allowances.get(session_uid)
        now = self._clock()
        if found is None:
            if len(self._allowances) >= self._sweep_at:
                self._sweep(now)
            found = self._allowances[session_uid] = Allowance(
                _Bucket(PER_SECOND, PER_SECOND, now),
                _Bucket(FORWARDED_PER_SECOND, 2 * FORWARDED_PER_SECOND, now),
                _Bucket(LOGGED_PER_SECOND, _LOG_BURST, now),
                now,
            )
        found.seen = now
        return found

    def may_ask(self, allowance: Allowance) -> bool:
        """Take one question."""
        return allowance.questions.take(self._clock())

    def may_wait(self, allowance: Allowance) -> bool:
        """Take one question that goes elsewhere; `done` gives back its place."""
        if allowance.waiting >= MOST_WAITING or self.waiting >= MOST_WAITING_IN_ALL:
            return False
        if not allowance.forwarded.take(self._clock()):
            return False
        allowance.waiting += 1
        self.waiting += 1
        return True

    def done(self, allowance: Allowance) -> None:
        """A question that went elsewhere has come to its end."""
        allowance.waiting -= 1
        self.waiting -= 1

    def may_log(self, allowance: Allowance) -> bool:
        """Take one entry of the log."""
        return allowance.logged.take(self._clock())

    def _sweep(self, now: float) -> None:
        """Forget Sessions that have been quiet; their buckets are full again."""
        for uid, one in tuple(self._allowances.items()):
            if now - one.seen > _IDLE and not one.waiting and not one.streams:
                del self._allowances[uid]
        self._sweep_at = max(_SWEEP_AT, 2 * len(self._allowances))
