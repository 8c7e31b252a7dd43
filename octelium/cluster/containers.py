"""Control's end of the controller: what it tells of containers becomes the state of Services.

Nothing that it tells is believed unseen (`controller.wire`), and nothing is kept of containers
that no Service has.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Final

from octelium.controller.managed import containers_of
from octelium.controller.wire import Report, ReportError
from octelium.http.tasks import spawn
from octelium.schema.kinds import KINDS, new
from octelium.schema.pb import container_v1_pb2 as stored
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.references import reference_to
from octelium.store.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from octelium.controller.managed import Key
    from octelium.controller.status import ContainerStatus
    from octelium.store.resources import Committed, Resources, Transaction

_LOG = logging.getLogger(__name__)
_KIND: Final = KINDS["ContainerState"]
_LARGEST: Final = 1 << 20
"""Bytes of the containers of one Service."""
EVERY: Final = 1.0
"""Seconds from one commit of states to the next, at least."""
SILENT: Final = 20.0
"""Seconds without word after which the controller counts as missing."""


class Containers:
    """Takes the controller's reports and keeps the ContainerState of each Service."""

    def __init__(
        self,
        resources: Resources,
        *,
        every: float = EVERY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._resources = resources
        self._every = every
        self._clock = clock
        self._told: dict[Key, ContainerStatus] = {}
        self._touched: set[str] = set()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._unsubscribe: Callable[[], None] | None = None
        self._refused = 0
        self._trouble = ""
        self._leading = False
        self._heard = clock() - SILENT

    def receive(self, _worker: str, payload: bytes) -> None:
        """Take a report. One that may not be believed changes nothing."""
        try:
            report = Report.decode(payload)
        except ReportError as error:
            self._refused += 1
            _LOG.error("a report of the controller is refused: %s", error)
            return
        self._heard, self._leading = self._clock(), report.leading
        if report.trouble != self._trouble:
            self._trouble = report.trouble
            if report.trouble:
                _LOG.warning("containers are not kept as they shall be: %s", report.trouble)
        for status in report.containers:
            self._told[status.key] = status
            self._touched.add(status.service_uid)
        if report.containers:
            self._wake.set()

    def trouble(self) -> str:
        """Empty while the controller is there and keeps containers as they shall be."""
        if self._clock() - self._heard >= SILENT:
            return "the controller is not connected, or silent"
        return self._trouble

    def series(self) -> dict[str, float]:
        """Counters, as `visibility.metrics` has them."""
        wanted, ready = 0, 0
        for item in self._resources.items("Service"):
            wanted += sum(1 for _ in containers_of(item.message.spec))
        for item in self._resources.items(_KIND.name):
            ready += sum(one.ready for one in item.message.status.containers)
        return {
            "octelium_containers_wanted": wanted,
            "octelium_containers_ready": ready,
            "octelium_controller_connected": self._clock() - self._heard < SILENT,
            "octelium_controller_reports_refused_total": self._refused,
        }

    def start(self) -> None:
        """Begin to write, and to follow which Services go."""
        self._unsubscribe = self._resources.subscribe(self._follow)
        self._touched.update(item.name for item in self._resources.items(_KIND.name))
        self._wake.set()
        self._task = spawn(self._run(), name="states of containers")

    async def stop(self) -> None:
        """End that."""
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))

    def _follow(self, committed: Committed) -> None:
        for change in committed.changes:
            if change.kind != "Service":
                continue
            for item in (change.before, change.after):
                if item is not None and any(True for _ in containers_of(item.message.spec)):
                    self._touched.add(change.uid)
                    self._wake.set()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            touched, self._touched = self._touched, set()
            told, self._told = self._told, {}
            try:
                async with self._resources.transaction() as tx:
                    for uid in sorted(touched):
                        _settle(tx, uid, told)
            except StoreError as error:
                _LOG.error("states of containers cannot be stored now: %s", error)
                self._touched |= touched
                self._told = {**told, **self._told}
                self._wake.set()
            await asyncio.sleep(self._every)


async def forget_all(resources: Resources) -> None:
    """Delete what is stored of containers, for a Cluster that has none."""
    uids = [item.uid for item in resources.items(_KIND.name)]
    if uids:
        async with resources.transaction() as tx:
            for uid in uids:
                tx.delete(_KIND.name, uid)


def _settle(tx: Transaction, service_uid: str, told: Mapping[Key, ContainerStatus]) -> None:
    """Store what was told of a Service's containers, and nothing of those that it has no more."""
    service = tx.find(core.Service, uid=service_uid)
    former = tx.find(stored.ContainerState, name=service_uid)
    configs = [] if service is None else [config for config, _ in containers_of(service.spec)]
    known = {} if former is None else {one.config: one for one in former.status.containers}
    known |= {
        config: _stored(told[service_uid, config])
        for config in configs
        if (service_uid, config) in told
    }
    containers = _fitting(known[config] for config in sorted({*configs}) if config in known)
    if not containers or service is None:
        if former is not None:
            tx.delete(_KIND.name, former.metadata.uid)
        return
    if former is None:
        state = new(_KIND)
        state.metadata.name = service_uid
        state.spec.SetInParent()
        _fill(state, service, containers)
        tx.create(state)
    elif list(former.status.containers) != containers:
        _fill(former, service, containers)
        tx.update(former)


def _fitting(containers: Iterable[stored.Container]) -> list[stored.Container]:
    """As much of them as one record may hold; what requests need stays longest."""
    kept = list(containers)
    if sum(one.ByteSize() for one in kept) > _LARGEST:
        for one in kept:
            one.ClearField("events")
            one.ClearField("message")
    while sum(one.ByteSize() for one in kept) > _LARGEST:
        _LOG.error("the %d containers of a Service are too many to be known", len(kept))
        del kept[len(kept) // 2 :]
    return kept


def _fill(
    state: stored.ContainerState, service: core.Service, containers: Iterable[stored.Container]
) -> None:
    kept = stored.ContainerStateStatus(containers=containers)
    kept.service_ref.CopyFrom(reference_to(service))
    state.status.CopyFrom(kept)


def _stored(status: ContainerStatus) -> stored.Container:
    made = stored.Container(
        config=status.config,
        address=status.address,
        port=status.port,
        ready=status.ready,
        desired=status.desired,
        replicas=status.replicas,
        ready_replicas=status.ready_replicas,
        updated=status.updated,
        image=status.image,
        restarts=status.restarts,
        reason=status.reason,
        message=status.message,
    )
    for event in status.events:
        one = made.events.add(
            object=event.object,
            type=event.type,
            reason=event.reason,
            message=event.message,
            count=event.count,
        )
        one.last_at.seconds = event.last
    return made
