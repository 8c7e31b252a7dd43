"""A Cluster with a Gateway on a real store, and its user API on a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

from octelium.apiserver.connect.gateways import GatewayPlan, prepare
from octelium.apiserver.connect.registry import GRACE
from octelium.apiserver.connect.service import ConnectService
from octelium.apiserver.core.kinds.service import RULES as SERVICES
from octelium.apiserver.core.view import TransactionView
from octelium.apiserver.lasting.server import LastingServer
from octelium.apiserver.rpc import Binding, Limits
from octelium.apiserver.server import ApiServer
from octelium.apiserver.user import DESCRIPTOR, UserService
from octelium.schema.jsonform import from_json
from octelium.schema.kinds import KINDS
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import user_v1_pb2 as user
from octelium.schema.validation import complete
from octelium.store.metadata import reference
from octelium.store.resources import Resources
from octelium.store.sqlite import SqliteStore
from octelium.store.vault import Vault
from tests.apiserver.calls import AUTHORITY, as_session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from octelium.store.transaction import Transaction

NOW = 1_800_000_000.0
PLAN = GatewayPlan(public_addresses=("192.0.2.7", "2001:db8::7"), network_v6="fdee:1:2:3::/64")
V4, V6, BOTH = (
    user.ConnectRequestInitializeL3Mode__.V4,
    user.ConnectRequestInitializeL3Mode__.V6,
    user.ConnectRequestInitializeL3Mode__.BOTH,
)
Initialize = user.ConnectRequestInitialize
PATIENCE = 60.0
"""Seconds after which a test that waits has failed."""


class Clock:
    """Time as a test sets it, in unix seconds."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


def initialize(**fields: Any) -> user.ConnectRequest:
    """The first message of a client."""
    return user.ConnectRequest(initialize=Initialize(**fields))


class Way:
    """The way to a client that keeps what is sent; the client's first message, and no more."""

    def __init__(self, first: user.ConnectRequest | None = None) -> None:
        self.events: list[user.ConnectResponse] = []
        self.is_behind = False
        self.receiver: Any = None
        self.ended: list[Exception | None] = []
        self.resets = 0
        self._first = first

    async def first(self) -> user.ConnectRequest | None:
        return self._first

    def send(self, message: bytes) -> None:
        assert not self.ended
        self.events.append(user.ConnectResponse.FromString(message))

    def end(self, failure: Exception | None = None) -> None:
        self.ended.append(failure)

    def reset(self) -> None:
        self.resets += 1

    @property
    def names(self) -> list[str]:
        """Of the events."""
        return [str(event.WhichOneof("Event")) for event in self.events]


class Tunnel:
    """A client of `Connect`."""

    def __init__(self, call: Any) -> None:
        self._call = call

    @property
    def call(self) -> Any:
        """The gRPC call itself."""
        return self._call

    async def read(self) -> user.ConnectResponse:
        """The next message."""
        async with asyncio.timeout(PATIENCE):
            message = await self._call.read()
        assert isinstance(message, user.ConnectResponse), message
        return message

    async def write(self, request: user.ConnectRequest) -> None:
        await self._call.write(request)

    async def state(self) -> user.ConnectionState:
        """The first message."""
        message = await self.read()
        assert message.WhichOneof("Event") == "state", message
        return message.state

    async def event(self, name: str) -> Any:
        """The next message, which must be that event."""
        message = await self.read()
        assert message.WhichOneof("Event") == name, message
        return getattr(message, name)

    async def rest(self) -> list[str]:
        """The names of what comes until the stream ends, which must end well."""
        names = []
        async with asyncio.timeout(PATIENCE):
            while (message := await self._call.read()) is not grpc.aio.EOF:
                names.append(str(message.WhichOneof("Event")))
            assert await self._call.code() is grpc.StatusCode.OK, await self._call.details()
        return names

    async def refusal(self) -> tuple[grpc.StatusCode, str]:
        """How a stream ends that never begins."""
        async with asyncio.timeout(PATIENCE):
            return await self._call.code(), await self._call.details() or ""

    def cancel(self) -> None:
        """As a client that is killed: the server sees RST_STREAM."""
        self._call.cancel()


