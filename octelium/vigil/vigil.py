"""The enforcement point of a process: every request to a Service passes through here."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Protocol

from octelium.http.message import MessageError
from octelium.http.tasks import spawn
from octelium.replica.arrival import Tunnel
from octelium.vigil.anteroom import Anteroom
from octelium.vigil.grpc_web import GrpcWebStream, form_of_request
from octelium.vigil.plan import Plan
from octelium.vigil.refusals import plain
from octelium.vigil.relay import Relay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from octelium.http.exchange import RequestStream
    from octelium.policy.decision import Decider
    from octelium.replica.replica import Replica, ServiceEntry
    from octelium.vigil.environment import Environment
    from octelium.visibility.record import LogSink

_FOREIGN = frozenset({"Secret", "ClusterConfig", "Namespace"})
"""Kinds whose change may alter any plan."""
_STATE = "ContainerState"


class Running(Protocol):
    """Something that ends with its Service, or with the right to it."""

    @property
    def service_uid(self) -> str:
        """Uid of the Service that is asked."""

    def disable(self) -> None:
        """End because the Service was disabled."""

    def watch(self) -> None:
        """Have the decision point look after it from now on."""


class Vigil:
    """Serves streams on behalf of Services."""

    def __init__(
        self, replica: Replica, decider: Decider, environment: Environment, sink: LogSink
    ) -> None:
        self.replica = replica
        self.decider = decider
        self.sink = sink
        self.spawn = spawn
        self.anteroom = Anteroom()
        """Where requests without a Session wait."""
        self.served = 0
        """Requests that came to an end, however they ended."""
        self.may_record: Callable[[], bool] = _always
        """Whether streams and flows may begin, which would be refused if they were not logged."""
        self.guarded = 0
        """Requests through tunnels that were for other names, or that foreign pages caused."""
        self.running: set[Running] = set()
        """Exchanges that wait for, or pass on, an upstream's response, and other open streams."""
        self.numbers: Iterator[int] = itertools.count(1)
        self.environment = environment
        self._plans: dict[str, Plan] = {}
        replica.listeners.append(self._changed)

    def serve(self, stream: RequestStream, service: ServiceEntry, client_address: str) -> None:
        """Serve one request to `service`. `client_address` is the client's, or empty."""
        plan = self._plans.get(service.uid)
        if plan is None or plan.entry is not service:
            plan = self._plans[service.uid] = Plan(service, self.environment)
        if type(stream.peer.arrival) is Tunnel:
            misuse = plan.guard.misuse(stream.head)
            if misuse is not None:
                self.guarded += 1
                Relay(self, plan, stream, client_address).misused(misuse, stream.peer.arrival)
                return
        if plan.api and (form := form_of_request(stream.head)) is not None:
            try:
                stream = GrpcWebStream(stream, form)
            except MessageError as error:
                answer = plain(error.status, front=True)
                stream.send_head(answer.status, answer.block, end=True)
                return
        relay = Relay(self, plan, stream, client_address)
        stream.receiver = relay
        try:
            relay.start()
        except Exception as error:  # noqa: BLE001 - whatever it is, it refuses this request alone
            relay.broken(error, 500)

    def close(self) -> None:
        """Stop following the replica."""
        self.replica.listeners.remove(self._changed)
        self._plans.clear()

    def _changed(self, changed: frozenset[tuple[str, str]]) -> None:
        services = {uid for kind, uid in changed if kind == "Service"}
        kinds = {kind for kind, _ in changed}
        moved = self.environment.containers.moved() if _STATE in kinds else {}
        if not _FOREIGN.isdisjoint(kinds):
            self._plans.clear()
        else:
            for uid in services | moved.keys():
                self._plans.pop(uid, None)
        for uid, left in moved.items():
            self.environment.pool.retire(uid, left)
        for relay in tuple(self.running):
            if relay.service_uid in services:
                entry = self.replica.services.get(relay.service_uid)
                if entry is not None and entry.is_disabled:
                    relay.disable()
                    continue
            # The decision point looks at once whether the exchange is still allowed, and from
            # then on; those that nothing happens to while they last never cost that.
            relay.watch()


def _always() -> bool:
    return True
