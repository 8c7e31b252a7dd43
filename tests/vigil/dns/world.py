"""A Cluster's DNS on loopback sockets, beside upstreams that tests command."""

from __future__ import annotations

import asyncio
import itertools
import socket
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import dns.flags
import dns.message
import dns.name
import dns.rrset

from octelium.http.exchange import Peer
from octelium.http.pool import UpstreamPool
from octelium.http.section import SectionCache
from octelium.http.ticker import Ticker
from octelium.octovigil.audit import audit_subject
from octelium.replica.arrival import Arrival, Tunnel
from octelium.vigil.dns.server import Dns
from octelium.vigil.environment import Environment
from octelium.vigil.vigil import Vigil
from tests.http import certs
from tests.octovigil.world import World as Cluster
from tests.octovigil.world import uid_of
from tests.vigil.world import Sink

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from octelium.vigil.dns.stream import DnsStream

DOMAIN = "octelium.test"
NETWORK: dict[str, Any] = {
    "clusterNetwork": {"v4": "100.64.0.0/10", "v6": "fdee:1234::/64"},
    "serviceSubnet": {"v4": "100.64.0.0/16", "v6": "fdee:1234::/80"},
    "wgConnSubnet": {"v4": "100.65.0.0/16", "v6": "fdee:1234:0:0:1::/80"},
    "quicConnSubnet": {"v4": "100.66.0.0/16", "v6": "fdee:1234:0:0:2::/80"},
}
PLACE = ("100.64.0.16", 53)
SESSION = Tunnel(uid_of("Session", "ann-1"), "100.65.0.7")


TYPES = ["A", "AAAA", "MX", "TXT", "HTTPS", "SVCB", "SOA", "NS", "PTR", "SRV", "CNAME", "ANY"]
NAMES = {
    f"wiki.local.{DOMAIN}": "service",
    "wiki.default.local": "service",
    f"WIKI.{DOMAIN}.local": "service",
    "wiki": "service",
    "wiki.prod-eu": "service",
    "v4only.local": "v4only",
    f"nope.local.{DOMAIN}": "unknown",
    "local": "apex",
    "20.0.64.100.in-addr.arpa": "reverse",
    "9.0.65.100.in-addr.arpa": "unknown",
}
"""What there is to ask for, and of which sort each name is."""


def wire_form(name: str) -> bytes:
    """A name in wire form and lower case."""
    made = dns.name.from_text(name).to_wire()
    assert made is not None
    return made.lower()


def allow_all() -> dict[str, Any]:
    rule = {"effect": "ALLOW", "condition": {"matchAny": True}}
    return {"inlinePolicies": [{"name": "allow", "spec": {"rules": [rule]}}]}


def addresses(*pairs: tuple[str, str]) -> dict[str, Any]:
    made = []
    for v4, v6 in pairs:
        ip = {}
        if v4:
            ip["ipv4"] = v4
        if v6:
            ip["ipv6"] = v6
        made.append({"dualStackIP": ip})
    return {"addresses": made}


class DnsCluster(Cluster):
    """The Services `wiki` (both families), `default`, `v4only`, `new` (no address yet) in
    `default`; `api`, `default` and `wiki` in `prod-eu`; and the Cluster's own DNS.
    """

    def __init__(self) -> None:
        super().__init__(audit_factory=audit_subject)
        self.config()
        for name in ("octelium", "prod-eu"):
            self.put("Namespace", name)
        self.named("wiki.default", 20)
        self.named("default.default", 21)
        self.service("v4only.default", status=addresses(("100.64.0.22", "")))
        self.service("new.default")
        self.named("api.prod-eu", 30)
        self.named("default.prod-eu", 31)
        self.named("wiki.prod-eu", 32)
        self.dns_service()

    def config(self, **dns: Any) -> None:
        status = {"domain": DOMAIN, "network": NETWORK}
        self.put("ClusterConfig", "default", {"dns": dns} if dns else {}, status)

    def named(self, name: str, number: int) -> None:
        pair = (f"100.64.0.{number}", f"fdee:1234::{number:x}")
        self.service(name, status=addresses(pair))

    def dns_service(self, **spec: Any) -> None:
        self.service(
            "dns.octelium",
            mode="DNS",
            isPublic=None,
            config=None,
            authorization=spec.pop("authorization", allow_all()),
            status={
                "managedService": {"type": "dns"},
                **addresses(("100.64.0.16", "fdee:1234::10")),
            },
            **spec,
        )


