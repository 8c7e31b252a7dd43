"""A tunnel: an engine between the device of some side and the Gateways of a Cluster."""

from __future__ import annotations

import asyncio
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from octelium.client.tunnel.errors import TunnelError
from octelium.tunnel.engines.choose import make
from octelium.tunnel.engines.interface import EngineError, PeerConfig
from octelium.tunnel.wireguard import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from octelium.client.tunnel.side import Side
    from octelium.client.tunnel.state import Connected, Gateway
    from octelium.tunnel.engines.choose import Choice
    from octelium.tunnel.engines.interface import Engine, Place

    MakeEngine = Callable[[int, Side, Sequence[socket.socket], bytes, int], Engine]

FRESH: Final = 180.0
"""Seconds for which a session lasts without a new handshake (WireGuard paper, section 6.1)."""


@dataclass(frozen=True, slots=True)
class Health:
    """How the tunnel to one Gateway does; times in seconds since 1970, 0 for never."""

    gateway: str
    endpoint: Place | None
    last_handshake: float
    received: int
    sent: int


def engine_of(choice: Choice, folder: Path) -> MakeEngine:
    """What makes the chosen engine; `folder` is private to it."""

    def make_engine(
        descriptor: int,
        side: Side,
        sockets: Sequence[socket.socket],
        private_key: bytes,
        mtu: int,
    ) -> Engine:
        port = int(sockets[0].getsockname()[1])
        if not choice.wants_sockets:  # it makes its own; until then nobody else has the port
            for each in sockets:
                each.close()
        return make(
            choice,
            tun=descriptor,
            device=side.device,
            private_key=private_key,
            port=port,
            folder=folder,
            sockets=sockets,
            namespace=side.namespace,
            mtu=mtu,
        )

    return make_engine


