"""Live `Connect` streams, and what they are told.

Each stream belongs to one connection, by its id. Events reach it in the order of the commits that
caused them.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, Protocol

from octelium.apiserver.connect.connections import connection_id
from octelium.apiserver.connect.network import network_of
from octelium.apiserver.connect.service_addresses import CONFIG
from octelium.apiserver.connect.state import (
    DNS_SERVICE,
    dns_servers,
    gateway_views,
    hosted_events,
    hosted_services,
)
from octelium.schema.errors import Invalid
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import user_v1_pb2 as user
from octelium.store.errors import StoreError
from octelium.store.metadata import set_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from octelium.store.resources import Change, Committed, Resources

_LOG = logging.getLogger(__name__)

QUEUE: Final = 256
"""Events that may wait for a client that does not take the ones before."""
REPLACED: Final = "this Session has connected again from elsewhere"
ENDED: Final = "the connection was ended"


class Outlet(Protocol):
    """The way to the client; see `octelium.apiserver.lasting`."""

    @property
    def is_behind(self) -> bool:
        """Whether the client has not taken all that was sent."""

    def send(self, message: bytes) -> None:
        """Send an encoded event."""

    def end(self, failure: Exception | None = None) -> None:
        """End the call, behind what was sent."""

    def reset(self) -> None:
        """End the call whatever the client has not taken."""


class Stream:
    """One live stream: the way to the client, and how it ends.

    There may be thousands, and most of the time nothing happens: it has no task and no queue.
    """

    __slots__ = ("_behind", "_outlet", "_streams", "connection_id", "hosted", "session_uid")

    def __init__(self, streams: Streams, session_uid: str, connection: str, outlet: Outlet) -> None:
        self.session_uid = session_uid
        self.connection_id = connection
        self.hosted: list[user.HostedService] | tuple[()] = ()
        self._streams = streams
        self._outlet: Outlet | None = outlet
        self._behind = 0

    @property
    def is_ended(self) -> bool:
        """Whether nothing more is put into it."""
        return self._outlet is None

    def put(self, event: user.ConnectResponse) -> None:
        """Tell the client something; one that is too far behind is dropped."""
        if self._outlet is None:
            return
        if not event.HasField("created_at"):
            self._streams.at.stamp(event)
        self.put_encoded(event.SerializeToString())

    def put_encoded(self, event: bytes) -> None:
        """The same with an event that has its time, and its form on the wire."""
        outlet = self._outlet
        if outlet is None:
            return
        if not outlet.is_behind:
            self._behind = 0
        elif self._behind >= QUEUE:
            self._leave()
            outlet.reset()
            return
        else:
            self._behind += 1
        outlet.send(event)

    def disconnect(self, message: str) -> None:
        """Tell the client that it is over: it ends, and does not come again by itself."""
        self.put(user.ConnectResponse(disconnect=user.ConnectResponseDisconnect(message=message)))
        self.end()

    def end(self, failure: Exception | None = None) -> None:
        """End the stream behind what was put, or with a failure. Idempotent."""
        outlet = self._outlet
        if outlet is not None:
            self._leave()
            outlet.end(failure)

    # What is told of the call.

    def received(self, request: user.ConnectRequest) -> None:
        """The client says that it is alive, which the proxy knows already."""
        if request.WhichOneof("type") == "initialize":
            self.end(Invalid("", "`initialize` came twice"))

    def half_closed(self) -> None:
        """The client says nothing more."""
        self.end()

    def failed(self, error: Exception) -> None:
        """What the client said cannot be taken."""
        self.end(error)

    def gone(self) -> None:
        """The client is."""
        if self._outlet is not None:
            self._leave()

    def _leave(self) -> None:
        self._outlet = None
        self._streams.leave(self)


class Instants:
    """Times of events, which never go backwards, whatever the system's clock does.

    Clients pass over events that are older than their state.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last = 0.0

    def stamp(self, event: user.ConnectResponse) -> None:
        """Set when an event was made."""
        self._last = max(self._last, self._clock())
        set_time(event.created_at, self._last)


