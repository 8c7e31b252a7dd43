"""Keeping the decisions on open streams up to date.

A stream hangs on the plan that let it in. When that plan is dropped, because something it was made
from changed, or when its deadline passes, the stream is decided on again. Its identity stays the
Session that it began with: a token that was replaced or ran out since does not end it, a Session
that ended, was refused or must be renewed does.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from octelium.http.tasks import spawn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from octelium.octovigil.plan import Plan
    from octelium.policy.decision import Decision
    from octelium.policy.request import Request
    from octelium.replica.replica import ServiceEntry

    Decided = tuple[Decision, Plan | None]
    Decide = Callable[[ServiceEntry, str, Request], Decided | Awaitable[Decided]]

_LOG = logging.getLogger(__name__)

VOLATILE_PERIOD: Final = 1.0
"""Seconds between decisions on a stream whose conditions look at the clock."""

_LONGEST_TIMER: Final = 24 * 3600.0
_SLICE: Final = 0.005
"""Seconds of deciding after which the event loop gets a turn."""


class StreamWatch:
    """One open stream; see `octelium.policy.decision.Watch`."""

    __slots__ = ("callback", "plan", "request", "service", "session_uid", "timer")

    def __init__(
        self,
        service: ServiceEntry,
        session_uid: str,
        request: Request,
        callback: Callable[[Decision], None],
    ) -> None:
        self.service = service
        self.session_uid = session_uid
        self.request = request
        self.callback: Callable[[Decision], None] | None = callback
        self.plan: Plan | None = None
        self.timer: asyncio.TimerHandle | None = None

    def cancel(self) -> None:
        """Stop watching; harmless when done already."""
        self.callback = None
        self.detach()

    def detach(self) -> None:
        """Leave the plan and the timer."""
        if self.plan is not None:
            self.plan.watches.discard(self)
            self.plan = None
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class Watcher:
    """All open streams of a process."""

    def __init__(self, decide: Decide, clock: Callable[[], float]) -> None:
        self._decide = decide
        self._clock = clock
        self._due: deque[StreamWatch] = deque()
        self._scheduled = False
        self._slow: deque[tuple[StreamWatch, Awaitable[Decided]]] = deque()
        """Streams whose decision takes Rego modules that take long; one is waited for at a time."""
        self._waiting = False

    def watch(
        self,
        service: ServiceEntry,
        session_uid: str,
        request: Request,
        callback: Callable[[Decision], None],
    ) -> StreamWatch:
        """Watch a stream of a Session, or of nobody with an empty uid. Needs a running loop."""
        watch = StreamWatch(service, session_uid, request, callback)
        decided = self._decide(service, session_uid, request)
        if not isinstance(decided, tuple):
            self._wait(watch, decided)
        elif decided[0].allowed and decided[1] is not None:
            self._hang(watch, decided[0], decided[1])
        else:
            # Something changed since the stream was let in. The caller has no handle yet.
            self._enqueue((watch,))
        return watch

    def dropped(self, plans: Iterable[Plan]) -> None:
        """Decide again on the streams that hang on `plans`, soon."""
        for plan in plans:
            if plan.watches:
                watches = tuple(plan.watches)
                for watch in watches:
                    watch.detach()
                self._enqueue(watches)

    def _enqueue(self, watches: Iterable[StreamWatch]) -> None:
        self._due.extend(watches)
        if not self._scheduled and self._due:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._run)

    def _run(self) -> None:
        end = time.monotonic() + _SLICE
        while self._due:
            self._again(self._due.popleft())
            if time.monotonic() > end and self._due:
                asyncio.get_running_loop().call_soon(self._run)
                return
        self._scheduled = False

    def _again(self, watch: StreamWatch) -> None:
        watch.detach()
        if watch.callback is None:
            return
        decided = self._decide(watch.service, watch.session_uid, watch.request)
        if isinstance(decided, tuple):
            self._settle(watch, *decided)
        else:
            self._wait(watch, decided)

    def _settle(self, watch: StreamWatch, decision: Decision, plan: Plan | None) -> None:
        """Go on with a stream as was decided just now."""
        callback = watch.callback
        if callback is None:
            return
        if decision.allowed and plan is not None:
            self._hang(watch, decision, plan)
            return
        watch.callback = None
        try:
            callback(decision)
        except Exception:  # noqa: BLE001 - the other streams must be looked after too
            _LOG.exception("closing a refused stream failed")

    def _wait(self, watch: StreamWatch, decided: Awaitable[Decided]) -> None:
        self._slow.append((watch, decided))
        if not self._waiting:
            self._waiting = True
            spawn(self._work(), name="decisions on streams")

    async def _work(self) -> None:
        """What comes out is decided on the resources of that moment, so nothing is missed."""
        try:
            while self._slow:
                watch, decided = self._slow.popleft()
                decision, plan = await decided
                self._settle(watch, decision, plan)
        finally:
            self._waiting = False

    def _hang(self, watch: StreamWatch, decision: Decision, plan: Plan) -> None:
        plan.watches.add(watch)
        watch.plan = plan
        if plan.volatile:
            delay = VOLATILE_PERIOD
        elif decision.expires == math.inf:
            return
        else:
            delay = min(max(decision.expires - self._clock(), 0.0) + 0.001, _LONGEST_TIMER)
        loop = asyncio.get_running_loop()
        watch.timer = loop.call_later(delay, self._again, watch)
