"""Control orders probes, workers send them: questions go out and answers come in by the feed.

A question names Services by their uid. What is asked of them is what the worker's own replica says,
so that nothing which no Service declares can be reached by it.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from octelium.http.tasks import spawn
from octelium.vigil.upstream_probe import Probed, UpstreamProber

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from octelium.replica.replica import Replica, ServiceEntry
    from octelium.vigil.environment import Environment

TOPIC: Final = "probe"
ALL: Final = 20.0
"""Seconds for everything that one question asks for."""
ALIVE: Final = 2.0
"""Seconds for a worker that is asked for nothing else."""
_CATCH_UP: Final = 1.0
_LINK: Final = 2.0
_MOST_AT_ONCE: Final = 4
"""Questions that a worker answers at a time; it is asked fewer."""


class Question(msgspec.Struct, frozen=True):
    """What control wants to know of one worker."""

    number: int
    services: tuple[str, ...] = ()
    """Uids of those whose upstreams are to be asked."""
    resolvers: bool = False
    """Whether the resolvers that DNS passes questions on to are to be asked."""


class Answer(msgspec.Struct, frozen=True):
    """What a worker found. `link` is why the link process does not answer, None if there is none
    to ask.
    """

    number: int
    revision: int
    """Of the worker's replica, once it had tried to catch up."""
    link: str | None = None
    probed: tuple[Probed, ...] = ()


class Reader(Protocol):
    """A worker's end of the feed, as a `Follower`."""

    def on(self, topic: str, handler: Callable[[bytes], None]) -> None:
        """Have questions handed over."""

    def send(self, topic: str, payload: bytes) -> bool:
        """Send an answer."""

    async def catch_up(self, timeout: float) -> bool:  # noqa: ASYNC109  (a result, not an error)
        """Wait for what was committed before."""


class Link(Protocol):
    """The link process, as `LinkSockets`."""

    async def status(self) -> object:
        """What it tells of itself. Raises OSError."""


class Answering:
    """A worker's side."""

    def __init__(
        self,
        reader: Reader,
        replica: Replica,
        environment: Environment,
        link: Link | None,
        *,
        seconds: float = ALL,
        patience: float | None = None,
    ) -> None:
        self._reader = reader
        self._replica = replica
        self._prober = (
            UpstreamProber(environment)
            if patience is None
            else UpstreamProber(environment, patience=patience)
        )
        self._link = link
        self._seconds = seconds
        self._running = 0
        reader.on(TOPIC, self._asked)

    def _asked(self, payload: bytes) -> None:
        question = msgspec.msgpack.decode(payload, type=Question)
        if self._running < _MOST_AT_ONCE:
            self._running += 1
            spawn(self._answer(question), name="probes of upstreams")

    async def _answer(self, question: Question) -> None:
        try:
            await self._reader.catch_up(_CATCH_UP)
            revision = self._replica.revision
            link = await self._link_trouble()
            found = [self._replica.services.get(uid) for uid in question.services]
            known = [service for service in found if service is not None]
            probed = await self._probe(known)
            if question.resolvers:
                probed += await self._resolvers()
            answer = Answer(question.number, revision, link, tuple(probed))
            self._reader.send(TOPIC, msgspec.msgpack.encode(answer))
        finally:
            self._running -= 1

    async def _probe(self, services: Sequence[ServiceEntry]) -> list[Probed]:
        """In the order of the Services; who has not answered in time is said so of."""
        if not services:
            return []
        tasks = [spawn(self._prober.ask(each), name="probe of an upstream") for each in services]
        try:
            await asyncio.wait(tasks, timeout=self._seconds)
            return [
                one
                for service, task in zip(services, tasks, strict=True)
                for one in (task.result() if task.done() else [_late(service)])
            ]
        finally:
            for task in tasks:
                task.cancel()

    async def _resolvers(self) -> list[Probed]:
        from octelium.vigil.dns.resolver_probe import ask_resolvers

        config = self._replica.cluster_config
        if config is None:
            return []
        return await ask_resolvers(config.message.spec.dns, RESOLVERS)

    async def _link_trouble(self) -> str | None:
        if self._link is None:
            return None
        try:
            async with asyncio.timeout(_LINK):
                await self._link.status()
        except TimeoutError:
            return f"no answer within {_LINK:g} s"
        except OSError as error:
            return str(error)
        return ""


RESOLVERS: Final = ""
"""What stands for a Service in what is found of resolvers."""


def _late(service: ServiceEntry) -> Probed:
    return Probed(
        service.name, "", "skipped", "there was no time left for it", "ask for this Service alone"
    )


class Writer(Protocol):
    """Control's end of the feed, as a `FeedServer`."""

    def on(self, topic: str, handler: Callable[[str, bytes], None]) -> None:
        """Have answers handed over."""

    def ask(self, worker: str, topic: str, payload: bytes) -> bool:
        """Hand a question to a worker. False if it is not there."""


@dataclass(slots=True)
class Asking:
    """Control's side."""

    writer: Writer
    _waiting: dict[int, tuple[str, asyncio.Future[Answer]]] = field(default_factory=dict)
    _number: int = 0

    def __post_init__(self) -> None:
        self.writer.on(TOPIC, self._answered)

    async def ask(
        self,
        worker: str,
        services: Sequence[str] = (),
        *,
        resolvers: bool = False,
        seconds: float = ALIVE,
    ) -> tuple[Answer, float]:
        """What a worker answers, and after how many seconds.

        Raises:
            TimeoutError: nothing in time, or no such worker.
        """
        self._number += 1
        number = self._number
        question = Question(number, tuple(services), resolvers)
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[number] = worker, future
        began = time.monotonic()
        try:
            if not self.writer.ask(worker, TOPIC, msgspec.msgpack.encode(question)):
                raise TimeoutError
            async with asyncio.timeout(seconds):
                answer = await future
            return answer, time.monotonic() - began
        finally:
            del self._waiting[number]

    def _answered(self, worker: str, payload: bytes) -> None:
        answer = msgspec.msgpack.decode(payload, type=Answer)
        waiting = self._waiting.get(answer.number)
        if waiting is not None and waiting[0] == worker and not waiting[1].done():
            waiting[1].set_result(answer)
