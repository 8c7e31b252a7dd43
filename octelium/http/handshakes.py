"""TLS handshakes of those who connect, a few in each turn of the event loop.

A handshake takes as long as ten requests. When hundreds of clients connect in one moment, those who
are connected would have to wait for all of them. So handshakes take turns with everything else:
one at a time, and more where other work takes longer, which leaves them a third of the loop's time.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from collections.abc import Callable

_SHARE: Final = 0.5
"""Time for handshakes, of the time that everything else took since the last ones."""
_LOOPS: WeakKeyDictionary[asyncio.AbstractEventLoop, Handshakes] = WeakKeyDictionary()


def handshakes() -> Handshakes | None:
    """Those of the running loop; None where none runs."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return None
    found = _LOOPS.get(loop)
    if found is None:
        found = _LOOPS[loop] = Handshakes(loop.call_soon)
    return found


class Handshakes:
    """The steps of handshakes that wait for one loop, in the order in which they came."""

    __slots__ = ("_call_soon", "_clock", "_ended", "_waiting")

    def __init__(
        self,
        call_soon: Callable[[Callable[[], None]], object],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._call_soon = call_soon
        self._clock = clock
        self._waiting: deque[Callable[[], None]] = deque()
        self._ended = 0.0

    def add(self, step: Callable[[], None]) -> None:
        """Have `step` called in this turn or a later one."""
        if not self._waiting:
            self._ended = self._clock()
            self._call_soon(self._run)
        self._waiting.append(step)

    def _run(self) -> None:
        now = self._clock()
        until = now + (now - self._ended) * _SHARE
        try:
            while True:
                self._waiting[0]()
                if len(self._waiting) == 1 or self._clock() >= until:
                    break
                self._waiting.popleft()
        finally:
            self._waiting.popleft()
            self._ended = self._clock()
            if self._waiting:
                self._call_soon(self._run)
