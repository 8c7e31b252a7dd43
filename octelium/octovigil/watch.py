"""Keeping the decisions on open streams up to date.

A stream hangs on the plan that let it in. When that plan is dropped, because something it was made
from changed, or when its deadline passes, the stream is decided on again. Its identity stays the
Session that it began with: a token that was replaced or ran out since does not end it, a Session
that ended, was refused or must be renewed does.

What can be decided at once is, whoever waits for something slow. A stream whose decision has to
wait for a Rego module or for compiling waits for a moment, then it ends. What changes meanwhile is
decided on at once, too.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from octelium.http.tasks import spawn
from octelium.octovigil.compilation import CompilationNeeded
from octelium.octovigil.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Iterable

    from octelium.octovigil.compilation import Compilations
    from octelium.octovigil.plan import Plan
    from octelium.policy.decision import Decision
    from octelium.policy.request import Request
    from octelium.replica.replica import ServiceEntry

    Decided = tuple[Decision, Plan | None]
    Decide = Callable[[ServiceEntry, str, Request], "Decided | Later"]

_LOG = logging.getLogger(__name__)

VOLATILE_PERIOD: Final = 1.0
"""Seconds between decisions on a stream whose conditions look at the clock."""
PATIENCE: Final = 1.0
"""Seconds for which a decision may wait that a change made necessary."""
CLOCK_PATIENCE: Final = 5.0
"""The same where nothing but the passing of time did, on a stream that was allowed before."""
MAX_WAITED_FOR: Final = 32
"""Decisions that are waited for at a time."""
MAX_WAITED_FOR_EACH: Final = 2
"""Those among them of one asker."""

_LONGEST_TIMER: Final = 24 * 3600.0
_SLICE: Final = 0.005
"""Seconds of deciding after which the event loop gets a turn."""


@dataclass(frozen=True, slots=True)
class Later:
    """A decision that takes something which is not at hand yet."""

    plan: Plan | None
    """The plan that it comes from unless that is dropped, if there is one."""
    obtain: Callable[[], Awaitable[Decided]]
    """Get what it takes, and decide on the resources of that moment.

    Raises:
        CompilationNeeded: meanwhile so much is to be compiled that it should not be done at once.
    """


class StreamWatch:
    """One open stream; see `octelium.policy.decision.Watch`."""

    __slots__ = (
        "asker",
        "callback",
        "compiling",
        "limit",
        "patience",
        "plan",
        "request",
        "service",
        "session_uid",
        "task",
        "timer",
        "watcher",
    )

    def __init__(
        self,
        watcher: Watcher,
        service: ServiceEntry,
        session_uid: str,
        request: Request,
        callback: Callable[[Decision], None],
        asker: Hashable,
    ) -> None:
        self.watcher = watcher
        self.service = service
        self.session_uid = session_uid
        self.request = request
        self.callback: Callable[[Decision], None] | None = callback
        self.asker = asker
        self.plan: Plan | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.patience = PATIENCE
        self.limit: asyncio.TimerHandle | None = None
        """When a stream ends that waits for its decision."""
        self.task: asyncio.Task[None] | None = None
        """Obtains its decision."""
        self.compiling: Hashable = None
        """What it waits for to be compiled."""

    def cancel(self) -> None:
        """Stop watching; harmless when done already."""
        self.callback = None
        self.watcher.leave(self)

    def hang(self, plan: Plan, delay: float) -> None:
        """Be told when `plan` is dropped, and after `delay` seconds."""
        self.plan = plan
        plan.watches.add(self)
        if delay != math.inf:
            loop = asyncio.get_running_loop()
            delay = min(max(delay, 0.0) + 0.001, _LONGEST_TIMER)
            self.timer = loop.call_later(delay, self.watcher.passed, self)

    def detach(self) -> None:
        """Leave the plan and the timer."""
        if self.plan is not None:
            self.plan.watches.discard(self)
            self.plan = None
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class Watcher:
    """All open streams of a process.

    `decide` says at once what becomes of a stream, or that this takes longer; it raises
    CompilationNeeded if something must be compiled first. `refuse` makes the decision that ends a
    stream because of a problem.
    """

    def __init__(
        self,
        decide: Decide,
        refuse: Callable[[ServiceEntry, str], Decision],
        compilations: Compilations,
        clock: Callable[[], float],
    ) -> None:
        self._decide = decide
        self._refuse = refuse
        self._compilations = compilations
        self._clock = clock
        self._due: Turns[StreamWatch] = Turns()
        self._scheduled = False
        self._slow: Turns[StreamWatch] = Turns()
        """Those that nobody obtains the decision for yet."""
        self._tasks: Counter[Hashable] = Counter()
        self._unplanned: dict[StreamWatch, None] = {}
        """Those that wait and hang on no plan: any commit may be about them."""
        self._compiling: dict[Hashable, dict[StreamWatch, None]] = {}

    def watch(
        self,
        service: ServiceEntry,
        session_uid: str,
        request: Request,
        callback: Callable[[Decision], None],
        *,
        asker: Hashable,
        decided: Decided | None = None,
    ) -> StreamWatch:
        """Watch a stream of a Session, or of nobody with an empty uid. Needs a running loop.

        Those of one `asker` wait for each other rather than others for them. `decided` is what let
        the stream in, if that still holds.
        """
        watch = StreamWatch(self, service, session_uid, request, callback, asker)
        if decided is not None and decided[1] is not None:
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
                    self._hurry(watch)
                self._enqueue(watches)

    def changed(self, plans: Iterable[Plan]) -> None:
        """A commit dropped `plans`: also decide on the streams that wait without a plan."""
        self.dropped(plans)
        for watch in self._unplanned:
            self._hurry(watch)
        self._enqueue(self._unplanned)

    def passed(self, watch: StreamWatch) -> None:
        """The time came at which a stream has to be decided on again."""
        watch.timer = None
        if watch.plan is not None and watch.plan.volatile and watch.limit is None:
            watch.patience = CLOCK_PATIENCE
        self._enqueue((watch,))

    def leave(self, watch: StreamWatch) -> None:
        """Let nothing be done for a stream any more."""
        watch.detach()
        self._due.discard(watch.asker, watch)
        self._slow.discard(watch.asker, watch)
        self._unplanned.pop(watch, None)
        watch.compiling = None
        watch.patience = PATIENCE
        if watch.limit is not None:
            watch.limit.cancel()
            watch.limit = None
        if watch.task is not None:
            watch.task.cancel()
            watch.task = None

    def _hurry(self, watch: StreamWatch) -> None:
        """Something changed: wait no longer than for that."""
        watch.patience = PATIENCE
        loop = asyncio.get_running_loop()
        if watch.limit is not None and watch.limit.when() > loop.time() + PATIENCE:
            watch.limit.cancel()
            watch.limit = loop.call_later(PATIENCE, self._overdue, watch)

    # --- at once

    def _enqueue(self, watches: Iterable[StreamWatch]) -> None:
        for watch in watches:
            self._due.add(watch.asker, watch)
        if not self._scheduled and self._due:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._run)

    def _run(self) -> None:
        end = time.monotonic() + _SLICE
        while (watch := self._due.take()) is not None:
            self._again(watch)
            if time.monotonic() > end and self._due:
                asyncio.get_running_loop().call_soon(self._run)
                return
        self._scheduled = False

    def _again(self, watch: StreamWatch) -> None:
        try:
            decided = self._decide(watch.service, watch.session_uid, watch.request)
        except CompilationNeeded as needed:
            self._compile_for(watch, needed)
        except Exception as error:  # noqa: BLE001 - whatever it is, it refuses
            self._fail(watch, error)
        else:
            if isinstance(decided, Later):
                self._wait(watch, decided)
            else:
                self._settle(watch, *decided)

    def _settle(self, watch: StreamWatch, decision: Decision, plan: Plan | None) -> None:
        """Go on with a stream as was decided just now."""
        self.leave(watch)
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

    def _hang(self, watch: StreamWatch, decision: Decision, plan: Plan) -> None:
        delay = VOLATILE_PERIOD if plan.volatile else decision.expires - self._clock()
        watch.hang(plan, delay)

    def _fail(self, watch: StreamWatch, error: Exception) -> None:
        _LOG.error("no decision on a stream of %s", watch.service.name, exc_info=error)
        problem = f"unexpected {type(error).__name__}, see the log"
        self._settle(watch, self._refuse(watch.service, problem), None)

    # --- what takes long

    def _wait(self, watch: StreamWatch, later: Later) -> None:
        watch.detach()
        watch.compiling = None
        self._limit(watch)
        if later.plan is None:
            self._unplanned[watch] = None
        else:
            self._unplanned.pop(watch, None)
            watch.hang(later.plan, later.plan.deadline - self._clock())
        if watch.task is None:
            self._slow.add(watch.asker, watch)
            self._begin()

    def _limit(self, watch: StreamWatch) -> None:
        if watch.limit is None:
            loop = asyncio.get_running_loop()
            watch.limit = loop.call_later(watch.patience, self._overdue, watch)

    def _overdue(self, watch: StreamWatch) -> None:
        """Nobody knows whether the stream may go on: it may not."""
        problem = "the decision on an open stream had to wait for too long"
        self._settle(watch, self._refuse(watch.service, problem), None)

    def _begin(self) -> None:
        while self._tasks.total() < MAX_WAITED_FOR:
            watch = self._slow.take(self._may_begin)
            if watch is None:
                return
            self._tasks[watch.asker] += 1
            watch.task = spawn(self._obtain(watch), name="the decision on a stream")
            watch.task.add_done_callback(lambda _task, asker=watch.asker: self._ended(asker))

    def _may_begin(self, asker: Hashable) -> bool:
        return self._tasks[asker] < MAX_WAITED_FOR_EACH

    def _ended(self, asker: Hashable) -> None:
        self._tasks[asker] -= 1
        if not self._tasks[asker]:
            del self._tasks[asker]
        self._begin()

    async def _obtain(self, watch: StreamWatch) -> None:
        """What comes out is decided on the resources of that moment, so nothing is missed."""
        try:
            # Others may have obtained the same while it was not its turn yet.
            decided = self._decide(watch.service, watch.session_uid, watch.request)
            if isinstance(decided, Later):
                decided = await decided.obtain()
        except CompilationNeeded as needed:
            watch.task = None
            self._compile_for(watch, needed)
        except Exception as error:  # noqa: BLE001 - whatever it is, it refuses
            watch.task = None
            self._fail(watch, error)
        else:
            watch.task = None
            self._settle(watch, *decided)

    def _compile_for(self, watch: StreamWatch, needed: CompilationNeeded) -> None:
        watch.detach()
        self._slow.discard(watch.asker, watch)
        self._limit(watch)
        self._unplanned[watch] = None
        watch.compiling = key = needed.key
        waiting = self._compiling.get(key)
        if waiting is None:
            waiting = self._compiling[key] = {}
            spawn(self._compile(needed), name="compiling for streams")
        waiting[watch] = None

    async def _compile(self, needed: CompilationNeeded) -> None:
        problem = None
        try:
            await self._compilations.finish(needed)
        except Exception as error:  # noqa: BLE001 - whatever it is, it refuses
            problem = error
        finally:
            waiting = self._compiling.pop(needed.key)
        current = [watch for watch in waiting if watch.compiling == needed.key]
        if problem is None:
            self._enqueue(current)
        else:
            for watch in current:
                self._fail(watch, problem)
