"""The front door of a worker process."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final, Protocol

from octelium.http.exchange import Peer
from octelium.http.h1.requests import forget_lines
from octelium.http.h1.server import H1Server
from octelium.http.h2.protocol import H2Server
from octelium.http.message import FieldBlock
from octelium.http.target import forget_targets
from octelium.http.tasks import spawn
from octelium.ingress.admission import Admission
from octelium.ingress.certificates import Certificate, CertificateStore
from octelium.ingress.client_address import client_address
from octelium.ingress.counters import Counters
from octelium.ingress.front import FrontConnection
from octelium.ingress.held import Held
from octelium.ingress.routes import Routes

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Sequence

    from octelium.http.codec import Codec
    from octelium.http.exchange import RequestReceiver, RequestStream
    from octelium.http.section import SectionCache
    from octelium.http.ticker import Ticker
    from octelium.ingress.settings import Settings
    from octelium.replica.arrival import FrontDoor
    from octelium.replica.replica import Replica, ServiceEntry

_LOG = logging.getLogger(__name__)

_FIELDS: Final = ((b"server", b"octelium"), (b"strict-transport-security", b"max-age=2592000"))
REFUSALS: Final = FieldBlock(_FIELDS)
"""Fields of every answer of the front door's own."""
_REMEMBERED: Final = 30.0
"""Seconds after which parsed heads are dropped unless they are asked for again."""
_EMPTY: Final = FieldBlock([*_FIELDS, (b"content-length", b"0")])


class Freshness(Protocol):
    """Tells whether the replica has what has been acknowledged to somebody."""

    def up_to_date(self) -> bool:
        """Whether a request may be decided now."""

    async def catch_up(self, timeout: float) -> bool:  # noqa: ASYNC109 - a result, not an error
        """Wait for what was acknowledged before the call; false after `timeout` seconds."""


