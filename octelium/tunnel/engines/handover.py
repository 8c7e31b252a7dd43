"""Peers whose key has changed, where a program has a peer for each key.

An address belongs to one peer at a time (cryptokey routing; the WireGuard paper, section 2), so
that what comes from the other one is dropped. The old peer keeps its addresses, and the traffic in
its session, until there is a session of the new one and the other side sends with that, or sends
no more with the old one, as wireguard-go does at once when its key changes. Then they change hands.
What is lost is what comes between two looks.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from octelium.tunnel.engines.interface import PeerStats

RESPONSE: Final = 92
"""Bytes of a handshake's response (section 5.4.3); more than that came in the session."""
INITIATION: Final = 148
"""Bytes of its initiation (section 5.4.2)."""
FIRST: Final = 0.02
"""Seconds for which the other side may begin the handshake. Two that begin at once would both wait
for REKEY_TIMEOUT (section 6.1), as each drops its own for the other's.
"""
SILENT: Final = 0.01
"""Seconds without data in the old session after which there is none to lose in it."""
QUIET: Final = 0.5
"""Seconds without data after a handshake, after which addresses change hands all the same."""
LONGEST: Final = 20.0
"""Seconds after which they do without a handshake."""
_LOOK: Final = 0.001
_EAGER: Final = 1.0
"""Seconds for which each look follows soon on the one before."""
_LOOK_LATER: Final = 0.05


@dataclass(slots=True)
class Handover:
    """One under way."""

    old: bytes
    begun: float
    shaken: float | None = None
    """When a handshake of the new key was seen."""
    asked: bool = False
    """Whether we began the handshake."""
    received: int = 0
    """Bytes that had come with the old key at the last look."""
    heard: float = 0.0
    """When a look found more of them than the one before, or else when it began."""

    def is_due(self, old: PeerStats | None, new: PeerStats | None, now: float) -> bool:
        """Whether addresses are to change hands, by what a look found."""
        if old is not None and old.received != self.received:
            self.received, self.heard = old.received, now
        if new is None or not new.last_handshake:
            # Who begins to shake hands with us has no session that it could send with.
            begun = new is not None and new.received >= INITIATION
            return begun or now - self.begun >= LONGEST
        if self.shaken is None:
            self.shaken = now
        return new.received > RESPONSE or self.is_silent(now) or now - self.shaken >= QUIET

    def is_silent(self, now: float) -> bool:
        """Whether nothing came with the old key lately."""
        return now - self.heard >= SILENT


class Handovers:
    """Those under way, in an event loop. `stats` tells of the program's peers, `shake` has it begin
    a handshake, `finish` gets the old and the new key when addresses are to change hands.
    """

    def __init__(
        self,
        stats: Callable[[], Mapping[bytes, PeerStats]],
        shake: Callable[[bytes], None],
        finish: Callable[[bytes, bytes], None],
    ) -> None:
        self._stats = stats
        self._shake = shake
        self._finish = finish
        self._running: dict[bytes, Handover] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __contains__(self, new: bytes) -> bool:
        return new in self._running

    def begin(self, old: bytes, new: bytes) -> None:
        """Look for traffic in the session of `new`."""
        loop = asyncio.get_running_loop()
        known = self._stats().get(old)
        received = 0 if known is None else known.received
        now = loop.time()
        self._running[new] = Handover(old, now, received=received, heard=now)
        self._arm(loop, _LOOK)

    def drop(self, new: bytes) -> bytes | None:
        """Look no more; the old key of that peer, None if nothing was under way."""
        found = self._running.pop(new, None)
        return None if found is None else found.old

    def close(self) -> None:
        """Look for nothing any more."""
        self._running.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_later(seconds, self._look)

    def _look(self) -> None:
        self._timer = None
        if not self._running:
            return
        loop = asyncio.get_running_loop()
        stats = self._stats()
        now = loop.time()
        for new, handover in list(self._running.items()):
            is_due = handover.is_due(stats.get(handover.old), stats.get(new), now)
            is_first = not handover.asked and now - handover.begun >= FIRST
            if is_due or (is_first and handover.is_silent(now)):
                del self._running[new]
                self._finish(handover.old, new)
            if is_first:
                handover.asked = True
                self._shake(new)
        if self._running:
            youngest = max(each.begun for each in self._running.values())
            self._arm(loop, _LOOK if now - youngest < _EAGER else _LOOK_LATER)
