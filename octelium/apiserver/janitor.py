"""The jobs that end what has outlived itself.

Nothing depends on them for safety: an expired Session or Credential is refused from the second it
expires. They free names and limits, and they change the keys that sign tokens.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from octelium.http.tasks import spawn
from octelium.identity.invitations import end_expired
from octelium.identity.keys import rotate
from octelium.identity.sessions import is_over, refresh_expires_at
from octelium.store.metadata import SYSTEM

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from octelium.store.resources import Resources, Transaction

_LOG = logging.getLogger(__name__)
_MINUTE = 60.0
_REGISTRATION_WINDOW = 60 * _MINUTE


class Clock(Protocol):
    """Where the time comes from."""

    def __call__(self) -> float:
        """Unix seconds."""


@dataclass(frozen=True, slots=True)
class Job:
    """One periodic job."""

    name: str
    period: float
    """Seconds."""
    run: Callable[[Transaction, float], int]
    """What it does at a time, within a transaction of the Cluster's own; how much there was."""


def end_sessions(tx: Transaction, now: float) -> int:
    """Delete Sessions that are over, or that can be renewed no more."""

    def ended(session: Any) -> bool:
        return is_over(session, now) or refresh_expires_at(session) <= now

    return _delete(tx, "Session", ended)


def end_credentials(tx: Transaction, now: float) -> int:
    """Delete Credentials past their end."""

    def ended(credential: Any) -> bool:
        spec = credential.spec
        return bool(spec.HasField("expires_at") and spec.expires_at.seconds <= now)

    return _delete(tx, "Credential", ended)


def drop_unregistered(tx: Transaction, now: float) -> int:
    """Delete Authenticators whose registration was not finished within an hour."""

    def abandoned(authenticator: Any) -> bool:
        created = authenticator.metadata.created_at.seconds
        return not authenticator.status.is_registered and created + _REGISTRATION_WINDOW <= now

    return _delete(tx, "Authenticator", abandoned)


def end_invitations(tx: Transaction, now: float) -> int:
    """Delete invitations past their end."""
    return end_expired(tx, now)


def rotate_keys(tx: Transaction, now: float) -> int:
    """Change the key that signs tokens when it is due."""
    return int(rotate(tx, now))


def _delete(tx: Transaction, kind: str, condition: Callable[[Any], bool]) -> int:
    ended = [message.metadata.uid for message in tx.peek_all(kind) if condition(message)]
    for uid in ended:
        tx.delete(kind, uid)
    return len(ended)


JOBS = (
    Job("ended Sessions", 5 * _MINUTE, end_sessions),
    Job("expired invitations", 5 * _MINUTE, end_invitations),
    Job("expired Credentials", 7 * _MINUTE, end_credentials),
    Job("signing keys", 10 * _MINUTE, rotate_keys),
    Job("unregistered Authenticators", 15 * _MINUTE, drop_unregistered),
)


class Janitor:
    """Runs the jobs, each at its own pace, until it is stopped."""

    def __init__(
        self,
        resources: Resources,
        clock: Clock,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._resources = resources
        self._clock = clock
        self._sleep = sleep
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin: every job runs at once, then after each of its periods."""
        self._tasks = [spawn(self._repeat(job), name=f"janitor: {job.name}") for job in JOBS]

    async def stop(self) -> None:
        """End the jobs and wait until they have ended; a running transaction is not committed."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    async def run(self, job: Job) -> int:
        """Do one job now; how much there was to do.

        Raises:
            StoreError: The store could not do it.
        """
        async with self._resources.transaction(SYSTEM) as tx:
            done = job.run(tx, self._clock())
        if done:
            _LOG.info("%s: %d", job.name, done)
        return done

    async def _repeat(self, job: Job) -> None:
        while True:
            try:
                await self.run(job)
            except Exception:  # noqa: BLE001 - logged; a job that failed once must not end for good
                _LOG.exception("%s: the job failed and is tried again later", job.name)
            await self._sleep(job.period)
