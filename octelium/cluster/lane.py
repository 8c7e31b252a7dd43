"""A thread for work that would hold up the event loop, with a bounded queue before it."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from typing import TYPE_CHECKING, Any, TypeVar

import grpc

from octelium.apiserver.rpc import ApiError
from octelium.store.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Expired(Exception):  # noqa: N818  (reads as the verdict that it is)
    """The work has no time left, or nobody waits for it any more."""


class Deadline:
    """When work has to end. It has to ask from time to time; nobody can end a thread."""

    __slots__ = ("_abandoned", "_end")

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._abandoned = False

    @property
    def left(self) -> float:
        """Seconds until then; at most 0 when nobody waits any more."""
        return 0.0 if self._abandoned else self._end - time.monotonic()

    def check(self) -> None:
        """Raises Expired when the time is up."""
        if self.left <= 0:
            raise Expired

    def abandon(self) -> None:
        """Nobody waits any more."""
        self._abandoned = True


class _Job:
    __slots__ = ("deadline", "future", "loop", "work")

    def __init__(self, work: Callable[[Deadline], Any], deadline: Deadline) -> None:
        self.work = work
        self.deadline = deadline
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Any] = self.loop.create_future()


class Lane:
    """Does one piece of work after the other, for one asker at most one at a time.

    `waiting` are the pieces that may wait; `seconds` is what each has, waiting included. The
    thread is a daemon: what it does is not worth waiting for when the process ends.
    """

    def __init__(self, name: str, *, waiting: int, seconds: float) -> None:
        self._name = name
        self._waiting = waiting
        self._seconds = seconds
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._askers: set[str] = set()
        self._thread: threading.Thread | None = None

    async def run(self, work: Callable[[Deadline], T], asker: str) -> T:
        """The result of `work(deadline)`, or what it raises.

        Raises:
            Unavailable: The asker has a question open, or too many others wait.
            ApiError: DEADLINE_EXCEEDED.
        """
        if asker in self._askers:
            raise Unavailable("your last question is not answered yet: wait for it")
        if len(self._askers) > self._waiting:
            raise Unavailable("too many questions wait for an answer: try again later")
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name=self._name, daemon=True)
            self._thread.start()
        job = _Job(work, Deadline(self._seconds))
        self._askers.add(asker)
        # The place is free when the work has ended, not when nobody waits for it any more.
        job.future.add_done_callback(lambda _: self._askers.discard(asker))
        self._jobs.put(job)
        try:
            async with asyncio.timeout(self._seconds):
                result: T = await asyncio.shield(job.future)
        except (TimeoutError, Expired) as error:
            text = f"there was no answer within {self._seconds:g} seconds: ask for less"
            raise ApiError(grpc.StatusCode.DEADLINE_EXCEEDED, text) from error
        finally:
            job.deadline.abandon()
        return result

    def close(self) -> None:
        """Begin nothing any more."""
        self._jobs.put(None)

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            result: Any = None
            failure: BaseException | None = None
            try:
                job.deadline.check()
                result = job.work(job.deadline)
            except BaseException as error:  # noqa: BLE001  (told to the asker)
                failure = error
            try:
                job.loop.call_soon_threadsafe(_settle, job.future, result, failure)
            except RuntimeError:  # the loop is closed: nobody is left to be told
                return
            # A result may be large, and the next piece of work may be long in coming.
            del job, result, failure


def _settle(future: asyncio.Future[Any], result: Any, failure: BaseException | None) -> None:
    if future.cancelled():
        return
    if failure is None:
        future.set_result(result)
    else:
        future.set_exception(failure)
        future.exception()  # somebody may have ceased to wait: that is no fault to be logged
