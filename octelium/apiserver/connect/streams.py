"""Live `Connect` streams, and what they are told.

Each stream belongs to one connection, by its id. Events reach it in the order of the commits that
caused them.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING, Final

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
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import user_v1_pb2 as user
from octelium.store.errors import StoreError
from octelium.store.metadata import set_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from octelium.store.resources import Change, Committed, Resources

_LOG = logging.getLogger(__name__)

QUEUE: Final = 256
"""Events that may wait for a client."""
SEND_TIMEOUT: Final = 15.0
"""Seconds for a client to take one event."""
REPLACED: Final = "this Session has connected again from elsewhere"
ENDED: Final = "the connection was ended"


class Stream:
    """One live stream: a queue of events towards the client, and how it ends.

    It takes little memory while nothing happens: there may be thousands.
    """

    __slots__ = (
        "_at",
        "_ended",
        "_queue",
        "_waiter",
        "aborted",
        "connection_id",
        "failure",
        "hosted",
        "sending_since",
        "session_uid",
    )

    def __init__(self, session_uid: str, connection: str, at: Instants) -> None:
        self.session_uid = session_uid
        self.connection_id = connection
        self.hosted: list[user.HostedService] = []
        self.sending_since: float | None = None
        """Since when the client has been taking an event; None while it takes none."""
        self.failure: Exception | None = None
        """What the call ends with instead of a plain end."""
        self.aborted = False
        self._at = at
        self._queue: deque[user.ConnectResponse] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._ended = False

    @property
    def is_ended(self) -> bool:
        """Whether nothing more is put into it."""
        return self._ended

    def put(self, event: user.ConnectResponse) -> None:
        """Tell the client something; one that is too far behind is dropped."""
        if self._ended:
            return
        if self._queue is None:
            self._queue = deque()
        if len(self._queue) >= QUEUE:
            self.abort()
            return
        if not event.HasField("created_at"):
            self._at.stamp(event)
        self._queue.append(event)
        self._wake()

    def disconnect(self, message: str) -> None:
        """Tell the client that it is over: it ends, and does not come again by itself."""
        self.put(user.ConnectResponse(disconnect=user.ConnectResponseDisconnect(message=message)))
        self.end()

    def end(self, failure: Exception | None = None) -> None:
        """End the stream once the client has taken what waits. Idempotent."""
        if not self._ended:
            self._ended, self.failure = True, failure
            self._wake()

    def abort(self) -> None:
        """End the stream whatever the client has not taken.

        A client that takes the present event after all finds the end behind it. If it never does,
        the proxy in front resets the stream: gRPC in Python has no means to.
        """
        self._queue = None
        self.aborted = True
        self.end()

    async def next(self) -> user.ConnectResponse | None:
        """The next event; None at the end. For one caller at a time."""
        while not self._queue:
            self._queue = None
            if self._ended:
                return None
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._queue.popleft()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


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
        self._resources = resources
        self._clock = clock
        self._at = Instants(clock)
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

    def open(self, session_uid: str, connection: str) -> Stream:
        """The stream of a new connection; any older stream of the Session is over."""
        older = self._streams.get(session_uid)
        if older is not None:
            older.disconnect(REPLACED)
        stream = self._streams[session_uid] = Stream(session_uid, connection, self._at)
        return stream

    def open_late(self, session_uid: str, connection: str) -> Stream:
        """The stream of a connection that is over already. Nothing but its end reaches it."""
        return Stream(session_uid, connection, self._at)

    def leave(self, stream: Stream) -> None:
        """A stream has ended."""
        stream.end()
        if self._streams.get(stream.session_uid) is stream:
            del self._streams[stream.session_uid]

    def stuck(self) -> list[Stream]:
        """The streams whose clients take nothing, ended."""
        late = self._clock() - SEND_TIMEOUT
        for stream in self._streams.values():
            if stream.sending_since is not None and stream.sending_since <= late:
                stream.abort()
        return [stream for stream in self._streams.values() if stream.aborted]

    def close(self) -> None:
        """End every stream without a word: clients come again."""
        for stream in self._streams.values():
            stream.end()

    def _broadcast(self, event: user.ConnectResponse) -> None:
        self._at.stamp(event)
        for stream in [*self._streams.values()]:
            stream.put(event)

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
        if hosted != stream.hosted:
            for event in hosted_events(stream.hosted, hosted):
                stream.put(event)
            stream.hosted = hosted

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
