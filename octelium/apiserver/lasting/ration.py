"""How much a client may say on a call that lasts.

Such a call has no end, so the pace of calls does not bound what it costs. A message costs its
handling, and so does every piece in which it comes, however small both are.
"""

from __future__ import annotations

from typing import Final

BURST: Final = 256.0
RATE: Final = 2.0
"""Messages and pieces of messages at once, and more of them a second. Official clients say one
thing in five minutes."""


class Ration:
    """What is left for one call: a token bucket, full at first."""

    __slots__ = ("_at", "_left")

    def __init__(self, now: float) -> None:
        """`now` in seconds that only rise."""
        self._left = BURST
        self._at = now

    def take(self, now: float) -> bool:
        """Take one; False if there is none."""
        self._left = min(BURST, self._left + (now - self._at) * RATE)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
