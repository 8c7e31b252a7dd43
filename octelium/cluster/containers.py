"""Control's end of the controller: what it tells of containers becomes the state of Services.

Nothing that it tells is believed unseen (`controller.wire`), and nothing is kept of containers
that no Service has. Which place is whose can be known from Kubernetes alone: that is what the
controller is trusted with, among the places that can be a container's. Such a place has a private
address that is nobody's else, and the port that the Service asks for; it is told by the controller
that leads, and ends as soon as the container is taken from the Service, or its port is another.

Who the controller is follows from the socket. Where control is in a Pod of Kubernetes, only a
process of another container can connect to it. Elsewhere everybody of the Cluster's own user can:
there no number of a process and no name tells the controller from a process that poses as it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from octelium.apiserver.core.deployment import ControllerHealth
from octelium.cluster.leader import Leader
from octelium.controller.wire import Report, ReportError
from octelium.http.tasks import spawn
from octelium.schema.containers import BEGINNING, NO_CONTROLLER, STARTING, containers_of
from octelium.schema.kinds import KINDS, new
from octelium.schema.pb import container_v1_pb2 as stored
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.references import reference_to
from octelium.store.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from ipaddress import IPv4Network, IPv6Network

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
LOOK: Final = 5.0
"""Seconds between two looks at whether it does."""
_LOST: Final = "the controller is not connected, so nothing deploys this now"


@dataclass(frozen=True, slots=True)
class _Told:
    """`leads` tells whether the controller said it that keeps the container."""

    status: ContainerStatus
    leads: bool


class Containers:
    """Takes the controllers' reports and keeps the ContainerState of each Service.

    `foreign` gives the networks in which no container can be; it may raise OSError.
    """

    def __init__(
        self,
        resources: Resources,
        *,
        foreign: Callable[[], Collection[IPv4Network | IPv6Network]],
        every: float = EVERY,
        look: float = LOOK,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._resources = resources
        self._foreign = foreign
        self._every = every
        self._clock = clock
        self._told: dict[Key, _Told] = {}
        self._held: dict[Key, _Told] = {}
        """What was told of an address that is another Service's still."""
        self._gone: set[Key] = set()
        """Containers of which nothing counts that was told before."""
        self._touched: set[str] = set()
        self._wake = asyncio.Event()
        self._at_once = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._unsubscribe: Callable[[], None] | None = None
        self._refused = 0
        self._trouble = ""
        self._leader = Leader(SILENT, clock)
        self._look = look
        self._now = now
        self._began = clock()
        self._heard, self._heard_at = self._began - SILENT, now()
        self._lost = False

    def receive(self, reader: bytes, payload: bytes) -> None:
        """Take a report. One that may not be believed changes nothing.

        While one controller leads, the others are not heard. While none does, they may tell why,
        and no place.
        """
        try:
            report = Report.decode(payload)
        except ReportError as error:
            self._refused += 1
            _LOG.error("a report of the controller is refused: %s", error)
            return
        leads = self._leader.counts(reader, leading=report.leading)
        if not leads and (report.leading or self._leader.known):
            return
        self._heard, self._heard_at = self._clock(), self._now()
        if self._lost:
            self._wake.set()
        if report.trouble != self._trouble:
            self._trouble = report.trouble
            if report.trouble:
                _LOG.warning("containers are not kept as they shall be: %s", report.trouble)
        for status in report.containers:
            uid, former = status.service_uid, self._told.get(status.key)
            if self._resources.peek(core.Service, uid=uid) is not None and (
                leads or former is None or not former.leads
            ):
                self._told[status.key] = _Told(status, leads)
                self._touched.add(uid)
                self._wake.set()

    def controller(self) -> ControllerHealth:
        """How the controller is, for those who read about containers."""
        silent = self._is_silent()
        return ControllerHealth(is_configured=True, silent_since=self._heard_at if silent else 0.0)

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
            before = {} if change.before is None else _ports(change.before.message)
            after = {} if change.after is None else _ports(change.after.message)
            if before or after:
                self._touched.add(change.uid)
                self._wake.set()
            for config, port in before.items():
                if after.get(config) != port:
                    key = change.uid, config
                    self._gone.add(key)
                    self._told.pop(key, None)
                    self._held.pop(key, None)
                    self._at_once.set()

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):  # the time for a look at the controller
                async with asyncio.timeout(self._look):
                    await self._wake.wait()
            if not (self._notice() or self._wake.is_set()):
                continue
            self._wake.clear()
            self._at_once.clear()
            gone, self._gone = self._gone, set()
            told, self._told = {**self._held, **self._told}, {}
            held, self._held = self._held, {}
            touched, self._touched = self._touched | {uid for uid, _ in held}, set()
            try:
                foreign = self._foreign()
                async with self._resources.transaction() as tx:
                    places = self._places(told, gone)
                    for uid in sorted(touched):
                        self._held |= _settle(tx, uid, told, gone, places, foreign, lost=self._lost)
            except (StoreError, OSError) as error:
                _LOG.error("states of containers cannot be stored now: %s", error)
                self._touched |= touched
                self._told = {
                    **{key: one for key, one in told.items() if key not in self._gone},
                    **self._told,
                }
                self._held.clear()
                self._gone |= gone
                self._wake.set()
                await asyncio.sleep(self._every)
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._every):
                    await self._at_once.wait()

    def _is_silent(self) -> bool:
        """Whether the controller is lost. At the start it has as long to appear."""
        return self._clock() - max(self._heard, self._began) >= SILENT

    def _notice(self) -> bool:
        """Whether the controller was lost or is back since the last look. All are touched then."""
        if (lost := self._is_silent()) == self._lost:
            return False
        self._lost = lost
        self._touched.update(
            item.uid for item in self._resources.items("Service") if _ports(item.message)
        )
        return True

    def _places(self, told: Mapping[Key, _Told], gone: set[Key]) -> dict[str, str]:
        """Whose each address is, by the uid of the Service, without those that may be moving."""
        return {
            one.address: item.name
            for item in self._resources.items(_KIND.name)
            for one in item.message.status.containers
            if one.address
            and (item.name, one.config) not in gone
            and not ((found := told.get((item.name, one.config))) and found.leads)
            and self._resources.peek(core.Service, uid=item.name) is not None
        }


