"""When which peer wants attention: a heap that tolerates stale entries.

A peer has one time, the earliest of its timers when it was last asked. A timer that moves to later,
as most do with each packet, touches nothing here; the peer is asked in vain at the old time, once.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from octelium.tunnel.wireguard.constants import NEVER

if TYPE_CHECKING:
    from octelium.tunnel.wireguard.peer import Peer


class Scheduler:
    """The peers that have a timer set, by time. A peer without timers is not in here."""

    __slots__ = ("_heap", "_live", "_serial")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Peer]] = []
        self._live = 0
        self._serial = 0

    def __len__(self) -> int:
        return len(self._heap)

    def wake(self, peer: Peer, when: float) -> None:
        """Ask `peer` at `when` at the latest."""
        if when >= peer.wake:
            return
        if peer.wake == NEVER:
            self._live += 1
        peer.wake = when
        self._serial += 1
        heapq.heappush(self._heap, (when, self._serial, peer))
        if len(self._heap) > 64 + 4 * self._live:
            self._compact()

    def forget(self, peer: Peer) -> None:
        """Never ask `peer` again."""
        if peer.wake != NEVER:
            self._live -= 1
            peer.wake = NEVER

    def next(self) -> float:
        """When somebody is to be asked next; infinity if nobody is."""
        heap = self._heap
        while heap:
            when, _, peer = heap[0]
            if peer.wake == when:
                return when
            heapq.heappop(heap)
        return NEVER

    def due(self, now: float) -> list[Peer]:
        """The peers to ask at `now`; they are out of here until `wake` is called again."""
        found: list[Peer] = []
        heap = self._heap
        while heap and heap[0][0] <= now:
            when, _, peer = heapq.heappop(heap)
            if peer.wake == when:
                peer.wake = NEVER
                self._live -= 1
                found.append(peer)
        return found

    def _compact(self) -> None:
        seen: set[Peer] = set()
        kept: list[tuple[float, int, Peer]] = []
        for entry in self._heap:
            when, _, peer = entry
            if peer.wake == when and peer not in seen:
                seen.add(peer)
                kept.append(entry)
        heapq.heapify(kept)
        self._heap = kept
