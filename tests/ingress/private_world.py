"""A private network over loopback addresses: Services are 127.64.x.y, Sessions 127.65.x.y.

The sockets are wildcard ones as in the real network, but bound to the loopback device, so that
nobody else reaches them.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from octelium.ingress.private import PrivateServer
from octelium.policy.decision import Decision, Outcome, Reason, ReasonType
from octelium.replica.arrival import Tunnel
from octelium.schema.modes import mode_name
from octelium.schema.pb import core_v1_pb2 as core
from octelium.tunnel.link import opening
from octelium.vigil.served import Served
from octelium.vigil.tcp import Tcp
from octelium.vigil.udp import FlowLimits, Udp
from octelium.visibility.record import AuditSubject
from tests.vigil.world import Client, CommandedDecider, Reply, World, service, session, world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Iterator

    from octelium.ingress.private import StreamMode
    from octelium.ingress.private_datagrams import DatagramMode
    from octelium.ingress.settings import Settings
    from octelium.policy.request import Request
    from octelium.replica.arrival import Arrival
    from octelium.replica.replica import ServiceEntry

MODES = core.ServiceSpecMode__
L4 = core.SessionStatusConnectionUpstreamL4Type__
WIKI = "127.64.0.16"
ANN = "127.65.0.7"
BOB = "127.65.0.8"


def _own_ports() -> Iterator[int]:
    """Below those that the kernel gives by itself, a hundred at a time for this process alone."""
    for first in range(20_000, 32_000, 100):
        with socket.socket(socket.AF_UNIX) as claim:
            try:
                claim.bind(f"\0octelium-tests-ports-{first}")
            except OSError:
                continue
            claim.detach()  # a name is taken for as long as its socket is open (unix(7))
        yield from range(first, first + 100)


_ports = _own_ports()


def free_port() -> int:
    """A port that nothing uses on any address, for TCP and UDP, nor another process of tests."""
    for port in _ports:
        with contextlib.ExitStack() as stack:
            try:
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                    probe = stack.enter_context(socket.socket(socket.AF_INET, kind))
                    _on_loopback(probe)
                    probe.bind(("0.0.0.0", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")


def _on_loopback(made: socket.socket) -> None:
    made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")


class LoopbackSockets:
    """What the link process gives in a real private network."""

    def __init__(self) -> None:
        self.released: list[tuple[str, int, int]] = []
        self.dialled: list[tuple[str, str | None]] = []
        self.made: list[socket.socket] = []
        self.refuse: OSError | None = None

    async def listen(self, kind: opening.Kind, family: int, port: int) -> socket.socket:
        if self.refuse is not None:
            raise self.refuse
        kinds = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
        made = socket.socket(family, kinds[kind] | socket.SOCK_NONBLOCK)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _on_loopback(made)
        if kind == "udp":
            made.setsockopt(socket.IPPROTO_IP, 8, 1)  # IP_PKTINFO
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", port))
        if kind == "tcp":
            made.listen(100)
        return made

    async def release(self, kind: str, family: int, port: int) -> None:
        self.released.append((kind, family, port))

    async def dial(self, kind: str, family: int, source: str | None = None) -> socket.socket:
        made = opening.unconnected("tcp" if kind == "tcp" else "udp", family)
        if source is not None:
            made.bind((source, 0))
        self.dialled.append((kind, source))
        return made

    async def flow(self, local: tuple[str, int], remote: tuple[str, int]) -> socket.socket:
        made = opening.unconnected("udp", socket.AF_INET)
        opening.dedicate(made, local, remote)
        self.made.append(made)
        return made


class TunnelDecider(CommandedDecider):
    """Knows clients of tunnels by their Sessions."""

    def decide(
        self, service: ServiceEntry, request: Request, arrival: Arrival
    ) -> Decision | Awaitable[Decision]:
        if not isinstance(arrival, Tunnel):
            return super().decide(service, request, arrival)
        self.asked.append((service, request, arrival))
        if self.later:
            return self._tunnel_later(service, arrival)
        return self._of(service, arrival)

    async def _tunnel_later(self, service: ServiceEntry, arrival: Tunnel) -> Decision:
        await self.delay.wait()
        return self._of(service, arrival)

    def _of(self, service: ServiceEntry, arrival: Tunnel) -> Decision:
        spec = service.message.spec
        session = self.replica.sessions.get(arrival.session_uid)
        return Decision(
            self.verdict if session is not None else Outcome.UNAUTHENTICATED,
            Reason(ReasonType.POLICY_MATCH),
            service,
            session=session,
            user=self.replica.users.get("uid-alice"),
            config=spec.config if spec.HasField("config") else None,
            audit=AuditSubject(
                mode=mode_name(service.mode),
                allowed=self.verdict is Outcome.ALLOWED,
                authenticated=session is not None,
                reason={},
            ),
        )


def private(made: core.Service, port: int, *addresses: str) -> core.Service:
    """Give a Service its place in the private network."""
    made.status.port = port
    for address in addresses or (WIKI,):
        made.status.addresses.add().dual_stack_ip.ipv4 = address
    return made


def connected(
    name: str,
    *addresses: str,
    user: str = "alice",
    serves: dict[str, int] | None = None,
    l4: int = L4.TCP,
) -> core.Session:
    """A Session with a tunnel, which serves Services at ports."""
    made = session(f"uid-{name}", name)
    made.spec.state = core.SessionSpecState__.ACTIVE
    made.spec.expires_at.FromSeconds(4_000_000_000)
    made.status.user_ref.uid = f"uid-{user}"
    made.status.is_connected = True
    for address in addresses:
        made.status.connection.addresses.add(v4=f"{address}/32")
    for service_uid, port in (serves or {}).items():
        upstream = made.status.connection.upstreams.add(port=port, l4_type=l4)
        upstream.service_ref.uid = service_uid
    return made


class PrivateWorld:
    """A world with a private network in which Ann and Bob are connected."""

    def __init__(self, base: World, settings: Settings, limits: FlowLimits | None) -> None:
        self.base = base
        self.feed = base.feed
        self.replica = base.replica
        self.sink = base.sink
        self.sockets = LoopbackSockets()
        self.decider = TunnelDecider(self.replica)
        base.vigil.decider = self.decider
        self.vigil = base.vigil
        self.served = Served(self.replica, self.sockets)
        base.environment.served = self.served
        self.tcp = Tcp(self.vigil)
        self.udp = Udp(
            self.vigil, self.sockets, base.ticker, numbers=base.ingress.numbers, limits=limits
        )
        self.streams: dict[int, StreamMode] = {MODES.TCP: self.tcp}
        self.flows: dict[int, DatagramMode] = {MODES.UDP: self.udp}
        self.server = PrivateServer(
            self.replica,
            base.freshness,
            self.sockets,
            self.vigil.serve,
            settings,
            certificates=base.ingress.certificates,
            sections=base.sections,
            ticker=base.ticker,
            streams=self.streams,
            flows=self.flows,
            numbers=base.ingress.numbers,
        )
        self.port = free_port()
        self.clients: list[Client] = []
        self.sessions = {ANN: connected("ann-1", ANN), BOB: connected("bob-1", BOB)}
        self.feed.put(*self.sessions.values())

    async def serve(self, url: str = "", name: str = "wiki.default", **spec: Any) -> core.Service:
        """Put a Service at this world's port, and wait until it is listened on."""
        addresses = spec.pop("addresses", ())
        made = private(service(name, url or self.base.url, **spec), self.port, *addresses)
        made.spec.is_public = False
        await self.put(made)
        return made

    async def put(self, made: core.Service) -> None:
        self.feed.put(made)
        await self.until(lambda: any(one[2] == made.status.port for one in self.server.listening))

    async def connect(
        self, source: str = ANN, *, to: str = WIKI, port: int = 0, **options: Any
    ) -> Client:
        streams = await asyncio.open_connection(
            to, port or self.port, local_addr=(source, 0), **options
        )
        client = Client(*streams)
        self.clients.append(client)
        return client

    async def request(self, target: str = "/", *, source: str = ANN, **options: Any) -> Reply:
        client = await self.connect(source)
        options.setdefault("host", "wiki.local")
        return await client.request(target, token=options.pop("token", None), **options)

    async def until(self, condition: Any) -> None:
        await self.base.until(condition)

    def pass_time(self, seconds: float) -> None:
        self.base.pass_time(seconds)

    def infos(self) -> list[tuple[str, int, int, str]]:
        """Kind, counts and problem of the records of streams and flows."""
        return [
            (r.method.decode(), r.request_bytes, r.response_bytes, r.error)
            for r in self.sink.records
        ]


@asynccontextmanager
async def private_world(
    settings: Settings | None = None, *, limits: FlowLimits | None = None
) -> AsyncIterator[PrivateWorld]:
    async with world(settings) as base:
        made = PrivateWorld(base, settings or base.ingress.settings, limits)
        made.server.start()
        try:
            yield made
        finally:
            for client in made.clients:
                client.close()
            await made.server.close(0)
            made.udp.close()
            made.served.close()
            made.tcp.close()
            for client in made.clients:
                with contextlib.suppress(OSError):
                    await client.writer.wait_closed()