class Streams:
    """All live streams, by Session."""

    def __init__(self, resources: Resources, clock: Callable[[], float]) -> None:
        self.at = Instants(clock)
        self.left: Callable[[Stream], None] | None = None
        """Is told of every stream that has ended."""
        self._resources = resources
        self._streams: dict[str, Stream] = {}
        self._views: dict[str, user.Gateway] = {}
        self._dns: list[str] = []

    def __len__(self) -> int:
        return len(self._streams)

    def __iter__(self) -> Iterator[Stream]:
        return iter(self._streams.values())

    @property
    def gateways(self) -> list[user.Gateway]:
        """Every Gateway as clients see it."""
        return [*self._views.values()]

    def follow(self) -> Callable[[], None]:
        """Tell streams what commits change, from now on; returns what ends that."""
        self._views = self._gateways()
        self._dns = dns_servers(self._resources)
        return self._resources.subscribe(self._take)

    def open(self, session_uid: str, connection: str, outlet: Outlet) -> Stream:
        """The stream of a new connection; any older stream of the Session is over."""
        older = self._streams.get(session_uid)
        if older is not None:
            older.disconnect(REPLACED)
        stream = self._streams[session_uid] = Stream(self, session_uid, connection, outlet)
        return stream

    def open_late(self, session_uid: str, connection: str, outlet: Outlet) -> Stream:
        """The stream of a connection that is over already. Nothing but its end reaches it."""
        return Stream(self, session_uid, connection, outlet)

    def leave(self, stream: Stream) -> None:
        """A stream has ended."""
        if self._streams.get(stream.session_uid) is stream:
            del self._streams[stream.session_uid]
        if self.left is not None:
            self.left(stream)

    def close(self) -> None:
        """End every stream without a word: clients come again."""
        for stream in [*self._streams.values()]:
            stream.end()

    def _broadcast(self, event: user.ConnectResponse) -> None:
        self.at.stamp(event)
        encoded = event.SerializeToString()
        for stream in [*self._streams.values()]:
            stream.put_encoded(encoded)

    def _take(self, committed: Committed) -> None:
        gateways = dns = False
        for change in committed.changes:
            if change.kind == "Session":
                self._session(change)
            elif change.kind in ("Gateway", "ClusterConfig") or change.name == CONFIG:
                gateways = True
            elif change.kind == "Service" and change.name == DNS_SERVICE:
                dns = True
        if gateways:
            self._announce_gateways()
        if dns:
            servers = dns_servers(self._resources)
            if servers != self._dns:
                self._dns = servers
                told = user.ConnectResponseUpdateDns(dns=user.Dns(servers=servers))
                self._broadcast(user.ConnectResponse(update_dns=told))

    def _session(self, change: Change) -> None:
        stream = self._streams.get(change.uid)
        if stream is None:
            return
        session: core.Session | None = None if change.after is None else change.after.message
        present = None if session is None else connection_id(session)
        if session is None or present != stream.connection_id:
            stream.disconnect(REPLACED if present is not None else ENDED)
            return
        hosted = hosted_services(session.status.connection)
        if hosted != [*stream.hosted]:
            for event in hosted_events([*stream.hosted], hosted):
                stream.put(event)
            stream.hosted = hosted or ()

    def _announce_gateways(self) -> None:
        former, self._views = self._views, self._gateways()
        for gateway_id, view in self._views.items():
            if gateway_id not in former:
                added = user.ConnectResponseAddGateway(gateway=view)
                self._broadcast(user.ConnectResponse(add_gateway=added))
            elif former[gateway_id] != view:
                updated = user.ConnectResponseUpdateGateway(gateway=view)
                self._broadcast(user.ConnectResponse(update_gateway=updated))
        for gateway_id in former.keys() - self._views.keys():
            gone = user.ConnectResponseDeleteGateway(id=gateway_id)
            self._broadcast(user.ConnectResponse(delete_gateway=gone))

    def _gateways(self) -> dict[str, user.Gateway]:
        config = self._resources.peek(core.ClusterConfig, name="default")
        network = None if config is None else network_of(config)
        if network is None:
            return {}
        try:
            return gateway_views(self._resources, network)
        except StoreError:
            _LOG.exception("the Gateways cannot be announced")
            return self._views
