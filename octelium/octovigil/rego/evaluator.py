"""Evaluations in a process of their own: in turn, with a deadline, and never too many at once."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from octelium.http.tasks import spawn
from octelium.octovigil.rego.frames import FrameError, Question
from octelium.octovigil.rego.process import HelperProcess
from octelium.octovigil.rego.rounds import BUDGET
from octelium.policy.rego.needed import (
    UNDEFINED,
    RegoBudgetError,
    RegoError,
    RegoUnavailableError,
)

if TYPE_CHECKING:
    from octelium.octovigil.rego.frames import Answer
    from octelium.policy.rego.module import RegoModule
    from octelium.policy.rego.needed import RegoNeeded, Resolver

_LOG = logging.getLogger(__name__)

DEADLINE: Final = 1.0
"""Seconds of one evaluation."""
PENALTY: Final = 5.0
"""Seconds for which a module is refused that took too long; twice as many each time after that."""
_LONGEST_PENALTY: Final = 60.0
_FORGIVEN: Final = 300.0
"""Seconds after which a penalty is forgotten."""
MAX_WAITING: Final = 256
"""Evaluations that may wait."""
MAX_WAITING_EACH: Final = 64
"""Evaluations of one module that may wait."""
MAX_BYTES: Final = 64 * 1024 * 1024
"""Of the input documents that wait."""


@dataclass(slots=True, eq=False)
class _Job:
    needed: RegoNeeded
    deadline: float
    future: asyncio.Future[object]


@dataclass(slots=True)
class _Penalty:
    seconds: float
    until: float


class Evaluator:
    """Evaluates modules for one event loop; implements `rounds.RegoEvaluator`.

    The process is started at the first need, and again after it ended. Modules take turns, so that
    one that is asked for a lot keeps another waiting for one evaluation at most.
    """

    def __init__(self) -> None:
        self._queues: dict[RegoModule, deque[_Job]] = {}
        self._waiting = 0
        self._bytes = 0
        self._working = False
        self._closed = False
        self._penalties: dict[RegoModule, _Penalty] = {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="rego")
        self._lock = threading.Lock()
        self._process: HelperProcess | None = None

    @property
    def pid(self) -> int | None:
        """The id of the process, if one runs."""
        process = self._process
        return None if process is None else process.pid

    async def evaluate(self, needed: RegoNeeded, deadline: float) -> object:
        """The result that is asked for; see `RegoEvaluator`."""
        module = needed.module
        self._refuse_penalised(module)
        queue = self._queues.get(module, ())
        size = len(needed.document)
        if (
            self._waiting >= MAX_WAITING
            or len(queue) >= MAX_WAITING_EACH
            or self._bytes + size > MAX_BYTES
        ):
            raise RegoUnavailableError("too many evaluations of Rego modules wait")
        if self._closed:
            raise RegoUnavailableError("this process is about to end")
        job = _Job(needed, deadline, asyncio.get_running_loop().create_future())
        self._queues.setdefault(module, deque()).append(job)
        self._waiting += 1
        self._bytes += size
        if not self._working:
            self._working = True
            spawn(self._work(), name="Rego")
        return await job.future

    def resolver(self, loop: asyncio.AbstractEventLoop) -> Resolver:
        """A resolver for threads other than that of `loop`."""

        def resolve(needed: RegoNeeded) -> None:
            evaluation = self.evaluate(needed, time.monotonic() + BUDGET)
            future = asyncio.run_coroutine_threadsafe(evaluation, loop)
            try:
                needed.answer(future.result(2 * BUDGET))
            except RegoError as error:
                needed.answer(error)
            except TimeoutError:
                future.cancel()
                needed.answer(RegoUnavailableError("no Rego module was evaluated in time"))

        return resolve

    def close(self) -> None:
        """End the process. What waits fails."""
        if self._closed:
            return
        self._closed = True
        with self._lock:
            if self._process is not None:
                self._process.interrupt()
        self._thread.submit(self._drop)
        self._thread.shutdown(wait=False)
        for queue in self._queues.values():
            for job in queue:
                if not job.future.done():
                    job.future.set_exception(RegoUnavailableError("this process is about to end"))
        self._queues.clear()

    def _refuse_penalised(self, module: RegoModule) -> None:
        penalty = self._penalties.get(module)
        if penalty is None:
            return
        left = penalty.until - time.monotonic()
        if left > 0:
            raise RegoUnavailableError(
                f"the module took too long a moment ago; it is tried again in {left:.0f} s"
            )
        if left < -_FORGIVEN:
            del self._penalties[module]

    def _penalise(self, module: RegoModule) -> None:
        former = self._penalties.get(module)
        seconds = PENALTY if former is None else min(2 * former.seconds, _LONGEST_PENALTY)
        self._penalties[module] = _Penalty(seconds, time.monotonic() + seconds)
        if len(self._penalties) > MAX_WAITING:
            del self._penalties[next(iter(self._penalties))]
        _LOG.warning("%r takes too long; it is refused for %.0f s", module, seconds)

    # --- in the event loop

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._queues and not self._closed:
                job = self._next()
                if job.future.done():
                    continue
                try:
                    self._refuse_penalised(job.needed.module)
                    answer = await loop.run_in_executor(self._thread, self._ask, job)
                    result = self._result(job, answer)
                except Exception as error:  # noqa: BLE001 - it belongs to whoever waits
                    if not job.future.done():
                        job.future.set_exception(error)
                else:
                    if not job.future.done():
                        job.future.set_result(result)
        finally:
            self._working = False

    def _next(self) -> _Job:
        """The next job of the module that has waited longest for its turn."""
        module, queue = next(iter(self._queues.items()))
        del self._queues[module]
        job = queue.popleft()
        if queue:
            self._queues[module] = queue
        self._waiting -= 1
        self._bytes -= len(job.needed.document)
        return job

    def _result(self, job: _Job, answer: Answer | None) -> object:
        if answer is None:
            self._penalise(job.needed.module)
            raise RegoUnavailableError(f"the evaluation took longer than {DEADLINE:g} s")
        if answer.spent:
            self._penalise(job.needed.module)
            raise RegoBudgetError(answer.error)
        if answer.error:
            raise RegoError(answer.error)
        return msgspec.json.decode(answer.value) if answer.value else UNDEFINED

    # --- in the thread

    def _ask(self, job: _Job) -> Answer | None:
        """The answer; None if the module took too long.

        Raises:
            RegoUnavailableError: nobody could be asked, or in time.
        """
        if time.monotonic() >= job.deadline:
            raise RegoUnavailableError("the evaluation had to wait for too long")
        module = job.needed.module
        question = Question(module.text, *module.purpose, job.needed.document, job.needed.now_ns)
        try:
            process = self._running(job.deadline)
            started = time.monotonic()
            return process.ask(question, min(started + DEADLINE, job.deadline))
        except TimeoutError:
            self._drop()
            if time.monotonic() - started < DEADLINE:
                raise RegoUnavailableError("the evaluation had to wait for too long") from None
            return None
        except (OSError, FrameError) as error:
            self._drop()
            raise RegoUnavailableError(f"the evaluating process failed: {error}") from None

    def _running(self, deadline: float) -> HelperProcess:
        if self._process is None:
            try:
                process = HelperProcess(deadline)
            except TimeoutError:
                raise RegoUnavailableError("the evaluating process does not start") from None
            with self._lock:
                self._process = process
                if self._closed:
                    process.interrupt()
        return self._process

    def _drop(self) -> None:
        with self._lock:
            process, self._process = self._process, None
        if process is not None:
            process.kill()
