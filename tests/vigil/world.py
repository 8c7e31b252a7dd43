"""A front door and its Vigil on real sockets, with a decision point that tests command."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from octelium.http.h2.protocol import H2Client
from octelium.http.pool import Origin, UpstreamPool
from octelium.http.section import SectionCache
from octelium.http.ticker import Ticker
from octelium.ingress.server import IngressServer
from octelium.ingress.settings import Settings
from octelium.policy.decision import Decision, Outcome, Reason, ReasonType
from octelium.policy.value import compile_value
from octelium.replica.replica import Replica, ServiceEntry
from octelium.schema.pb import container_v1_pb2 as container
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import feed_v1_pb2 as feed
from octelium.vigil.environment import Environment
from octelium.vigil.vigil import Vigil
from octelium.visibility.record import AccessRecord, AuditSubject
from tests.http import certs
from tests.http.origins import Origins

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from google.protobuf.message import Message

    from octelium.policy.request import Request
    from octelium.replica.arrival import Arrival, Tunnel

DOMAIN = "octelium.test"
MODES = core.ServiceSpecMode__


def service(name: str = "wiki.default", url: str = "", **spec: Any) -> core.Service:
    """A public Service, HTTP unless `mode` says otherwise."""
    made = core.Service()
    made.metadata.name = name
    made.metadata.uid = f"uid-{name}"
    made.spec.mode = spec.pop("mode", MODES.HTTP)
    made.spec.is_public = True
    made.status.namespace_ref.name = name.partition(".")[2]
    if url:
        made.spec.config.upstream.url = url
    for key, value in spec.items():
        setattr(made.spec, key, value)
    return made


def contained(name: str = "wiki.default", **spec: Any) -> core.Service:
    """A Service before a container."""
    made = service(name, **spec)
    made.spec.config.upstream.container.image = "example.com/wiki:1"
    made.spec.config.upstream.container.port = 80
    return made


def containers(
    *, name: str = "wiki.default", **places: tuple[str, int] | str
) -> container.ContainerState:
    """How a Service's containers are: where they are ready, or why not. `own` is the default's."""
    made = container.ContainerState()
    made.metadata.name = f"uid-{name}"
    made.metadata.uid = f"uid-state-{name}"
    for config, place in places.items():
        one = made.status.containers.add(config="" if config == "own" else config)
        if isinstance(place, str):
            one.address, one.port, one.reason = "127.0.0.1", 1, place
        else:
            one.address, one.port = place
            one.ready = True
    return made


def secret(name: str, value: bytes, chain: bytes = b"") -> core.Secret:
    made = core.Secret()
    made.metadata.name = name
    made.metadata.uid = f"uid-{name}"
    made.data.value_bytes = value
    if chain:
        made.spec.data.value_bytes = chain
    return made


def session(uid: str = "uid-session", name: str = "alice-1") -> core.Session:
    made = core.Session()
    made.metadata.uid = uid
    made.metadata.name = name
    made.metadata.resource_version = "7"
    return made


def user(name: str = "alice", *, human: bool = True) -> core.User:
    made = core.User()
    made.metadata.uid = f"uid-{name}"
    made.metadata.name = name
    made.spec.type = core.UserSpecType__.HUMAN if human else core.UserSpecType__.WORKLOAD
    made.spec.email = f"{name}@example.com"
    return made


class Feed:
    """Puts resources into a replica."""

    def __init__(self, domain: str = DOMAIN) -> None:
        self.replica = Replica()
        config = core.ClusterConfig()
        config.metadata.name = "default"
        config.metadata.uid = "uid-config"
        config.status.domain = domain
        self.config = config
        self.put(config)

    def put(self, *messages: Message) -> None:
        commit = feed.Commit(revision=self.replica.revision + 1)
        for message in messages:
            metadata = message.metadata  # type: ignore[attr-defined]
            commit.changes.append(
                feed.Change(
                    kind=type(message).__name__,
                    uid=metadata.uid,
                    name=metadata.name,
                    data=message.SerializeToString(),
                )
            )
        self.replica.apply(commit)

    def delete(self, message: Message) -> None:
        metadata = message.metadata  # type: ignore[attr-defined]
        commit = feed.Commit(revision=self.replica.revision + 1)
        commit.changes.append(
            feed.Change(
                kind=type(message).__name__, uid=metadata.uid, name=metadata.name, deleted=True
            )
        )
        self.replica.apply(commit)


class StreamWatch:
    def __init__(self, decider: CommandedDecider, callback: Callable[[Decision], None]) -> None:
        self.decider = decider
        self.callback = callback

    def cancel(self) -> None:
        self.decider.watches.discard(self)


class CommandedDecider:
    """Allows what it is told to. Tokens: `alice` is a person, `robot` a workload.

    Anything else is nobody. `verdict` replaces the outcome for those who are somebody.
    """

    def __init__(self, replica: Replica) -> None:
        self.replica = replica
        self.verdict = Outcome.ALLOWED
        self.asked: list[tuple[ServiceEntry, Request, Arrival]] = []
        self.watches: set[StreamWatch] = set()
        self.later = False
        self.error = ""
        self.delay = asyncio.Event()

    def decide(
        self, service: ServiceEntry, request: Request, arrival: Arrival
    ) -> Decision | Awaitable[Decision]:
        self.asked.append((service, request, arrival))
        if self.later:
            return self._later(service, request)
        return self._decision(service, request)

    def refused(self, service: ServiceEntry, arrival: Tunnel) -> Decision:
        session = self.replica.sessions.get(arrival.session_uid)
        subject = AuditSubject(
            mode="HTTP", allowed=False, authenticated=session is not None, reason={}
        )
        reason = Reason(ReasonType.TYPE_UNKNOWN_REASON)
        return Decision(Outcome.DENIED, reason, service, session=session, audit=subject)

    async def _later(self, service: ServiceEntry, request: Request) -> Decision:
        await self.delay.wait()
        return self._decision(service, request)

    def _decision(self, service: ServiceEntry, request: Request) -> Decision:
        who = {b"alice": "uid-alice", b"robot": "uid-robot"}.get(request.token or b"")
        outcome = self.verdict
        if who is None and not service.is_anonymous:
            outcome = Outcome.UNAUTHENTICATED
        spec = service.message.spec
        return Decision(
            outcome,
            Reason(ReasonType.POLICY_MATCH),
            service,
            session=self.replica.sessions.get("uid-session") if who else None,
            user=self.replica.users.get(who) if who else None,
            config=spec.config if spec.HasField("config") else None,
            error=self.error,
            audit=AuditSubject(
                mode="HTTP",
                allowed=outcome is Outcome.ALLOWED,
                authenticated=who is not None,
                reason={},
            ),
        )

    def watch(
        self,
        decision: Decision,
        service: ServiceEntry,
        request: Request,
        arrival: Arrival,
        callback: Callable[[Decision], None],
    ) -> StreamWatch:
        watch = StreamWatch(self, callback)
        self.watches.add(watch)
        return watch

    def revoke(self, service: ServiceEntry, outcome: Outcome = Outcome.DENIED) -> None:
        """Tell every open stream that it must end."""
        refusal = Decision(
            outcome,
            Reason(ReasonType.NO_POLICY_MATCH),
            service,
            user=self.replica.users.get("uid-alice"),
            audit=AuditSubject(mode="HTTP", allowed=False, authenticated=True, reason={}),
        )
        for watch in tuple(self.watches):
            watch.callback(refusal)


class Freshness:
    """A replica that is up to date unless told otherwise."""

    def __init__(self) -> None:
        self.fresh = True
        self.caught_up = asyncio.Event()
        self.in_time = True

    def up_to_date(self) -> bool:
        return self.fresh

    async def catch_up(self, timeout: float) -> bool:
        await self.caught_up.wait()
        return self.in_time


class Sink:
    prefix = "testtest"

    def __init__(self) -> None:
        self.records: list[AccessRecord] = []

    def append(self, record: AccessRecord) -> None:
        self.records.append(record)


class Reply:
    """A response as a client read it."""

    def __init__(self, head: bytes, body: bytes) -> None:
        self.raw = head
        line, _, rest = head.partition(b"\r\n")
        self.status = int(line.split(b" ")[1])
        self.fields = [
            (name.lower(), value.strip())
            for name, _, value in (row.partition(b":") for row in rest.split(b"\r\n") if row)
        ]
        self.body = body

    def all(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.fields if key == name]

    def first(self, name: bytes) -> bytes | None:
        return next(iter(self.all(name)), None)


class Client:
    """A raw HTTP/1.1 client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def read_head(self) -> bytes:
        return await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 60)

    async def reply(self, *, head_only: bool = False) -> Reply:
        head = await self.read_head()
        reply = Reply(head, b"")
        if head_only or reply.status in {204, 304} or reply.status < 200:
            return reply
        if (length := reply.first(b"content-length")) is not None:
            reply.body = await asyncio.wait_for(self.reader.readexactly(int(length)), 60)
        elif reply.first(b"transfer-encoding") is not None:
            while size := int(await asyncio.wait_for(self.reader.readline(), 60), 16):
                reply.body += (await self.reader.readexactly(size + 2))[:-2]
            await self.reader.readuntil(b"\r\n")
        else:
            reply.body = await self.rest()
        return reply

    async def exactly(self, size: int) -> bytes:
        return await asyncio.wait_for(self.reader.readexactly(size), 60)

    async def breaks(self) -> None:
        """The connection ends before the response does."""
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await self.exactly(1 << 20)

    async def rest(self) -> bytes:
        return await asyncio.wait_for(self.reader.read(-1), 60)

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def request(
        self,
        target: str = "/",
        *,
        host: str = f"wiki.{DOMAIN}",
        token: str | None = "alice",
        method: str = "GET",
        fields: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Reply:
        lines = [f"{method} {target} HTTP/1.1", f"Host: {host}"]
        if token is not None:
            lines.append(f"Authorization: Bearer {token}")
        lines += [f"{name}: {value}" for name, value in (fields or {}).items()]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        await self.send("\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b""))
        return await self.reply(head_only=method == "HEAD")

    def close(self) -> None:
        self.writer.close()


class World:
    """Everything that a request needs, in this process. Its clock moves in `pass_time` alone."""

    def __init__(self, settings: Settings) -> None:
        self.feed = Feed()
        self.replica = self.feed.replica
        self.ticker = Ticker()
        self.sections = SectionCache()
        self.pool = UpstreamPool(sections=self.sections, ticker=self.ticker, h2=H2Client)
        self.decider = CommandedDecider(self.replica)
        self.freshness = Freshness()
        self.sink = Sink()
        self.managed: dict[str, Origin] = {}
        self.environment = Environment(
            self.replica,
            self.pool,
            managed=self.managed,
            compile_expression=lambda text: compile_value(text).json,
            port=settings.public_port,
            has_controller=True,
        )
        self.vigil = Vigil(self.replica, self.decider, self.environment, self.sink)
        self.ingress = IngressServer(
            self.replica,
            self.freshness,
            self.vigil.serve,
            settings,
            sections=self.sections,
            ticker=self.ticker,
        )
        self.origins = Origins()
        self.port = 0
        self.clients: list[Client] = []
        self.feed.put(session(), user("alice"), user("robot", human=False))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.origins.port}"

    def serve(self, **spec: Any) -> core.Service:
        """Put the Service `wiki` in front of the origin."""
        made = service(url=self.url, **spec)
        self.feed.put(made)
        return made

    def entry(self, name: str = "wiki.default") -> ServiceEntry:
        return self.replica.service_by_name[name]

    async def connect(self) -> Client:
        client = Client(*await asyncio.open_connection("127.0.0.1", self.port))
        self.clients.append(client)
        return client

    async def request(self, target: str = "/", **options: Any) -> Reply:
        """One request on a connection of its own."""
        client = await self.connect()
        try:
            return await client.request(target, **options)
        finally:
            client.close()

    async def raw(self, data: bytes) -> bytes:
        """Everything that comes back for some bytes, until the connection ends."""
        client = await self.connect()
        await client.send(data)
        result = await client.rest()
        client.close()
        return result

    def upstream_fields(self) -> list[tuple[bytes, bytes]]:
        """The header fields of the last request that the origin got."""
        head = self.origins.requests[-1].partition(b"\r\n\r\n")[0]
        return Reply(b"X 0\r\n" + head.partition(b"\r\n")[2], b"").fields

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(60):
            while not condition():
                await asyncio.sleep(0.002)

    def pass_time(self, seconds: float) -> None:
        """Tell everybody who has deadlines that it is later by some seconds."""
        self.ticker.now += seconds
        for member in tuple(self.ticker._members):
            member.tick(self.ticker.now)


@asynccontextmanager
async def world(settings: Settings | None = None) -> AsyncIterator[World]:
    """A running world; plain text unless `settings` say otherwise."""
    made = World(settings or Settings(plaintext=True))
    await made.origins.start()
    listener = socket.create_server(("127.0.0.1", 0))
    made.port = listener.getsockname()[1]
    await made.ingress.start([listener])
    try:
        yield made
    finally:
        for client in made.clients:
            client.close()
        await made.origins.close()
        await made.ingress.close(0)
        made.vigil.close()
        made.pool.close()
        for client in made.clients:
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await client.writer.wait_closed()


def certificate_secret(*names: str, name: str = "crt-ns-default") -> core.Secret:
    """A Secret as the Cluster makes them for the front door."""
    pair = certs.server(*names)
    return system_secret(name, pair.key, pair.chain)


def system_secret(name: str, value: bytes, chain: bytes = b"") -> core.Secret:
    """A Secret that is marked as one of the Cluster's certificates, whatever it holds."""
    made = secret(name, value, chain)
    made.metadata.is_system = True
    made.metadata.is_system_hidden = True
    made.metadata.system_labels["octelium-cert"] = "true"
    return made


def status_lines(data: bytes) -> list[int]:
    """The statuses of the responses in a stream of bytes."""
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", data)]
