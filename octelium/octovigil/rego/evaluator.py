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
STARTING: Final = 10.0
"""Seconds in which the process must be ready; whoever cannot wait for so long is refused alone."""
PENALTY: Final = 5.0
"""Seconds for which an asker is refused a module that took too long; twice as many each time."""
_LONGEST_PENALTY: Final = 60.0
_FORGIVEN: Final = 300.0
"""Seconds after which a penalty is forgotten."""
MAX_WAITING: Final = 4096
"""Evaluations that may wait."""
MAX_WAITING_EACH: Final = 64
"""Evaluations of one asker that may wait."""
MAX_BYTES: Final = 64 * 1024 * 1024
"""Of the input documents that wait."""
MAX_BYTES_EACH: Final = 8 * 1024 * 1024
"""Of those of one asker."""
_REMEMBERED: Final = 256
_LITTLE: Final = 0.2
"""Seconds that do not count."""
_FORGETTING: Final = 10.0
"""Seconds in which half of the time that an asker has taken is forgotten."""


@dataclass(slots=True, eq=False)
class _Job:
    needed: RegoNeeded
    deadline: float
    lenient: bool
    future: asyncio.Future[object]

    @property
    def asker(self) -> str:
        return self.needed.results.asker

    @property
    def size(self) -> int:
        return len(self.needed.document)


@dataclass(slots=True)
class _Penalty:
    seconds: float
    until: float


class Evaluator:
    """Evaluates modules for one event loop; implements `rounds.RegoEvaluator`.

    The process is started at the first need, and again after it ended. Askers take turns, and who
    has taken less time comes first: whoever asks for a lot keeps another waiting for one evaluation
    at most. What takes too long is refused for a while to who asked for it, and to nobody else.
    """

    def __init__(self) -> None:
        self._queues: dict[str, deque[_Job]] = {}
        self._taken: dict[str, tuple[float, float]] = {}
        self._waiting = 0
        self._bytes = 0
        self._working = False
        self._closed = False
        self._penalties: dict[tuple[str, RegoModule], _Penalty] = {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="rego")
        self._lock = threading.Lock()
        self._process: HelperProcess | None = None

    @property
    def pid(self) -> int | None:
        """The id of the process, if one runs."""
        process = self._process
        return None if process is None else process.pid

    async def evaluate(
        self, needed: RegoNeeded, deadline: float, *, lenient: bool = False
    ) -> object:
        """The result that is asked for; see `RegoEvaluator`.

        A `lenient` evaluation neither causes penalties nor has any.
        """
        if not lenient:
            self._refuse_penalised(needed)
        asker = needed.results.asker
        queue = self._queues.get(asker, ())
        size = len(needed.document)
        if (
            self._waiting >= MAX_WAITING
            or len(queue) >= MAX_WAITING_EACH
            or self._bytes + size > MAX_BYTES
            or sum(job.size for job in queue) + size > MAX_BYTES_EACH
        ):
            raise RegoUnavailableError("too many evaluations of Rego modules wait")
        if self._closed:
            raise RegoUnavailableError("this process is about to end")
        job = _Job(needed, deadline, lenient, asyncio.get_running_loop().create_future())
        self._queues.setdefault(asker, deque()).append(job)
        self._waiting += 1
        self._bytes += size
        if not self._working:
            self._working = True
            spawn(self._work(), name="Rego")
        return await job.future

    def resolver(self, loop: asyncio.AbstractEventLoop, asker: str = "") -> Resolver:
        """A resolver for threads other than that of `loop`, who think for `asker`.

        Penalties do not count: what is found must be what a decision comes to.
        """

        def resolve(needed: RegoNeeded) -> None:
            needed.results.asker = f"thinking for {asker}"
            evaluation = self.evaluate(needed, time.monotonic() + BUDGET, lenient=True)
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

    def _refuse_penalised(self, needed: RegoNeeded) -> None:
        key = needed.results.asker, needed.module
        penalty = self._penalties.get(key)
        if penalty is None:
            return
        left = penalty.until - time.monotonic()
        if left > 0:
            raise RegoUnavailableError(
                f"the module took too long a moment ago; it is tried again in {left:.0f} s"
            )
        if left < -_FORGIVEN:
            del self._penalties[key]

    def _penalise(self, job: _Job) -> None:
        asker, module = job.asker, job.needed.module
        if job.lenient or not asker:
            return
        former = self._penalties.pop((asker, module), None)
        seconds = PENALTY if former is None else min(2 * former.seconds, _LONGEST_PENALTY)
        self._penalties[asker, module] = _Penalty(seconds, time.monotonic() + seconds)
        if len(self._penalties) > _REMEMBERED:
            del self._penalties[next(iter(self._penalties))]
        _LOG.warning("%r takes too long for %s; refused for %.0f s", module, asker, seconds)

    # --- in the event loop

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._queues and not self._closed:
                job = self._next()
                if job.future.done():
                    continue
                started = time.monotonic()
                try:
                    if not job.lenient:
                        self._refuse_penalised(job.needed)
                    answer = await loop.run_in_executor(self._thread, self._ask, job)
                    result = self._result(job, answer)
                except Exception as error:  # noqa: BLE001 - it belongs to whoever waits
                    if not job.future.done():
                        job.future.set_exception(error)
                else:
                    if not job.future.done():
                        job.future.set_result(result)
                self._take(job.asker, time.monotonic() - started)
        finally:
            self._working = False

    def _next(self) -> _Job:
        """The next job of the asker who has taken least; of equals, who has waited longest."""
        asker = min(self._queues, key=self._recently) if self._taken else next(iter(self._queues))
        queue = self._queues.pop(asker)
        job = queue.popleft()
        if queue:
            self._queues[asker] = queue
        self._waiting -= 1
        self._bytes -= job.size
        return job

    def _recently(self, asker: str) -> float:
        """Seconds that an asker has taken, those long ago less."""
        taken, since = self._taken.get(asker, (0.0, 0.0))
        left = taken * 0.5 ** ((time.monotonic() - since) / _FORGETTING)
        return left if left >= _LITTLE else 0.0

    def _take(self, asker: str, seconds: float) -> None:
        taken, since = self._taken.pop(asker, (0.0, 0.0))
        taken = taken * 0.5 ** ((time.monotonic() - since) / _FORGETTING) + seconds
        self._taken[asker] = taken, time.monotonic()
        if len(self._taken) > _REMEMBERED:
            del self._taken[next(iter(self._taken))]

    def _result(self, job: _Job, answer: Answer | None) -> object:
        if answer is None:
            self._penalise(job)
            raise RegoUnavailableError(f"the evaluation took longer than {DEADLINE:g} s")
        if answer.spent:
            self._penalise(job)
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
        module = job.needed.module
        question = Question(module.text, *module.purpose, job.needed.document, job.needed.now_ns)
        self._require_time(job)
        try:
            process = self._running()
            self._require_time(job)
            return process.ask(question, time.monotonic() + DEADLINE)
        except TimeoutError:
            self._drop()
            return None
        except (OSError, FrameError) as error:
            self._drop()
            raise RegoUnavailableError(f"the evaluating process failed: {error}") from None

    @staticmethod
    def _require_time(job: _Job) -> None:
        """Begin nothing that may have to be given up: that ends the process for others, too."""
        if time.monotonic() + DEADLINE > job.deadline:
            raise RegoUnavailableError("the evaluation had to wait for too long")

    def _running(self) -> HelperProcess:
        if self._process is not None and self._process.has_ended:
            self._drop()  # between two evaluations: no module is at fault
        if self._process is None:
            try:
                process = HelperProcess(time.monotonic() + STARTING)
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
