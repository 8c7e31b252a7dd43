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
    from collections.abc import Callable, Hashable, Iterable

    from octelium.tunnel.wireguard import Endpoint

    Datagram = tuple[bytes, Endpoint]

QUANTUM: Final = 64
"""What a peer has of one round, and of room in any case."""
ROOM: Final = 8192
"""What may wait in all, apart from the first QUANTUM of each peer."""
_HEAD: Final = 8
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

    def put(
        self,
        datagrams: Iterable[tuple[memoryview, Endpoint]],
        origin: Callable[[bytes], Hashable],
    ) -> int:
        """Let datagrams wait, each in the queue of its origin; how many there was no room for.

        The first eight bytes of a datagram tell its origin.
        """
        dropped = 0
        head = b""
        queue = _Queue()
        for view, source in datagrams:
            datagram = bytes(view)  # what was received with it is not to stay for its sake
            if not head or datagram[:_HEAD] != head:
                head = datagram[:_HEAD]
                peer = origin(datagram)
                queue = self._queues.get(peer) or self._queues.setdefault(peer, _Queue())
            cost = 1 + len(datagram) // _UNIT
            if queue.cost and queue.cost + cost > max(QUANTUM, ROOM - self.waiting):
                dropped += 1
                continue
            queue.datagrams.append((datagram, source))
            queue.cost += cost
            self.waiting += cost
        return dropped

    def take(self) -> tuple[Hashable, list[Datagram]]:
        """The peer whose turn it is, and what it has of that. KeyError if nothing waits."""
        peer, queue = self._queues.popitem(last=False)
        queue.credit += QUANTUM
        taken: list[Datagram] = []
        datagrams = queue.datagrams
        while datagrams and (cost := 1 + len(datagrams[0][0]) // _UNIT) <= queue.credit:
            queue.credit -= cost
            queue.cost -= cost
            self.waiting -= cost
            taken.append(datagrams.popleft())
        if datagrams:
            self._queues[peer] = queue
        return peer, taken
