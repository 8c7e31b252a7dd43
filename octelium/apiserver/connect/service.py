"""`Connect`: one stream for as long as a client is connected."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections import Counter
from typing import TYPE_CHECKING, Final, Protocol

import grpc

from octelium.apiserver.connect import gateways
from octelium.apiserver.connect.beginnings import Beginnings
from octelium.apiserver.connect.connections import begin, connection_id, mark_of, unusable_because
from octelium.apiserver.connect.network import network_of
from octelium.apiserver.connect.pace import ConnectPace
from octelium.apiserver.connect.registry import Registry
from octelium.apiserver.connect.requests import initialize_of, requested
from octelium.apiserver.connect.state import Keys, connection_state, hosted_services
from octelium.apiserver.connect.streams import ENDED, REPLACED, Outlet, Streams
from octelium.apiserver.connect.upstreams import allocate
from octelium.apiserver.rpc import ApiError
from octelium.http.tasks import spawn
from octelium.replica.gateway_key import GatewayKeyError
from octelium.schema.errors import Invalid
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import user_v1_pb2 as user
from octelium.store.errors import PermissionDenied, StoreError
from octelium.store.metadata import Actor

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from octelium.apiserver.connect.beginnings import Picked
    from octelium.apiserver.connect.network import Network
    from octelium.apiserver.connect.session_addresses import SessionAddresses
    from octelium.apiserver.connect.streams import Stream
    from octelium.apiserver.lasting.call import Receiver
    from octelium.apiserver.rpc import Call
    from octelium.store.resources import Resources, Transaction

_LOG = logging.getLogger(__name__)

FIRST_MESSAGE: Final = 20.0
"""Seconds for a client's first message."""
_ROTATION_CHECK: Final = 5.0
_ARRIVING: Final = 4
"""Streams of one Session that may wait for their first messages."""


class Client(Outlet, Protocol):
    """The client of a stream that begins; `LastingCall` is one."""

    receiver: Receiver | None

    async def first(self) -> user.ConnectRequest | None:
        """Its first message; None if there is none."""


