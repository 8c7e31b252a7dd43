"""The private network as the Cluster wants it, told to the link process: ranges and open places.

The list of places is the second lock in front of Services. The first are the workers, which look at
each connection; what is open here is never more than what they serve.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import TYPE_CHECKING, Final, Protocol

from octelium.gateway.peers import PeerError, ranges_of
from octelium.http.tasks import spawn
from octelium.replica.addresses import hosts
from octelium.schema.modes import HTTP_MODES
from octelium.schema.pb import core_v1_pb2 as core
from octelium.tunnel.link.open_places import OpenPlace

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from octelium.store.resources import Committed, Resources
    from octelium.tunnel.link.plan import LinkPlan

_LOG = logging.getLogger(__name__)
_MODES = core.ServiceSpecMode__
STREAM_MODES: Final = HTTP_MODES | {_MODES.TCP, _MODES.DNS}
FLOW_MODES: Final = frozenset({_MODES.UDP, _MODES.DNS})
_AGAIN: Final = 1.0
"""Seconds until what the link process refused is told again."""


class Planned(Protocol):
    """The link process, as `LinkSockets`."""

    async def configure(self, plan: LinkPlan, places: frozenset[OpenPlace], /) -> None:
        """Make the private network so. Raises OSError."""

    def close(self) -> None:
        """End."""


def places_of(service: core.Service) -> frozenset[OpenPlace]:
    """Where clients may begin to talk to a Service."""
    spec, status = service.spec, service.status
    port = int(status.port)
    if not 0 < port < 65_536:
        return frozenset()
    given = (
        address
        for one in status.addresses
        for address in (one.dual_stack_ip.ipv4, one.dual_stack_ip.ipv6)
    )
    addresses = hosts(f"Service {service.metadata.name}", given)
    modes = ((socket.IPPROTO_TCP, STREAM_MODES), (socket.IPPROTO_UDP, FLOW_MODES))
    return frozenset(
        OpenPlace(protocol, address, port)
        for protocol, served in modes
        if spec.mode in served
        for address in addresses
    )


class PrivatePlan:
    """Keeps a link process told of what a store has, from `start` to `stop`."""

    def __init__(self, resources: Resources, link: Planned, *, offload: bool) -> None:
        self._resources = resources
        self._link = link
        self._offload = offload
        self._changed = asyncio.Event()
        self._places: dict[str, frozenset[OpenPlace]] = {}
        self._task: asyncio.Task[None] | None = None
        self._unsubscribe: Callable[[], None] = lambda: None

    def start(self) -> None:
        """Begin with what there is."""
        self._unsubscribe = self._resources.subscribe(self._take)
        for item in self._resources.items("Service"):
            assert isinstance(item.message, core.Service)
            self._places[item.uid] = places_of(item.message)
        self._changed.set()
        self._task = spawn(self._follow(), name="plan of the private network")

    async def stop(self) -> None:
        """Tell no more; what was told holds."""
        self._unsubscribe()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
        self._link.close()

    def _take(self, committed: Committed) -> None:
        for change in committed.changes:
            if change.kind == "ClusterConfig":
                self._changed.set()
            elif change.kind == "Service":
                found: frozenset[OpenPlace] = frozenset()
                if change.after is not None:
                    assert isinstance(change.after.message, core.Service)
                    found = places_of(change.after.message)
                if found != self._places.pop(change.uid, frozenset()):
                    self._changed.set()
                if found:
                    self._places[change.uid] = found

    def _plan(self) -> LinkPlan | None:
        """None while the Cluster has no network."""
        for item in self._resources.items("ClusterConfig"):
            assert isinstance(item.message, core.ClusterConfig)
            try:
                ranges = ranges_of(item.message)
            except PeerError as error:
                _LOG.error("no private network: %s", error)
                return None
            return None if ranges is None else ranges.link_plan(offload=self._offload)
        return None

    async def _follow(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            plan = self._plan()
            if plan is None:
                continue
            try:
                await self._link.configure(plan, frozenset().union(*self._places.values()))
            except OSError as error:
                _LOG.error("the private network is not as planned: %s", error)
                await asyncio.sleep(_AGAIN)
                self._changed.set()


def follow(resources: Resources, link: socket.socket, engine: str) -> Callable[[], Awaitable[None]]:
    """Tell the link process behind a door what a store has; returns what ends that."""
    from octelium.tunnel.link.sockets import LinkSockets

    offload = engine == "own"
    if not offload:
        from octelium.tunnel.engines.choose import choose

        offload = choose(engine).wants_offload
    plan = PrivatePlan(resources, LinkSockets(link), offload=offload)
    plan.start()
    return plan.stop