class World:
    """The store, the service and calls to it. `open_world` makes one."""

    def __init__(self, resources: Resources, clock: Clock, channel: Any, lasting: Any) -> None:
        self.resources = resources
        self.clock = clock
        self.service = ConnectService(resources, clock=clock)
        self.channel = channel
        self.lasting = lasting
        """The channel of calls that last."""

    async def write(self, change: Callable[[Transaction], Any]) -> Any:
        async with self.resources.transaction() as tx:
            return change(tx)

    async def add_session(self, name: str = "alice", **fields: Any) -> core.Session:
        """A Session of type CLIENT of a User of that name, who is made if need be."""

        def add(tx: Transaction) -> core.Session:
            owner = tx.find(core.User, name=name)
            if owner is None:
                person = core.User()
                person.metadata.name = name
                person.spec.type = core.UserSpecType__.HUMAN
                owner = tx.create(person)
            return tx.create(new_session(owner, self.clock(), **fields))

        session: core.Session = await self.write(add)
        return session

    async def add_service(self, name: str, **spec: Any) -> core.Service:
        """A Service as the API makes it."""

        def add(tx: Transaction) -> core.Service:
            return create_service(tx, name, **spec)

        service: core.Service = await self.write(add)
        return service

    def session(self, session: core.Session) -> core.Session:
        """As it is now, with its lists."""
        return self.resources.get(core.Session, uid=session.metadata.uid)

    async def change(self, message: Any, change: Callable[[Any], None]) -> None:
        """Change a stored resource."""

        def write(tx: Transaction) -> None:
            present = tx.get(type(message), uid=message.metadata.uid)
            change(present)
            tx.update(present)

        await self.write(write)

    def open(self, session: core.Session) -> Tunnel:
        """A Connect stream on which nothing was said yet."""
        call = self.lasting.stream_stream(
            f"/{DESCRIPTOR.full_name}/Connect",
            request_serializer=user.ConnectRequest.SerializeToString,
            response_deserializer=user.ConnectResponse.FromString,
        )
        return Tunnel(call(metadata=tuple(as_session(session))))

    async def connect(self, session: core.Session, **fields: Any) -> Tunnel:
        """A Connect stream with its first message sent."""
        tunnel = self.open(session)
        # Who is refused before its first message is read hears of it here, or when it asks.
        with contextlib.suppress(grpc.aio.AioRpcError):
            await tunnel.write(initialize(**fields))
        return tunnel

    async def call(self, method: str, request: Any, session: core.Session) -> Any:
        """A call of one message."""
        rpc = DESCRIPTOR.methods_by_name[method]
        call = self.channel.unary_unary(
            f"/{DESCRIPTOR.full_name}/{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=getattr(user, rpc.output_type.name).FromString,
        )
        return await call(request, metadata=tuple(as_session(session)), timeout=PATIENCE)

    async def turn(self, seconds: float = 0.0) -> None:
        """Let time go by, and have what is due done."""
        self.clock.now += seconds
        await self.service.registry.turn()

    async def streams(self, count: int) -> None:
        """Wait until so many streams are live."""
        async with asyncio.timeout(PATIENCE):
            while len(self.service.streams) != count:
                await asyncio.sleep(0)

    async def settle(self) -> None:
        """Let time go by until nobody is connected any more."""
        async with asyncio.timeout(PATIENCE):
            while len(self.service.streams) or len(self.service.registry):
                await self.turn(GRACE + 1)
                await asyncio.sleep(0)


def new_session(owner: core.User, now: float, **fields: Any) -> core.Session:
    """A Session of type CLIENT, not stored yet."""
    session = core.Session()
    session.metadata.name = f"{owner.metadata.name}-{uuid.uuid4().hex}"
    session.spec.state = core.SessionSpecState__.ACTIVE
    session.spec.expires_at.FromSeconds(int(now) + 86_400)
    session.status.user_ref.CopyFrom(reference(owner))
    session.status.type = core.SessionStatusType__.CLIENT
    for field, value in fields.items():
        setattr(session.status, field, value)
    return session


def create_service(tx: Transaction, name: str, **spec: Any) -> core.Service:
    """A Service as the API makes it."""
    value = {"metadata": {"name": name}, "spec": {"mode": "TCP", "port": 80, **spec}}
    service = from_json(KINDS["Service"].message, {"kind": "Service", **value})
    service.status.SetInParent()
    SERVICES.prepare(tx, service)
    complete(service, TransactionView(tx))
    made: core.Service = tx.create(service)
    return made


def bootstrap(tx: Transaction) -> None:
    """What a Cluster has before its first Gateway."""
    config = core.ClusterConfig()
    config.metadata.name = "default"
    config.status.domain = "example.com"
    tx.create(config)
    region = core.Region()
    region.metadata.name = "default"
    tx.create(region)
    for name in ("default", "octelium"):
        namespace = core.Namespace()
        namespace.metadata.name = name
        tx.create(namespace)


@asynccontextmanager
async def open_resources(directory: Path, clock: Clock) -> AsyncIterator[Resources]:
    """The store of a directory, new or not."""
    store = await SqliteStore.open(directory)
    resources = Resources(store, Vault([bytes(range(32))]), clock)
    await resources.load()
    yield resources
    await resources.close()


@asynccontextmanager
async def open_world(
    directory: Path, *, plan: GatewayPlan | None = PLAN, clock: Clock | None = None
) -> AsyncIterator[World]:
    """A World on the store of a directory; a second one on the same is a control restarted."""
    clock = clock or Clock()
    path, lasting_path = directory / "api.sock", directory / "connect.sock"
    async with (
        open_resources(directory, clock) as resources,
        grpc.aio.insecure_channel(f"unix:{path}") as channel,
        grpc.aio.insecure_channel(f"unix:{lasting_path}", options=AUTHORITY) as lasting,
    ):
        world = World(resources, clock, channel, lasting)
        if not resources.revision:
            await world.write(bootstrap)
        if plan is not None:
            await world.write(lambda tx: prepare(tx, plan))
        await world.service.start()
        users = UserService(resources, world.service, clock=clock)
        binding = Binding(DESCRIPTOR, users)

        async def publish() -> None:
            pass

        server = ApiServer([binding], publish=publish, limits=Limits(calls=16))
        connects = LastingServer(users.lasting(), 4096)
        server.listen(path)
        connects.listen(lasting_path)
        await server.start()
        await connects.start()
        try:
            yield world
        finally:
            await world.service.stop()
            await connects.stop(0.2)
            await server.stop(0.2)