class IngressServer:
    """Accepts connections and gives each request to `serve(stream, service, client_address)`."""

    def __init__(
        self,
        replica: Replica,
        freshness: Freshness,
        serve: Callable[[RequestStream, ServiceEntry, str], None],
        settings: Settings,
        *,
        sections: SectionCache,
        ticker: Ticker,
    ) -> None:
        self.settings = settings
        self.ticker = ticker
        self.counters = Counters()
        self.certificates = CertificateStore(replica)
        self.routes = Routes(replica)
        self.admission = Admission(settings.max_connections, settings.max_unauthenticated)
        self.codecs: set[Codec] = set()
        """Codecs of the clients that are connected."""
        self._replica = replica
        self._freshness = freshness
        self._serve = serve
        self._sections = sections
        self.numbers: Iterator[int] = itertools.count(1)
        """Of connections, each once in a process."""
        self._servers: list[asyncio.Server] = []
        self._idle = asyncio.Event()
        self._closed = False
        self._next_forgetting = 0.0

    # Life.

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        """Accept on listening sockets; they are closed with the server."""
        loop = asyncio.get_running_loop()
        for one in sockets:
            self._servers.append(await loop.create_server(self._accept, sock=one, backlog=4096))
        self.ticker.add(self)

    async def close(self, grace: float) -> None:
        """Accept no more, let running requests end within `grace` seconds, then close all.

        May be called twice.
        """
        for server in self._servers:
            server.close()
        for codec in tuple(self.codecs):
            codec.drain()  # type: ignore[attr-defined]  # both servers' codecs have it
        self._idle.clear()
        if self.codecs:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace):
                    await self._idle.wait()
        for codec in tuple(self.codecs):
            codec.abort()  # type: ignore[attr-defined]  # both servers' codecs have it
        if not self._closed:
            self._closed = True
            self.ticker.discard(self)
            self.routes.close()
            self.certificates.close()

    def tick(self, now: float) -> None:
        """Forget what clients sent a while ago: it may hold credentials."""
        if now >= self._next_forgetting:
            self._next_forgetting = now + _REMEMBERED
            self._sections.age()
            forget_lines()
            forget_targets()

    # Connections.

    def enter(self, codec: Codec) -> None:
        """A client has its codec."""
        self.codecs.add(codec)

    def leave(self, codec: Codec) -> None:
        """A client's connection ended."""
        self.codecs.discard(codec)
        if not self.codecs:
            self._idle.set()

    def _accept(self) -> FrontConnection:
        self.counters.connections += 1
        return FrontConnection(self, self.admission.enter())

    def is_proxy(self, address: str) -> bool:
        """Whether a peer must, and may, send a PROXY header."""
        peers = self.settings.proxy_peers
        return bool(peers) and any(ip_address(address) in network for network in peers)

    def peer(
        self,
        arrival: FrontDoor,
        *,
        secure: bool,
        certificate: object,
        server_name: bytes,
        admitted: Callable[[], None],
    ) -> Peer:
        """What streams know of a new connection."""
        return Peer(
            arrival,
            number=next(self.numbers),
            secure=secure,
            certificate=certificate,
            server_name=server_name,
            admitted=admitted,
        )

    def codec(self, peer: Peer, *, alpn: str | None) -> Codec:
        """The codec for what client and server agreed on."""
        if alpn == "h2":
            return H2Server(peer, self.handle, ticker=self.ticker, refusals=REFUSALS)
        return self._h1(peer, self.handle)

    def redirecting_codec(self, peer: Peer) -> Codec:
        """The codec for clients that speak plain HTTP to a port for TLS."""
        self.counters.bad_first_bytes += 1
        return self._h1(peer, self._redirect)

    def _h1(self, peer: Peer, handler: Callable[[RequestStream], None]) -> H1Server:
        return H1Server(
            peer,
            handler,
            sections=self._sections,
            ticker=self.ticker,
            limits=self.settings.limits,
            refusals=REFUSALS,
        )

    # Requests.

    def handle(self, stream: RequestStream) -> None:
        """Find the Service of a request and hand it on."""
        self.counters.requests += 1
        host = stream.head.authority
        certificate = stream.peer.certificate
        if certificate is not None:
            assert isinstance(certificate, Certificate)
            if not certificate.covers(host):
                if not self._means_api(stream):
                    self.counters.misdirected += 1
                    answer(stream, 421)
                    return
                host = self.routes.api_host
        if self._freshness.up_to_date():
            self._route(stream, host)
        else:
            self.counters.behind += 1
            held = Held(stream)
            stream.receiver = held
            spawn(self._route_later(stream, host, held), name="catch up")

    def _means_api(self, stream: RequestStream) -> bool:
        """Whether a client that was given the API's IP address and TLS name sends the address.

        Official SDKs do so; an address is no name that another site could share.
        """
        if not stream.peer.server_name or stream.peer.server_name != self.routes.api_host:
            return False
        try:
            ip_address(stream.head.authority.decode("ascii").strip("[]"))
        except ValueError:
            return False
        return True

    def _route(self, stream: RequestStream, host: bytes) -> None:
        head = stream.head
        entry = self.routes.find(host, head.target)
        if entry is None:
            self.counters.not_found += 1
            answer(stream, 404)
            return
        arrival = stream.peer.arrival
        config = self._replica.cluster_config
        address = arrival.address
        if config is not None and config.xff_num_trusted_hops:
            address = client_address(address, head.block, config.xff_num_trusted_hops)
        self._serve(stream, entry, address)

    async def _route_later(self, stream: RequestStream, host: bytes, held: Held) -> None:
        """Serve once the replica has everything that this client may have been told."""
        fresh = await self._freshness.catch_up(self.settings.catch_up_timeout)
        if held.aborted:
            return
        if not fresh:
            self.counters.refused_behind += 1
            _LOG.error("a request was refused: the replica did not catch up in time")
            answer(stream, 503)
            return
        self._route(stream, host)
        held.release()

    def _redirect(self, stream: RequestStream) -> None:
        head = stream.head
        if (
            head.method not in {b"GET", b"HEAD"}
            or self.certificates.find(head.authority.decode("ascii")) is None
        ):
            answer(stream, 400)
            return
        port = self.settings.public_port
        host = head.authority if port == 443 else b"%b:%d" % (head.authority, port)
        location = (b"location", b"https://" + host + head.target)
        stream.receiver = _IGNORE
        stream.send_head(
            301,
            FieldBlock([(b"server", b"octelium"), location, (b"content-length", b"0")]),
            end=True,
        )


class _Ignore:
    """The receiver of requests that are answered at once."""

    def request_data(self, data: bytes) -> None:
        """Nobody needs it."""

    def request_ended(self, trailers: Any) -> None:
        """Nobody waits for it."""

    def request_aborted(self, problem: str) -> None:
        """Nothing to give up."""

    def downstream_paused(self) -> None:
        """Nothing more is sent."""

    def downstream_resumed(self) -> None:
        """Nothing more is sent."""


_IGNORE: Final[RequestReceiver] = _Ignore()


def answer(stream: RequestStream, status: int) -> None:
    """An empty answer of the front door's own."""
    stream.receiver = _IGNORE
    stream.send_head(status, _EMPTY, end=True)
