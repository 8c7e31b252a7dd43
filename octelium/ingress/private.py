"""The private network of a worker process: what comes through tunnels, to Services' own addresses.

A connection names both ends by itself: the address that it was made to is a Service's, the one that
it came from is a Session's, which the tunnel vouches for. Nothing that the client sends adds to
that, or takes from it.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
from typing import TYPE_CHECKING, Final, Protocol

from octelium.http.exchange import Peer
from octelium.http.h1.server import H1Server
from octelium.http.h2.protocol import H2Server
from octelium.http.message import FieldBlock
from octelium.http.tasks import spawn
from octelium.ingress.counters import PrivateCounters
from octelium.ingress.guests import Guest, Guests
from octelium.ingress.held import Held
from octelium.ingress.places import Places
from octelium.ingress.private_connection import PrivateConnection, attach
from octelium.ingress.private_datagrams import PrivateDatagrams
from octelium.ingress.private_listeners import PrivateListeners
from octelium.replica.addresses import packed, text
from octelium.replica.arrival import Tunnel
from octelium.schema.modes import HTTP_MODES
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from octelium.http.codec import Codec
    from octelium.http.exchange import RequestStream
    from octelium.http.section import SectionCache
    from octelium.http.ticker import Ticker
    from octelium.ingress.certificates import CertificateStore
    from octelium.ingress.guests import Abortable
    from octelium.ingress.private_datagrams import DatagramMode
    from octelium.ingress.private_listeners import Listener, PrivateSockets
    from octelium.ingress.server import Freshness
    from octelium.ingress.settings import Settings
    from octelium.replica.replica import Replica, ServiceEntry

REFUSALS: Final = FieldBlock([(b"server", b"octelium")])
"""Fields of answers to malformed requests."""
_EMPTY: Final = FieldBlock([(b"server", b"octelium"), (b"content-length", b"0")])
_MOST_WAITING: Final = 1024
"""Connections that wait for the replica."""
_H2_SCHEMES: Final = ("grpc://", "h2c://")


class StreamMode(Protocol):
    """Serves connections of one mode, those of HTTP apart; `place` is the address called."""

    def plain(
        self,
        service: ServiceEntry,
        peer: Peer,
        place: str,
        connection: socket.socket,
        left: Callable[[], None],
    ) -> Abortable:
        """Serve a connection in the clear, and call `left` at its end."""

    def secured(
        self, service: ServiceEntry, peer: Peer, place: str, left: Callable[[], None]
    ) -> tuple[Abortable, Codec]:
        """Serve a connection whose TLS ends in front of the codec."""


class PrivateServer:
    """Accepts what comes to Services' addresses and gives it to who serves their mode.

    `serve(stream, service, client_address)` takes requests of HTTP, `streams` and `flows` the
    connections and datagrams of other modes, by the modes' numbers. Ports of Services whose mode
    is none of these are not listened on.
    """

    def __init__(
        self,
        replica: Replica,
        freshness: Freshness,
        sockets: PrivateSockets,
        serve: Callable[[RequestStream, ServiceEntry, str], None],
        settings: Settings,
        *,
        certificates: CertificateStore,
        sections: SectionCache,
        ticker: Ticker,
        streams: Mapping[int, StreamMode],
        flows: Mapping[int, DatagramMode],
        numbers: Iterator[int] | None = None,
    ) -> None:
        self.counters = PrivateCounters()
        self.places = Places(
            settings.max_private,
            settings.max_each_session,
            settings.max_unauthenticated,
            most_each_user=settings.max_each_user,
        )
        self._replica = replica
        self._freshness = freshness
        self._serve = serve
        self._settings = settings
        self._certificates = certificates
        self._sections = sections
        self._ticker = ticker
        self._streams = streams
        self._flows = flows
        self._numbers = itertools.count(1) if numbers is None else numbers
        self._listeners = PrivateListeners(sockets, self._readable)
        self._waiting = 0
        self._idle = asyncio.Event()
        self._guests = Guests(self._idle.set)
        self._datagrams = PrivateDatagrams(
            replica, freshness, flows, self.counters, settings.catch_up_timeout
        )
        self._started = False

    # Life.

    def start(self) -> None:
        """Listen on the ports of the replica's Services, and follow them."""
        self._started = True
        self._replica.listeners.append(self._changed)
        self._listeners.want(self._wanted())

    async def close(self, grace: float) -> None:
        """Accept no more, let running requests end within `grace` seconds, then end all."""
        self._listeners.close()
        for guest in self._guests:
            if guest.codec is not None:
                guest.codec.drain()
        self._idle.clear()
        if any(guest.codec is not None for guest in self._guests):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace):
                    await self._idle.wait()
        for guest in self._guests:
            guest.abort()
        if self._started:
            self._started = False
            self._replica.listeners.remove(self._changed)

    @property
    def listening(self) -> frozenset[Listener]:
        """Kind, family and port of each open socket."""
        return self._listeners.open

    @property
    def connections(self) -> int:
        """Connections that are open."""
        return self.places.taken

    def _wanted(self) -> frozenset[Listener]:
        wanted: set[Listener] = set()
        for service in self._replica.services.values():
            if not 0 < service.port < 65_536:
                continue
            for address in service.addresses:
                family = int(socket.AF_INET if len(address) == 4 else socket.AF_INET6)
                if service.mode in HTTP_MODES or service.mode in self._streams:
                    wanted.add(("tcp", family, service.port))
                if service.mode in self._flows:
                    wanted.add(("udp", family, service.port))
        return frozenset(wanted)

    def _changed(self, changed: frozenset[tuple[str, str]]) -> None:
        """End what is not what it was when it began."""
        services = False
        for kind, uid in changed:
            if kind == "Session":
                session = self._replica.sessions.get(uid)
                addresses = () if session is None else session.addresses
                for guest in self._guests.of_session(uid, addresses):
                    if not self._is_its_own(guest):
                        guest.abort()
            elif kind == "Service":
                services = True
                for guest in self._guests.of_service(uid):
                    if not self._is_there(guest):
                        guest.abort()
        if services:
            self._listeners.want(self._wanted())

    def _is_its_own(self, guest: Guest) -> bool:
        """Whether the address that a connection came from still is its Session's."""
        session = self._replica.session_at(guest.source)
        return session is not None and session.uid == guest.session_uid

    def _is_there(self, guest: Guest) -> bool:
        """Whether the Service still is where and what the connection found it."""
        service, before = self._replica.service_at(guest.place), guest.service
        return service is not None and (
            service.uid,
            service.port,
            service.mode,
            service.is_tls,
        ) == (
            before.uid,
            before.port,
            before.mode,
            before.is_tls,
        )

    # Arrivals.

    def _readable(self, key: Listener, listener: socket.socket) -> None:
        if key[0] == "udp":
            self._datagrams.take(key[2], listener)
            return
        connection, _ = listener.accept()
        self.counters.connections += 1
        if self._freshness.up_to_date():
            self._admit(connection)
        elif self._waiting >= _MOST_WAITING:
            self.counters.over_limit += 1
            connection.close()
        else:
            self.counters.behind += 1
            self._waiting += 1
            spawn(self._admit_later(connection), name="catch up")

    async def _admit_later(self, connection: socket.socket) -> None:
        try:
            fresh = await self._freshness.catch_up(self._settings.catch_up_timeout)
        finally:
            self._waiting -= 1
        if fresh:
            self._admit(connection)
        else:
            self.counters.refused_behind += 1
            connection.close()

    def _admit(self, connection: socket.socket) -> None:
        """Find out who calls whom, or close."""
        guest = self._identify(connection)
        if guest is None:
            connection.close()
            return
        self._guests.add(guest)
        service, arrival = guest.service, Tunnel(guest.session_uid, text(guest.source))
        peer = Peer(
            arrival,
            number=next(self._numbers),
            secure=service.is_tls,
            admitted=guest.seat.allowed,
        )
        connection.setblocking(False)
        mode = self._streams.get(service.mode)
        if mode is not None and not service.is_tls:
            name = f"{text(guest.place)}:{service.port}"
            guest.running = mode.plain(service, peer, name, connection, self._guests.leaver(guest))
            return
        made = PrivateConnection(
            lambda alpn: self._codec(guest, peer, alpn),
            self._guests.leaver(guest),
            self._ticker,
            h2c=mode is None and speaks_h2(service.message),
            context=(
                self._certificates.private_context(service.namespace_name)
                if service.is_tls
                else None
            ),
            deadline=self._ticker.now + self._settings.handshake_timeout,
        )
        guest.running = made
        spawn(attach(made, connection), name="a connection of the private network")

    def _identify(self, connection: socket.socket) -> Guest | None:
        try:
            local, remote = connection.getsockname(), connection.getpeername()
        except OSError:  # gone already
            return None
        place, source = packed(local[0].partition("%")[0]), packed(remote[0].partition("%")[0])
        service = None if place is None else self._replica.service_at(place)
        if (
            place is None
            or service is None
            or service.port != local[1]
            or (service.mode not in HTTP_MODES and service.mode not in self._streams)
        ):
            self.counters.unknown_service += 1
            return None
        session = None if source is None else self._replica.session_at(source)
        if source is None or session is None:
            self.counters.unknown_address += 1
            return None
        seat = self.places.take(session.uid, session.user_uid)
        if seat is None:
            self.counters.over_limit += 1
            return None
        return Guest(service, place, session.uid, source, seat)

    # Requests.

    def _codec(self, guest: Guest, peer: Peer, alpn: str | None) -> Codec:
        """The codec of a connection that has begun."""
        mode = self._streams.get(guest.service.mode)
        if mode is not None:
            name = f"{text(guest.place)}:{guest.service.port}"
            running, codec = mode.secured(guest.service, peer, name, self._guests.leaver(guest))
            guest.running = running
            return codec

        def handle(stream: RequestStream) -> None:
            self._handle(guest, stream)

        if alpn == "h2":
            guest.codec = H2Server(peer, handle, ticker=self._ticker, refusals=REFUSALS)
        else:
            guest.codec = H1Server(
                peer,
                handle,
                sections=self._sections,
                ticker=self._ticker,
                limits=self._settings.limits,
                refusals=REFUSALS,
            )
        return guest.codec

    def _handle(self, guest: Guest, stream: RequestStream) -> None:
        self.counters.requests += 1
        if self._freshness.up_to_date():
            self._request(guest, stream)
        else:
            self.counters.behind += 1
            held = Held(stream)
            stream.receiver = held
            spawn(self._request_later(guest, stream, held), name="catch up")

    async def _request_later(self, guest: Guest, stream: RequestStream, held: Held) -> None:
        fresh = await self._freshness.catch_up(self._settings.catch_up_timeout)
        if held.aborted:
            return
        if not fresh:
            self.counters.refused_behind += 1
            stream.receiver = None
            stream.send_head(503, _EMPTY, end=True)
            return
        self._request(guest, stream)
        held.release()

    def _request(self, guest: Guest, stream: RequestStream) -> None:
        # Were one of these not so any more, the connection would be closed by now.
        service = self._replica.services[guest.service.uid]
        self._serve(stream, service, text(guest.source))


def speaks_h2(service: core.Service) -> bool:
    """Whether clients of a Service may begin HTTP/2 in the clear."""
    spec = service.spec
    config = spec.config
    upstream = config.upstream
    urls = [upstream.url, *(endpoint.url for endpoint in upstream.loadbalance.endpoints)]
    return (
        spec.mode == core.ServiceSpecMode__.GRPC
        or config.http.listen_http2
        or any(url.lower().startswith(_H2_SCHEMES) for url in urls)
    )
