"""Who writes: of several controllers the one that holds a Lease.

The rules are those of Kubernetes' own leader election (client-go): who holds the Lease renews it
each `retry` seconds; who could not for `deadline` seconds stops; another takes it over when it has
not seen it change for `duration` seconds of its own monotonic clock. Clocks of different machines
are never compared. As `deadline` is the shorter one, and counts from the moment at which the last
renewal was sent, there is never a moment at which two are certain to lead.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import math
import time
import uuid
from typing import TYPE_CHECKING, Any, Protocol

from octelium.controller.backoff import Backoff
from octelium.controller.kube.errors import AbsentError, ConflictError, KubeError
from octelium.controller.kube.kinds import LEASE

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.controller.kube.kinds import Kind

_LOG = logging.getLogger(__name__)

DURATION = 15.0
DEADLINE = 10.0
RETRY = 2.0
MARGIN = 1.0
"""Seconds by which a write ends before another controller could take the Lease."""
RELEASES = 4
"""Calls by which it is tried to give the Lease back."""
_LONGEST = 3600
"""Seconds of somebody else's Lease that are believed."""

Object = dict[str, Any]


class Leases(Protocol):
    """The calls that an election needs."""

    async def get(self, kind: Kind, name: str) -> Object:
        """One object."""

    async def create(self, kind: Kind, value: Object) -> Object:
        """Create one; `ConflictError` if it exists."""

    async def replace(self, kind: Kind, value: Object, *, within: float | None = None) -> Object:
        """Replace one; `ConflictError` if it has changed."""


def identity_of(name: str) -> str:
    """A name that no other process has, nor an earlier one of the same Pod."""
    return f"{name[:200]}_{uuid.uuid4()}"


class Election:
    """One candidate for the Lease `name`."""

    def __init__(
        self,
        api: Leases,
        name: str,
        identity: str,
        *,
        duration: float = DURATION,
        deadline: float = DEADLINE,
        retry: float = RETRY,
        now: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        if not retry < deadline < duration:
            raise ValueError("a Lease needs retry < deadline < duration")
        self._api = api
        self._name = name
        self._duration = duration
        self._deadline = deadline
        self._retry = retry
        self._now = now
        self._wall = wall
        self._seen: Object | None = None
        self._seen_at = 0.0
        self._renewed: float | None = None
        self._told = False
        self._backoff = Backoff(0.25, retry)
        self.identity = identity
        self.trouble: KubeError | None = None
        """Why the last step failed; None if it did not."""
        self.listeners: list[Callable[[bool], None]] = []
        """Called with whether this one leads, whenever that changes."""
        self.troubled: list[Callable[[], None]] = []
        """Called when another trouble has come up."""

    @property
    def leading(self) -> bool:
        """Whether it is certain, now, that nobody else leads."""
        return self._renewed is not None and self._now() < self._renewed + self._deadline

    @property
    def write_time(self) -> float:
        """Seconds within which a write that begins now must end; 0 if none may begin."""
        if self._renewed is None or not self.leading:
            return 0.0
        return max(0.0, self._renewed + self._duration - MARGIN - self._now())

    async def run(self) -> None:
        """Try, and renew, until cancelled."""
        while True:
            await self.step()
            pause = self._retry
            if self.trouble is not None and self._renewed is not None:
                pause = self._backoff.next()
            else:
                self._backoff.reset()
            if self.leading and self._renewed is not None:
                pause = min(pause, self._renewed + self._deadline - self._now())
            await asyncio.sleep(max(0.01, pause))

    async def step(self) -> None:
        """Take or renew the Lease, if that may be."""
        try:
            await self._attempt()
            self.trouble = None
        except KubeError as error:
            another = self.trouble is None or str(self.trouble) != str(error)
            self.trouble = error
            if another:
                _LOG.warning("the Lease %s: %s", self._name, error)
                for callback in self.troubled:
                    callback()
            if isinstance(error, ConflictError | AbsentError):
                # Somebody wrote it, or deleted it: what was seen says nothing any more.
                self._seen = None
        self._settle()

    async def release(self) -> None:
        """Give the Lease back, so that another takes it at once. Write nothing after this."""
        held, self._renewed = self._renewed is not None and self.leading, None
        self._settle()
        seen = self._seen
        for _ in range(RELEASES):
            if not held:
                return
            try:
                if seen is None:
                    seen = await self._api.get(LEASE, self._name)
                    held = _holder(seen) == self.identity
                else:
                    value = self._record(seen, holder="", seconds=1)
                    await self._api.replace(LEASE, value, within=self._deadline / 2)
                    return
            except ConflictError:
                # A renewal that was interrupted has had its effect all the same.
                seen = None
            except KubeError as error:
                _LOG.warning("the Lease %s runs out, it is not given back: %s", self._name, error)
                return

    def _settle(self) -> None:
        leading = self.leading
        if not leading:
            self._renewed = None
        if leading != self._told:
            self._told = leading
            _LOG.info("%s %s", self.identity, "leads" if leading else "does not lead")
            for listener in self.listeners:
                listener(leading)

    async def _attempt(self) -> None:
        if self._renewed is None or self._seen is None:
            try:
                self._observe(await self._api.get(LEASE, self._name))
            except AbsentError:
                await self._create()
                return
        seen = self._seen
        if seen is None:
            return
        holder = _holder(seen)
        if holder not in ("", self.identity):
            self._renewed = None
            if self._now() < self._seen_at + _seconds(seen, self._duration):
                return
        began = self._now()
        value = self._record(seen, holder=self.identity, seconds=math.ceil(self._duration))
        self._observe(await self._api.replace(LEASE, value, within=self._deadline / 2))
        # Should leadership have lapsed meanwhile, listeners hear that too.
        self._settle()
        self._renewed = began

    async def _create(self) -> None:
        began = self._now()
        value: Object = {
            "apiVersion": LEASE.api_version,
            "kind": LEASE.name,
            "metadata": {"name": self._name},
        }
        value = self._record(value, holder=self.identity, seconds=math.ceil(self._duration))
        self._observe(await self._api.create(LEASE, value))
        self._renewed = began

    def _observe(self, value: Object) -> None:
        if self._seen is None or _version(value) != _version(self._seen):
            self._seen_at = self._now()
        self._seen = value

    def _record(self, before: Object, *, holder: str, seconds: int) -> Object:
        spec = dict(before.get("spec") or {})
        moment = dt.datetime.fromtimestamp(self._wall(), dt.UTC)
        stamp = moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        if holder and spec.get("holderIdentity") != holder:
            spec["acquireTime"] = stamp
            spec["leaseTransitions"] = _number(spec.get("leaseTransitions")) + (
                1 if "holderIdentity" in spec else 0
            )
        spec.update(holderIdentity=holder, renewTime=stamp, leaseDurationSeconds=seconds)
        return {**before, "spec": spec}


def _holder(value: Object) -> str:
    return str((value.get("spec") or {}).get("holderIdentity") or "")


def _version(value: Object) -> tuple[str, str]:
    meta = value.get("metadata") or {}
    return str(meta.get("uid", "")), str(meta.get("resourceVersion", ""))


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _seconds(value: Object, otherwise: float) -> float:
    given = _number((value.get("spec") or {}).get("leaseDurationSeconds"))
    return float(given) if 0 < given <= _LONGEST else otherwise