class ConnectService:
    """Connects Sessions. `start` it before the first call, `stop` it before the server stops.

    Without `has_gateway` nobody is connected, whatever Gateways the Cluster had before.
    """

    def __init__(
        self,
        resources: Resources,
        *,
        clock: Callable[[], float] = time.time,
        addresses: SessionAddresses | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        has_gateway: bool = True,
        pace: ConnectPace | None = None,
    ) -> None:
        self.pace = pace or ConnectPace()
        self.streams = Streams(resources, clock)
        self.registry = Registry(resources, self.streams, clock, addresses)
        self.streams.left = self.registry.detach
        self._resources = resources
        self._clock = clock
        self._sleep = sleep
        self._has_gateway = has_gateway
        self._arriving: Counter[str] = Counter()
        self._beginnings = Beginnings(resources)
        self._ends: list[Callable[[], None]] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Take in who is connected, and do what is due from now on."""
        # Streams learn of a commit before the registry judges by it.
        self._ends = [self.streams.follow(), await self.registry.follow()]
        self._tasks = [
            spawn(self.registry.run(), name="connections"),
            spawn(self._rotate_keys(), name="Gateway keys"),
        ]

    async def stop(self) -> None:
        """End every stream, with the connections left in grace, and whatever runs."""
        await self._beginnings.close()
        self.streams.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for end in self._ends:
            end()
        self._tasks, self._ends = [], []

    async def connect(self, client: Client, call: Call) -> None:
        """Connect the caller's Session until the stream ends; then its connection is in grace.

        Returns once it is connected.

        Raises:
            Invalid: what the client asks for cannot be.
            PermissionDenied: the Session may not be connected, or there is no Gateway. Official
                clients end on this, where they would try again after most others.
            ApiError: RESOURCE_EXHAUSTED, because the Session or its User connects too often.
        """
        initialize = initialize_of(await self._first(client, call.require_session()))
        self._require_pace(call.require_session())
        keys = Keys.generate()
        actor = Actor(call.session_ref, call.operation)
        uid = call.require_session()

        def work(tx: Transaction, picked: Picked) -> tuple[core.Session, str, Network]:
            session = tx.find(core.Session, uid=uid)
            if session is None:
                raise ApiError(grpc.StatusCode.UNAUTHENTICATED, "Unauthenticated User")
            network = self._network()
            if why := unusable_because(tx, session, tx.at):
                raise PermissionDenied(why)
            connection = requested(tx, network, initialize)
            keys.put_public(connection)
            mark = mark_of(session)
            former = None if mark is None else mark.index
            index = self.registry.addresses.pick(uid, tx.at, former, picked)
            begun = begin(session, connection, network, index, tx.at)
            allocate(tx, session)
            tx.update(session)
            picked[index] = uid
            return session, begun, network

        session, begun, network = await self._beginnings.begin(actor, work)
        # No await from here on: what commits change after the state reaches the stream.
        client.receiver = self._open(session, begun, network, keys, client)

    def _require_pace(self, session_uid: str) -> None:
        """Before anything is written, or anybody waits to write."""
        session = self._resources.peek(core.Session, uid=session_uid)
        owner = "" if session is None else session.status.user_ref.uid
        wait = self.pace.take(session_uid, owner)
        if wait > 0:
            raise ApiError(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"this Session or its User connects too often: try later, in {math.ceil(wait)} s",
            )

    def _open(
        self, session: core.Session, begun: str, network: Network, keys: Keys, outlet: Outlet
    ) -> Stream:
        uid, connection = session.metadata.uid, session.status.connection
        present = self._resources.peek(core.Session, uid=uid)
        is_present = present is not None and connection_id(present) == begun
        if present is not None and is_present:
            connection = present.status.connection
            stream = self.streams.open(uid, begun, outlet)
        else:
            stream = self.streams.open_late(uid, begun, outlet)
        state = connection_state(self._resources, network, connection, keys, self.streams.gateways)
        stream.hosted = hosted_services(connection) or ()
        stream.put(user.ConnectResponse(state=state))
        if is_present:
            self.registry.attach(stream)
        else:
            # After the state, because clients pass over everything before it.
            stream.disconnect(ENDED if present is None else REPLACED)
        return stream

    def _network(self) -> Network:
        config = self._resources.peek(core.ClusterConfig, name="default")
        network = None if config is None else network_of(config)
        if network is None or not self._has_gateway or not self.streams.gateways:
            raise PermissionDenied(
                "this Cluster has no Gateway, so there are no tunnels to connect to"
            )
        return network

    async def _first(self, client: Client, session_uid: str) -> user.ConnectRequest:
        if self._arriving[session_uid] >= _ARRIVING:
            raise ApiError(
                grpc.StatusCode.RESOURCE_EXHAUSTED, "too many streams of this Session: try later"
            )
        self._arriving[session_uid] += 1
        first: user.ConnectRequest | None = None
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FIRST_MESSAGE):
                    first = await client.first()
        finally:
            self._arriving[session_uid] -= 1
            if not self._arriving[session_uid]:
                del self._arriving[session_uid]
        if first is None:
            raise Invalid("", "the first message of Connect is missing")
        return first

    async def _rotate_keys(self) -> None:
        forget_at = 0.0
        while True:
            now = self._clock()
            replace = len(self.streams) > 0 and gateways.is_due(self._resources, now)
            if replace or forget_at <= now:
                try:
                    async with self._resources.transaction() as tx:
                        gateways.rotate(tx, now, replace=replace)
                    forget_at = now + gateways.PREVIOUS_KEY
                except (StoreError, GatewayKeyError):
                    _LOG.exception("the Gateway's key could not be changed")
            await self._sleep(_ROTATION_CHECK)