async def forget_all(resources: Resources) -> None:
    """Delete what is stored of containers, for a Cluster that has none."""
    uids = [item.uid for item in resources.items(_KIND.name)]
    if uids:
        async with resources.transaction() as tx:
            for uid in uids:
                tx.delete(_KIND.name, uid)


def _ports(service: core.Service) -> dict[str, int]:
    """The port of each container, by the name of its config."""
    return {config: container.port for config, container in containers_of(service.spec)}


def _settle(
    tx: Transaction,
    service_uid: str,
    told: Mapping[Key, _Told],
    gone: Collection[Key],
    places: dict[str, str],
    foreign: Collection[IPv4Network | IPv6Network],
    *,
    lost: bool,
) -> dict[Key, _Told]:
    """Store what was told of a Service's containers, and nothing of those that it has no more.

    While the controller is `lost`, it is told of those that wait for it.
    Returns what has to be looked at again, when `places` are others.
    """
    service = tx.find(core.Service, uid=service_uid)
    former = tx.find(stored.ContainerState, name=service_uid)
    ports = {} if service is None else _ports(service)
    before = [] if former is None else list(former.status.containers)
    known = {one.config: one for one in before}
    held = {}
    for config, port in ports.items():
        key = service_uid, config
        if key in gone or (config in known and known[config].port not in (0, port)):
            known.pop(config, None)
        if (found := told.get(key)) is None:
            continue
        if not found.leads:
            if config not in known or not known[config].address:
                known[config] = _stored(_nowhere(found.status))
            continue
        status = _plausible(found.status, port, foreign)
        if status.address and places.setdefault(status.address, service_uid) != service_uid:
            held[key] = found
            status = _nowhere(status, "its address is still that of another Service's container")
        known[config] = _stored(status)
    for config, container in [] if service is None else containers_of(service.spec):
        if lost or config in known:
            known[config] = _waiting(known.get(config), config, container, lost=lost)
    containers = _fitting(known[config] for config in sorted(ports) if config in known)
    if not containers or service is None:
        if former is not None:
            tx.delete(_KIND.name, former.metadata.uid)
        return held
    if former is None:
        state = new(_KIND)
        state.metadata.name = service_uid
        state.spec.SetInParent()
        _fill(state, service, containers)
        tx.create(state)
    elif before != containers:
        _fill(former, service, containers)
        tx.update(former)
    return held


def _plausible(
    status: ContainerStatus, port: int, foreign: Collection[IPv4Network | IPv6Network]
) -> ContainerStatus:
    """What is told of a container, without a place that cannot be its own."""
    if not status.address:
        return status
    address = ip_address(status.address)
    if any(address in network for network in foreign if network.version == address.version):
        _LOG.error("the controller tells that a container has the address %s", address)
        return _nowhere(status, f"the address {address} is not a container's")
    if status.port != port:
        return _nowhere(status, f"its port is {status.port} still, not {port}")
    return status


def _nowhere(status: ContainerStatus, message: str = "") -> ContainerStatus:
    """A state without place. `message` says why, if the state itself does not."""
    made = replace(status, address="", port=0, ready=False)
    if status.reason or not message:
        return made
    return replace(made, reason=STARTING, message=message)


def _waiting(
    known: stored.Container | None,
    config: str,
    wanted: core.ServiceSpecConfigUpstreamContainer,
    *,
    lost: bool,
) -> stored.Container:
    """What is known of a container, and whether it waits in vain."""
    made = stored.Container(config=config, desired=wanted.replicas or 1, image=wanted.image)
    if known is not None:
        made.CopyFrom(known)
    if lost and not made.ready and made.reason in BEGINNING:
        made.reason, made.message = NO_CONTROLLER, f"{NO_CONTROLLER}: {_LOST}"
    elif not lost and made.reason == NO_CONTROLLER:
        made.reason = made.message = ""
    return made


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