class Tunnel:
    """The tunnel of one connection, kept through new states where addresses and MTU allow that.

    All methods belong to one event loop.
    """

    def __init__(
        self,
        side: Side,
        *,
        keepalive: int,
        mtu: int | None = None,
        make_engine: MakeEngine,
    ) -> None:
        self.side = side
        self.connected: Connected | None = None
        self._keepalive = keepalive
        self._mtu = mtu
        self._make_engine = make_engine
        self._engine: Engine | None = None
        self._sockets: list[socket.socket] = []
        self._gateways: dict[str, Gateway] = {}
        self._places: dict[str, int] = {}
        self.is_silent = False
        """Whether questions through it were not answered, and nothing came since; `Watch` knows."""
        self.begun = asyncio.Event()
        """Set whenever all handshakes begin anew; for whoever looks after them to clear."""

    @property
    def is_open(self) -> bool:
        """Whether there is a device."""
        return self._engine is not None

    async def put(self, connected: Connected) -> None:
        """Have the tunnel as the Cluster says; the device stays if it can.

        Raises:
            TunnelError: it cannot be.
        """
        former = self.connected
        if former is not None and former.mtu != connected.mtu:
            await self.close()
            former = None
        if former is None or self._engine is None:
            await self._open(connected)
            return
        if (former.addresses, former.routes) != (connected.addresses, connected.routes):
            await self.side.put(connected)
        self.connected = connected
        try:
            if former.private_key != connected.private_key:
                # The other end has forgotten the former key and its sessions.
                self._engine.replace_peers(())
                self._engine.set_private_key(connected.private_key)
                self.begun.set()
            self._have(connected.gateways)
        except ConfigurationError as error:
            raise _nonsense(error) from error

    def put_gateway(self, gateway: Gateway) -> None:
        """Have a Gateway, new or changed; with another key its session goes on until the next.

        Raises:
            TunnelError: it cannot be; nothing has changed.
        """
        if self._engine is None:
            return
        former = self._gateways.get(gateway.id)
        try:
            if former is not None and former.public_key != gateway.public_key:
                self._engine.change_peer_key(former.public_key, gateway.public_key)
                self._gateways[gateway.id] = gateway
                self.begun.set()
            self._engine.put_peer(self._peer(gateway))
        except ConfigurationError as error:
            raise _nonsense(error) from error
        self._gateways[gateway.id] = gateway

    def remove_gateway(self, gateway_id: str) -> None:
        """Have a Gateway no more. Nothing happens if there is none."""
        gateway = self._gateways.pop(gateway_id, None)
        if gateway is not None and self._engine is not None:
            self._engine.remove_peer(gateway.public_key)

    def begin_again(self) -> None:
        """Begin the handshakes with all Gateways anew, those under way included."""
        if self._engine is not None:
            gateways = [*self._gateways.values()]
            self._engine.replace_peers(())
            self._have(gateways)

    def find_again(self) -> None:
        """Talk to all Gateways at once, at the addresses that the Cluster says.

        Either side may have another address now, and the other one has not heard of it.
        """
        if self._engine is not None:
            for gateway in self._gateways.values():
                self._engine.put_peer(self._peer(gateway))
                self._engine.poke(gateway.public_key)

    def try_next(self, gateway_id: str) -> Place | None:
        """Talk to the next address of a Gateway that does not answer; None if there is no other."""
        gateway = self._gateways[gateway_id]
        others = _reachable(gateway)
        if self._engine is None or len(others) < 2:
            return None
        self._places[gateway_id] = (self._places.get(gateway_id, 0) + 1) % len(others)
        peer = self._peer(gateway)
        self._engine.put_peer(peer)
        self._engine.poke(gateway.public_key)
        return peer.endpoint

    def health(self) -> list[Health]:
        """One for each Gateway."""
        if self._engine is None:
            return []
        stats = self._engine.stats()
        found = []
        for gateway in self._gateways.values():
            each = stats.get(gateway.public_key)
            if each is not None:
                numbers = (each.last_handshake, each.received, each.sent)
                found.append(Health(gateway.id, each.endpoint, *numbers))
        return found

    def is_alive(self, clock: Callable[[], float] = time.time) -> bool:
        """Whether some Gateway has answered lately."""
        return any(clock() - each.last_handshake < FRESH for each in self.health())

    async def failed(self) -> str:
        """Wait until the engine cannot go on, and say why."""
        assert self._engine is not None
        return await self._engine.failed()

    async def close(self) -> None:
        """End the tunnel and its device. May be called again."""
        engine, self._engine = self._engine, None
        if engine is not None:
            await engine.close()
        for each in self._sockets:
            each.close()
        self._sockets, self._gateways, self.connected = [], {}, None
        await self.side.close()

    async def _open(self, connected: Connected) -> None:
        descriptor = await self.side.open(connected)
        try:
            self._sockets = _udp_sockets()
            mtu = connected.mtu
            key = connected.private_key
            engine = self._make_engine(descriptor, self.side, self._sockets, key, mtu)
            self._engine, self.connected = engine, connected
            self._have(connected.gateways)
            await engine.start()
            self.begun.set()
        except (ConfigurationError, EngineError, OSError) as error:
            await self.close()
            raise TunnelError(f"the tunnel cannot be made: {error}") from error
        except BaseException:
            await self.close()
            raise

    def _have(self, gateways: Sequence[Gateway]) -> None:
        assert self._engine is not None
        self._gateways = {each.id: each for each in gateways}
        self._engine.replace_peers([self._peer(each) for each in gateways])

    def _peer(self, gateway: Gateway) -> PeerConfig:
        places = _reachable(gateway)
        place = None
        if places:
            place = places[self._places.get(gateway.id, 0) % len(places)]
        return PeerConfig(gateway.public_key, gateway.ranges, place, self._keepalive)


def _reachable(gateway: Gateway) -> list[Place]:
    """The places of a Gateway that this host has a route to; asking sends nothing (udp(7))."""
    found = []
    for address in gateway.addresses:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as asked:
                asked.connect((address, gateway.port))
        except OSError:
            continue
        found.append((address, gateway.port))
    return found


def _udp_sockets() -> list[socket.socket]:
    """One for each family that this host has; their ports are chosen by the system."""
    made: list[socket.socket] = []
    for family, anywhere in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):  # noqa: S104
        try:
            one = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        except OSError:
            continue
        try:
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.bind((anywhere, 0))
        except OSError:
            one.close()
            continue
        made.append(one)
    if not made:
        raise OSError("this host has no UDP sockets")
    return made


def _nonsense(error: Exception) -> TunnelError:
    return TunnelError(f"the Cluster announces a Gateway that cannot be: {error}")
