"""One coarse clock for the time-outs of all connections of a process.

A timer per request would cost more than serving it. Connections say once that they want to be
asked, and compare a deadline that they keep themselves.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Protocol

_LOG = logging.getLogger(__name__)


class Ticking(Protocol):
    """Something with deadlines."""

    def tick(self, now: float) -> None:
        """Called about once a second with monotonic seconds."""


class Ticker:
    """Calls `tick` of everything that was added, once per `interval` seconds.

    `now` is the monotonic time of the last tick: precise enough for time-outs of seconds.
    """

    def __init__(self, interval: float = 1.0) -> None:
        self.now = time.monotonic()
        self._interval = interval
        self._members: set[Ticking] = set()
        self._handle: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._members)

    def start(self) -> None:
        """Begin to tick on the running loop."""
        if self._handle is None:
            self._schedule()

    def stop(self) -> None:
        """Tick no more."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def add(self, member: Ticking) -> None:
        """Tick `member` from now on."""
        self._members.add(member)

    def discard(self, member: Ticking) -> None:
        """Leave `member` alone; harmless if it was not added."""
        self._members.discard(member)

    def tick(self) -> None:
        """Tick everybody now. A member that raises is reported and does not stop the others."""
        self.now = now = time.monotonic()
        for member in tuple(self._members):
            try:
                member.tick(now)
            except Exception:  # noqa: BLE001 - one bad member must not stop the others
                _LOG.exception("time-out of %s failed", type(member).__name__)

    def _schedule(self) -> None:
        self._handle = asyncio.get_running_loop().call_later(self._interval, self._turn)

    def _turn(self) -> None:
        self._schedule()
        self.tick()
