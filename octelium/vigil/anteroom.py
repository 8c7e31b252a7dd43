"""Where requests of nobody wait: such as come without a Session, from whoever likes to send some.

They cost their senders next to nothing, so they must cost little here, and nobody else's:

- A connection to an upstream is taken for as long as a request's body is on its way. Unfinished
  ones have a bounded number of places, a part of them for one caller.
- Bodies for the Cluster's own components, which every login needs, are kept here until they are
  complete. Whoever dawdles takes no connection at all.
- These components answer in one process, beside the Cluster's API. So a few requests of nobody are
  there at a time, callers take turns, and what would have to wait for long is told to come again.

Upstreams that are slow themselves do not keep others out: a turn ends soon in any case.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from octelium.http.budget import Budget
from octelium.http.callers import caller_of
from octelium.http.exchange import Failure, UpstreamError
from octelium.http.waiting import WaitingStream

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.http.exchange import ResponseReceiver, UpstreamStream
    from octelium.http.message import Fields, ResponseHead, UpstreamRequest
    from octelium.vigil.configuration import Connections

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AnteroomLimits:
    """Counts, bytes and seconds, for one process."""

    unfinished: int = 1024
    """Requests whose bodies are on their way."""
    unfinished_each: int = 224
    """Of one caller."""
    body: int = 512 << 10
    """Bytes of one body for a component of the Cluster, as large as answers of SAML may be."""
    kept: int = 16 << 20
    """Bytes of all those bodies."""
    kept_each: int = 4 << 20
    at_once: int = 16
    """Requests that have their turn at the Cluster's components."""
    at_once_each: int = 8
    queue: int = 2048
    """Requests that wait for a turn."""
    queue_each: int = 256
    turn: float = 0.25
    """Seconds after which a turn ends though there is no answer."""
    patience: float = 20.0
    """Seconds that a request waits for its turn."""


class Anteroom:
    """The requests of nobody that are under way in one process."""

    def __init__(self, limits: AnteroomLimits | None = None) -> None:
        self.limits = limits = limits or AnteroomLimits()
        self.unfinished = Budget(limits.unfinished, limits.unfinished_each)
        self.kept = Budget(limits.kept, limits.kept_each)
        self.turns = Turns(limits)

    def open(
        self,
        connections: Connections,
        request: UpstreamRequest,
        receiver: ResponseReceiver,
        data: bytes,
        end: bool,
        *,
        address: str,
        own: bool,
    ) -> UpstreamStream:
        """Send a request of nobody at `address` over `connections`; `own`: to a component.

        Synchronous where nothing has to wait. Failures come to `receiver.response_failed`, never
        from within this call: `Failure.BUSY` if others need the place, `Failure.TOO_LARGE`.
        """
        if end and not own:
            return connections.open(request, receiver, data, end)
        visit = Visit(self, connections, request, receiver, caller_of(address), own=own)
        visit.begin(data, end)
        return visit


class Turns:
    """Who may ask the Cluster's components now; callers come one after the other."""

    def __init__(self, limits: AnteroomLimits) -> None:
        self._limits = limits
        self._running = 0
        self._by_caller: dict[str, int] = {}
        self._queues: dict[str, deque[Visit]] = {}
        """Of callers that wait, in the order in which they are asked."""
        self.waiting = 0

    def ask(self, visit: Visit) -> bool:
        """Have `visit.start` called, now or when it is its turn; False if too many wait."""
        limits, caller = self._limits, visit.caller
        queue = self._queues.get(caller)
        if queue is None and self._running < limits.at_once and self._may(caller):
            self._start(visit)
            return True
        if self.waiting >= limits.queue or (queue and len(queue) >= limits.queue_each):
            return False
        if queue is None:
            queue = self._queues[caller] = deque()
        queue.append(visit)
        self.waiting += 1
        return True

    def forget(self, visit: Visit) -> None:
        """Take somebody who waits off the queue."""
        queue = self._queues.get(visit.caller)
        if queue is not None and visit in queue:
            queue.remove(visit)
            self.waiting -= 1
            if not queue:
                del self._queues[visit.caller]

    def end(self, caller: str) -> None:
        """A turn is over."""
        self._running -= 1
        left = self._by_caller[caller] - 1
        if left:
            self._by_caller[caller] = left
        else:
            del self._by_caller[caller]
        self._next()

    def _next(self) -> None:
        while self._running < self._limits.at_once:
            caller = next((one for one in self._queues if self._may(one)), None)
            if caller is None:
                return
            queue = self._queues.pop(caller)
            visit = queue.popleft()
            self.waiting -= 1
            if queue:
                self._queues[caller] = queue  # behind all the others
            self._start(visit)

    def _may(self, caller: str) -> bool:
        return self._by_caller.get(caller, 0) < self._limits.at_once_each

    def _start(self, visit: Visit) -> None:
        self._running += 1
        self._by_caller[visit.caller] = self._by_caller.get(visit.caller, 0) + 1
        visit.start()


