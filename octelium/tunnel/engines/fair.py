"""Datagrams that wait for an engine, a queue for each peer, which take turns.

Turns are those of deficit round robin (Shreedhar and Varghese, 1996) by what datagrams cost the
engine, which is more a matter of their number than of their bytes. How much a peer may have waiting
depends on how much room there is (dynamic thresholds, Choudhury and Hahne, 1998): one that floods
fills half of it, and who sends little always has room.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Hashable

    from octelium.tunnel.wireguard import Endpoint

    Datagram = tuple[bytes, Endpoint]

QUANTUM: Final = 64
"""What a peer has of one round, and of room in any case."""
ROOM: Final = 8192
"""What may wait in all, apart from the first QUANTUM of each peer."""
_UNIT: Final = 2048
"""Bytes that cost as much again as a datagram does."""


class _Queue:
    __slots__ = ("cost", "credit", "datagrams")

    def __init__(self) -> None:
        self.datagrams: deque[Datagram] = deque()
        self.cost = 0
        self.credit = 0


class FairQueues:
    """Queues by peer; whoever is to have turns of its own is a peer here.

    Attributes:
        waiting: the cost of all that waits.
    """

    __slots__ = ("_queues", "waiting")

    def __init__(self) -> None:
        self._queues: OrderedDict[Hashable, _Queue] = OrderedDict()
        self.waiting = 0

    def __bool__(self) -> bool:
        return bool(self._queues)

    def put(self, peer: Hashable, datagram: memoryview, source: Endpoint) -> bool:
        """Let a datagram wait; False if there is no room for it."""
        cost = _cost(len(datagram))
        queue = self._queues.get(peer)
        if queue is None:
            queue = self._queues[peer] = _Queue()
        elif queue.cost + cost > max(QUANTUM, ROOM - self.waiting):
            return False
        # A copy: what was received with it is not to stay for its sake.
        queue.datagrams.append((bytes(datagram), source))
        queue.cost += cost
        self.waiting += cost
        return True

    def take(self) -> tuple[Hashable, list[Datagram]]:
        """The peer whose turn it is, and what it has of that. KeyError if nothing waits."""
        peer, queue = self._queues.popitem(last=False)
        queue.credit += QUANTUM
        taken: list[Datagram] = []
        datagrams = queue.datagrams
        while datagrams and (cost := _cost(len(datagrams[0][0]))) <= queue.credit:
            queue.credit -= cost
            queue.cost -= cost
            self.waiting -= cost
            taken.append(datagrams.popleft())
        if datagrams:
            self._queues[peer] = queue
        return peer, taken


def _cost(size: int) -> int:
    return 1 + size // _UNIT
