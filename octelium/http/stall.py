"""How long a peer has taken nothing of what waits for it."""

from __future__ import annotations


class Stall:
    """Watches a transport whose buffer is not empty; to be asked about once a second."""

    __slots__ = ("_pending", "_since")

    def __init__(self, pending: int, now: float) -> None:
        """`pending` bytes wait at the monotonic second `now`."""
        self._pending = pending
        self._since = now

    def seconds(self, pending: int, now: float) -> float:
        """Time since the last sign that the peer takes something: that less waits than before."""
        if pending < self._pending:
            self._since = now
        self._pending = pending
        return now - self._since
