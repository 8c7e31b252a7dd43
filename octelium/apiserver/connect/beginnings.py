"""Connections that begin together: one commit for all that wait.

A commit waits for the disk, and every reader is told of it. When a thousand clients connect at
once, those are most of what it costs, so that whoever comes while a commit is under way is part of
the next one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Final, TypeVar

from octelium.http.tasks import spawn
from octelium.store.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.store.metadata import Actor
    from octelium.store.resources import Resources, Transaction

T = TypeVar("T")
Picked = dict[int, str]
"""Indexes of addresses that a transaction gives, and the uids of the Sessions that get them."""

MOST: Final = 64
"""Beginnings in one transaction, which holds up all others."""


class _One:
    """Somebody who waits. `failure` is why it does not begin, else `result` is what it is told."""

    __slots__ = ("actor", "done", "failure", "result", "work")

    def __init__(self, actor: Actor, work: Callable[[Transaction, Picked], Any]) -> None:
        self.actor = actor
        self.work = work
        self.failure: Exception | None = None
        self.result: Any = None
        self.done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def do(self, tx: Transaction, picked: Picked) -> None:
        tx.actor = self.actor
        try:
            self.result = self.work(tx, picked)
        except Exception as error:  # noqa: BLE001 - told to who waits for it
            self.failure = error

    def tell(self, failure: Exception | None = None) -> None:
        """How it went, unless nobody wants to know any more."""
        failure = self.failure or failure
        if self.done.done():
            return
        if failure is None:
            self.done.set_result(self.result)
        else:
            self.done.set_exception(failure)


class Beginnings:
    """Takes beginnings in their order, as many at once as are there. `close` it at the end."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._waiting: deque[_One] = deque()
        self._task: asyncio.Task[None] | None = None

    async def begin(self, actor: Actor, work: Callable[[Transaction, Picked], T]) -> T:
        """Have `work` done in the actor's name within a transaction that others share.

        `work` must change nothing if it raises, and note the address that it picks. Returns what
        it returned once that is durable and every subscriber has seen it.

        Raises:
            StoreError: the transaction failed, for all of them.
            Exception: what `work` raised, for this one alone.
        """
        one = _One(actor, work)
        self._waiting.append(one)
        if self._task is None:
            self._task = spawn(self._run(), name="connections that begin")
        result: T = await one.done
        return result

    async def close(self) -> None:
        """Refuse those who wait, and see through what has begun."""
        self._refuse(Unavailable("the Cluster stops: try again"))
        if self._task is not None:
            await asyncio.wait((self._task,))

    async def _run(self) -> None:
        try:
            while self._waiting:
                await self._some()
        finally:
            self._task = None

    async def _some(self) -> None:
        taken: list[_One] = []
        picked: Picked = {}
        try:
            async with self._resources.transaction() as tx:
                while self._waiting and len(taken) < MOST:
                    one = self._waiting.popleft()
                    if not one.done.cancelled():
                        taken.append(one)
                        one.do(tx, picked)
        except Exception as error:  # noqa: BLE001 - told to all whom it concerns
            for one in taken:
                one.tell(error)
            if not taken:
                self._refuse(error)
            return
        for one in taken:
            one.tell()

    def _refuse(self, error: Exception) -> None:
        while self._waiting:
            self._waiting.popleft().tell(error)