class DnsWorld:
    """The mode on sockets of its own; `ask` speaks as the Session `ann-1`."""

    def __init__(self, *, total: float, clock: Callable[[], float] | None) -> None:
        self.cluster = DnsCluster()
        self.replica = self.cluster.replica
        self.sink = Sink()
        self.ticker = Ticker()
        pool = UpstreamPool(sections=SectionCache(), ticker=self.ticker)
        environment = Environment(
            self.replica, pool, managed={}, compile_expression=lambda _: lambda _: ""
        )
        self.vigil = Vigil(self.replica, self.cluster.octovigil, environment, self.sink)
        options: dict[str, Any] = {} if clock is None else {"clock": clock}
        self.dns = Dns(self.vigil, total=total, **options)
        self.service = "dns.octelium"
        self.arrival: Arrival = SESSION
        self.streams: list[DnsStream] = []
        self.left = 0
        self.port = 0
        self.udp: asyncio.DatagramTransport | None = None
        self.tcp: asyncio.Server | None = None

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        world = self

        class Listener(asyncio.DatagramProtocol):
            def connection_made(self, transport: Any) -> None:
                self.transport = transport

            def datagram_received(self, data: bytes, address: Any) -> None:
                entry = world.replica.service_by_name[world.service]
                reply = lambda answer: self.transport.sendto(answer, address)  # noqa: E731
                world.dns.datagram(entry, world.arrival, PLACE, address, data, reply)

        listener, datagrams = one_port()
        self.port = listener.getsockname()[1]
        self.udp, _ = await loop.create_datagram_endpoint(Listener, sock=datagrams)
        listener.setblocking(False)
        self._listener = listener
        self._accepting = loop.create_task(self._accept())

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        for number in itertools.count(1):
            connection, _ = await loop.sock_accept(self._listener)
            peer = Peer(self.arrival, number=number, secure=False)
            entry = self.replica.service_by_name[self.service]
            self.streams.append(
                self.dns.plain(entry, peer, "100.64.0.16:53", connection, self._gone)
            )

    def _gone(self) -> None:
        self.left += 1

    async def close(self) -> None:
        self._accepting.cancel()
        self._listener.close()
        if self.udp is not None:
            self.udp.close()
        for stream in self.streams:
            stream.abort()
        self.dns.close()
        self.vigil.close()
        self.cluster.octovigil.close()
        await asyncio.sleep(0)

    # --- clients

    async def ask(
        self, name: str, kind: str = "A", *, tcp: bool = False, **options: Any
    ) -> dns.message.Message:
        """A question by a client that follows the rules."""
        query = dns.message.make_query(name, kind, **options)
        return await self.send(query, tcp=tcp)

    async def send(self, query: dns.message.Message, *, tcp: bool = False) -> dns.message.Message:
        wire = await (self.raw_tcp if tcp else self.raw)(query.to_wire())
        answer = dns.message.from_wire(wire)
        assert query.is_response(answer) or answer.rcode() == 1
        return answer

    async def raw(self, data: bytes, *, patience: float = 60) -> bytes:
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.setblocking(False)
            client.connect(("127.0.0.1", self.port))
            await loop.sock_sendall(client, data)
            async with asyncio.timeout(patience):
                return await loop.sock_recv(client, 65535)

    async def raw_tcp(self, data: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(len(data).to_bytes(2, "big") + data)
        async with asyncio.timeout(60):
            answer = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
        writer.close()
        return answer

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(60):
            while not condition():
                await asyncio.sleep(0.001)


@asynccontextmanager
async def world(
    *, total: float = 60.0, clock: Callable[[], float] | None = None
) -> AsyncIterator[DnsWorld]:
    """A running world."""
    made = DnsWorld(total=total, clock=clock)
    await made.start()
    try:
        yield made
    finally:
        await made.close()


def server_context(directory: Path, *names: str) -> ssl.SSLContext:
    """What a TLS server with a certificate for some names needs."""
    pair = certs.server(*names)
    file = directory / "server.pem"
    file.write_bytes(pair.chain + pair.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


def one_port() -> tuple[socket.socket, socket.socket]:
    """Sockets for connections and for datagrams at one port of the loopback interface.

    A port that is free for one of them may be another test's for the other.
    """
    for _ in range(100):
        listener = socket.create_server(("127.0.0.1", 0))
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            datagrams.bind(listener.getsockname())
        except OSError:
            listener.close()
            datagrams.close()
            continue
        datagrams.setblocking(False)
        return listener, datagrams
    raise AssertionError("no port is free for both")


class Upstream:
    """A resolver on loopback, UDP and TCP (with TLS if it has a `context`) at one port.

    `respond(query, tcp)` gives the messages to send; `asked` are the questions that came.
    """

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.asked: list[tuple[str, str, bool]] = []
        self.queries: list[dns.message.Message] = []
        self.records: dict[tuple[str, str], list[str]] = {}
        self.respond: Callable[[dns.message.Message, bool], list[bytes]] = self.answer
        self.connections = 0
        self.negative = 60
        self.port = 0
        self.writers: list[asyncio.StreamWriter] = []
        self._context = context

    @property
    def url(self) -> str:
        return f"dns://127.0.0.1:{self.port}"

    def put(self, name: str, kind: str, *rdata: str, ttl: int = 60) -> None:
        self.records[name.rstrip(".") + ".", kind] = [f"{ttl}", *rdata]

    def made(self, query: dns.message.Message) -> dns.message.Message:
        response = dns.message.make_response(query, recursion_available=True)
        question = query.question[0]
        name, kind = question.name.to_text().lower(), dns.rdatatype.to_text(question.rdtype)
        for _ in range(20):
            alias = self.records.get((name, "CNAME"))
            found = self.records.get((name, kind))
            if found is not None:
                ttl, *rdata = found
                response.answer.append(dns.rrset.from_text(name, int(ttl), "IN", kind, *rdata))
                return response
            if alias is None:
                break
            ttl, target = alias
            response.answer.append(dns.rrset.from_text(name, int(ttl), "IN", "CNAME", target))
            name = target
        if not any(known == name for known, _ in self.records):
            response.set_rcode(dns.rcode.NXDOMAIN)
        soa = f"ns.example. host.example. 1 2 3 4 {self.negative}"
        zone = name.split(".", 1)[1] or "."
        response.authority.append(dns.rrset.from_text(zone, self.negative, "IN", "SOA", soa))
        return response

    def answer(self, query: dns.message.Message, tcp: bool) -> list[bytes]:
        wire = self.made(query).to_wire(max_size=65535)
        if not tcp and len(wire) > query.payload:
            cut = dns.message.make_response(query)
            cut.flags |= dns.flags.TC
            wire = cut.to_wire()
        return [wire]

    def _got(self, data: bytes, tcp: bool) -> list[bytes]:
        query = dns.message.from_wire(data)
        question = query.question[0]
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked.append((question.name.to_text(), kind, tcp))
        self.queries.append(query)
        return self.respond(query, tcp)

    async def start(self) -> None:
        upstream = self

        class Server(asyncio.DatagramProtocol):
            def connection_made(self, transport: Any) -> None:
                self.transport = transport

            def datagram_received(self, data: bytes, address: Any) -> None:
                for answer in upstream._got(data, False):
                    self.transport.sendto(answer, address)

        listener, datagrams = one_port()
        self.port = listener.getsockname()[1]
        self._tcp = await asyncio.start_server(self._serve, sock=listener, ssl=self._context)
        self._udp, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            Server, sock=datagrams
        )

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        try:
            while True:
                size = int.from_bytes(await reader.readexactly(2), "big")
                for answer in self._got(await reader.readexactly(size), True):
                    writer.write(len(answer).to_bytes(2, "big") + answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def close(self) -> None:
        self._udp.close()
        self._tcp.close()
        for writer in self.writers:
            writer.transport.abort()  # an end of TLS would wait for the other side's
        await asyncio.sleep(0)


@asynccontextmanager
async def upstream(context: ssl.SSLContext | None = None) -> AsyncIterator[Upstream]:
    """A running resolver."""
    made = Upstream(context)
    await made.start()
    try:
        yield made
    finally:
        await made.close()
