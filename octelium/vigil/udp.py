"""Mode UDP: flows are let in or not, and their datagrams passed on whole.

A flow is what one address and port of a Session sends to one address and port of a Service, with
what comes back. It is decided on with its first datagram and again whenever that may change; it
ends when nothing has come either way for a while (RFC 4787, section 4.3, is about such times).
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from octelium.replica.addresses import text
from octelium.vigil.flow import Flow

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    from octelium.http.ticker import Ticker
    from octelium.replica.arrival import Tunnel
    from octelium.replica.replica import ServiceEntry
    from octelium.vigil.flow import Key, Place
    from octelium.vigil.vigil import Vigil

IDLE: Final = 30.0
"""Seconds without a datagram after which a flow ends."""


class FlowSockets(Protocol):
    """Makes sockets inside the private network; `octelium.tunnel.link` has one."""

    async def flow(self, local: Place, remote: Place) -> socket.socket:
        """A UDP socket of one flow, bound and connected. Raises OSError."""


@dataclass(frozen=True, slots=True)
class FlowLimits:
    """Flows of a process, of one Session, and refused ones that are remembered.

    `begun_each` is how many flows a Session may begin in a second; what would begin another is
    dropped, at a tenth of the cost of a flow.
    """

    most: int = 4096
    most_each: int = 1024
    most_refused: int = 4096
    begun_each: int = 200


class Udp:
    """Serves datagrams on behalf of Services of mode UDP.

    Where there are too many flows, the one that stood still longest goes: of the Session's own if
    that has too many, else of the Session that has most. `numbers` number flows among connections.
    """

    def __init__(
        self,
        vigil: Vigil,
        sockets: FlowSockets,
        ticker: Ticker,
        *,
        numbers: Iterator[int],
        limits: FlowLimits | None = None,
    ) -> None:
        self.vigil = vigil
        self.sockets = sockets
        self.ticker = ticker
        self.numbers = numbers
        self.limits = limits or FlowLimits()
        self.flows: OrderedDict[Key, Flow] = OrderedDict()
        """Those that stood still longest first."""
        self.evicted = 0
        """Flows that had to make room for others."""
        self.dropped = 0
        """Datagrams of Sessions that had begun too many flows in a second."""
        self._begun: Counter[str] = Counter()
        """Flows since the last tick, by the Session's uid."""
        self._by_session: dict[str, OrderedDict[Key, Flow]] = {}
        self._concerned: dict[tuple[str, str], set[Flow]] = {}
        """Flows by what they depend on: `Session` and `Service` by uid, `address` as text."""
        self._refused: OrderedDict[Key, float] = OrderedDict()
        """When a refused flow was seen first: it is logged once."""
        ticker.add(self)
        vigil.replica.listeners.append(self._changed)

    def datagram(
        self,
        service: ServiceEntry,
        arrival: Tunnel,
        place: Place,
        sender: Place,
        data: bytes,
        _reply: Callable[[bytes], None],
    ) -> None:
        """Take a datagram that no flow's own socket got."""
        key = (place, sender)
        flow = self.flows.get(key)
        if flow is None:
            if self._begun[arrival.session_uid] >= self.limits.begun_each:
                self.dropped += 1
                return
            self._begun[arrival.session_uid] += 1
            flow = Flow(self, service, arrival, key)
            self._make_room(arrival.session_uid)
            self.flows[key] = flow
            self._by_session.setdefault(arrival.session_uid, OrderedDict())[key] = flow
            for concern in _concerns(flow):
                self._concerned.setdefault(concern, set()).add(flow)
            flow.begin()
        flow.take(data)

    def active(self, flow: Flow) -> None:
        """Something came for a flow."""
        if flow.key in self.flows:
            self.flows.move_to_end(flow.key)
            self._by_session[flow.arrival.session_uid].move_to_end(flow.key)

    def left(self, flow: Flow) -> None:
        """A flow has ended."""
        if self.flows.get(flow.key) is flow:
            del self.flows[flow.key]
            uid = flow.arrival.session_uid
            del self._by_session[uid][flow.key]
            if not self._by_session[uid]:
                del self._by_session[uid]
            for concern in _concerns(flow):
                self._concerned[concern].discard(flow)
                if not self._concerned[concern]:
                    del self._concerned[concern]

    def refused(self, flow: Flow) -> bool:
        """Remember that a flow was refused; whether that is news."""
        news = flow.key not in self._refused
        if news and len(self._refused) >= self.limits.most_refused:
            self._refused.popitem(last=False)
        self._refused.setdefault(flow.key, self.ticker.now)
        return news

    def tick(self, now: float) -> None:
        """End the flows that stand still; Sessions may begin others again."""
        self._begun.clear()
        while self.flows:
            flow = next(iter(self.flows.values()))
            if now - flow.last < IDLE:
                break
            flow.end()
        while self._refused and now - next(iter(self._refused.values())) >= IDLE:
            self._refused.popitem(last=False)

    def close(self) -> None:
        """End every flow, and serve no more."""
        for flow in list(self.flows.values()):
            flow.end()
        self.ticker.discard(self)
        self.vigil.replica.listeners.remove(self._changed)

    def _make_room(self, session_uid: str) -> None:
        own = self._by_session.get(session_uid)
        if own is not None and len(own) >= self.limits.most_each:
            crowd = own
        elif len(self.flows) >= self.limits.most:
            crowd = max(self._by_session.values(), key=len)
        else:
            return
        self.evicted += 1
        next(iter(crowd.values())).end("another flow needed its place")

    def _changed(self, changed: frozenset[tuple[str, str]]) -> None:
        """End the flows whose Session or Service is not where it was."""
        if not self.flows:
            return
        concerns = set(changed)
        for kind, uid in changed:
            if kind == "Session" and (session := self.vigil.replica.sessions.get(uid)) is not None:
                concerns |= {("address", text(address)) for address in session.addresses}
        for concern in concerns:
            for flow in list(self._concerned.get(concern, ())):
                if not flow.stands():
                    flow.end("the connection to the private network ended")
        if any(kind == "ContainerState" for kind, _ in changed):
            ready = self.vigil.environment.containers.ready()
            for flow in list(self.flows.values()):
                needed = flow.needs()
                if needed is not None and needed not in ready:
                    flow.end("the container is not ready any more")


def _concerns(flow: Flow) -> tuple[tuple[str, str], ...]:
    return (
        ("Session", flow.arrival.session_uid),
        ("Service", flow.service_uid),
        ("address", flow.key[1][0]),
    )