class Visit(WaitingStream):
    """One request of nobody: an `UpstreamStream` for its relay, a `ResponseReceiver` behind it."""

    __slots__ = (
        "_anteroom",
        "_connections",
        "_own",
        "_timer",
        "_turn",
        "caller",
        "kept",
        "unfinished",
    )

    def __init__(
        self,
        anteroom: Anteroom,
        connections: Connections,
        request: UpstreamRequest,
        receiver: ResponseReceiver,
        caller: str,
        *,
        own: bool,
    ) -> None:
        super().__init__(request, receiver, b"", end=False)
        self.caller = caller
        self.unfinished = anteroom.unfinished.place(caller, self._evicted)
        self.kept = anteroom.kept.place(caller, self._evicted)
        self._anteroom = anteroom
        self._connections = connections
        self._own = own
        self._turn = False
        """Whether this is the turn of the request."""
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, data: bytes, end: bool) -> None:
        """Take the first bytes of the body and, by `end`, its end."""
        if not end:
            self.unfinished.take(1)
        if self.over:
            return
        if self._own:
            self.send_data(data)
            if end:
                self.send_end()
        else:
            self._inner = self._connections.open(self._request, self, data, end)

    # The turn.

    def start(self) -> None:
        """Send the request, which is complete."""
        self._turn = True
        self._set_timer(self._anteroom.limits.turn, self._leave)
        self.kept.leave()
        try:
            self._begin(partial(self._connections.open, self._request, self))
        except Exception as error:  # noqa: BLE001 - this may be within what another's answer does
            _LOG.exception("a request without a Session could not be sent")
            self._fail(Failure.UNREACHABLE, f"unexpected {type(error).__name__}, see the log")

    def _ask(self) -> None:
        turns = self._anteroom.turns
        if not turns.ask(self):
            self._fail(Failure.BUSY, "too many requests without a Session")
        elif self._inner is None:
            self._set_timer(self._anteroom.limits.patience, self._impatient)

    def _impatient(self) -> None:
        self._fail(Failure.BUSY, "it was not the request's turn in time")

    def _evicted(self) -> None:
        self._fail(Failure.BUSY, "others without a Session need the place")

    def _set_timer(self, seconds: float, callback: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, callback)

    def _leave(self) -> None:
        """Give back what others wait for."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.unfinished.leave()
        self.kept.leave()
        self.unfinished.evict = self.kept.evict = _nobody  # else they hold each other
        if self._turn:
            self._turn = False
            self._anteroom.turns.end(self.caller)

    def _fail(self, failure: Failure, problem: str) -> None:
        """Give up; the relay is told in a moment, for this may be within its own call."""
        if self.over:
            return
        self._give_up()
        error = UpstreamError(failure, problem)
        asyncio.get_running_loop().call_soon(self._receiver.response_failed, error)

    def _give_up(self) -> None:
        self.over = True
        self._held = bytearray()
        self._anteroom.turns.forget(self)
        self._leave()
        inner, self._inner = self._inner, None  # a cycle would wait for the garbage collector
        if inner is not None:
            inner.reset()

    # UpstreamStream: from the relay.

    def send_data(self, data: bytes) -> None:
        """See `UpstreamStream`."""
        if self.over or not data:
            return
        if self._inner is not None:
            self._inner.send_data(data)
            return
        if len(self._held) + len(data) > self._anteroom.limits.body:
            self._fail(Failure.TOO_LARGE, "a body without a Session")
            return
        self._held += data
        self.kept.take(len(data))

    def send_end(self, trailers: Fields = ()) -> None:
        """See `UpstreamStream`."""
        if self.over:
            return
        self.unfinished.leave()
        super().send_end(trailers)
        if self._inner is None:
            self._ask()

    def reset(self) -> None:
        """See `UpstreamStream`."""
        if not self.over:
            self._give_up()

    # ResponseReceiver: from the upstream.

    def response_informational(self, head: ResponseHead) -> None:
        """See `ResponseReceiver`."""
        if not self.over:
            self._receiver.response_informational(head)

    def response_head(self, head: ResponseHead, data: bytes, end: bool) -> None:
        """See `ResponseReceiver`."""
        if self.over:
            return
        self.over = end
        self._leave()
        if end:
            self._inner = None
        self._receiver.response_head(head, data, end)

    def response_data(self, data: bytes) -> None:
        """See `ResponseReceiver`."""
        if not self.over:
            self._receiver.response_data(data)

    def response_ended(self, trailers: Fields) -> None:
        """See `ResponseReceiver`."""
        if not self.over:
            self.over = True
            self._inner = None
            self._receiver.response_ended(trailers)

    def response_failed(self, error: UpstreamError) -> None:
        """See `ResponseReceiver`."""
        if not self.over:
            self.over = True
            self._leave()
            self._inner = None
            self._receiver.response_failed(error)

    def upstream_paused(self) -> None:
        """See `ResponseReceiver`."""
        if not self.over:
            self._receiver.upstream_paused()

    def upstream_resumed(self) -> None:
        """See `ResponseReceiver`."""
        if not self.over:
            self._receiver.upstream_resumed()


def _nobody() -> None:
    """Whoever takes nothing any more is not evicted."""
