"""Services of this host's network, served to the Cluster."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from octelium.client.tunnel.flows import Flows
from octelium.client.tunnel.publishing import Acceptor
from octelium.schema.pb import user_v1_pb2 as user

if TYPE_CHECKING:
    from collections.abc import Iterable

    from octelium.client.tunnel.side import Kind, Side

_LOG = logging.getLogger(__name__)
CONNECT: Final = 10.0
"""Seconds for a connection to an upstream."""
_L4 = user.HostedServiceL4Type__
_MODES = user.HostedServiceMode__


@dataclass(frozen=True, slots=True)
class Hosted:
    """A Service that is to be served: where to listen in the tunnel, and where it really is."""

    name: str
    kind: Kind
    port: int
    addresses: tuple[str, ...]
    host: str
    upstream_port: int


def hosted(message: user.HostedService, families: Iterable[int]) -> Hosted | None:
    """What the Cluster says, for some families; None if it is nothing that is served here.

    The embedded SSH server is none of ours.
    """
    ports = (message.port, message.upstream.port)
    if message.mode == _MODES.MODE_ESSH or not all(0 < port < 65_536 for port in ports):
        return None
    if message.l4_type not in (_L4.TCP, _L4.UDP) or not message.upstream.host:
        return None
    texts = [text for text in (message.address.ipv4, message.address.ipv6) if text]
    try:
        found = [ipaddress.ip_address(text) for text in texts]
    except ValueError:
        return None
    addresses = tuple(str(each) for each in found if each.version in families)
    kind: Kind = "udp" if message.l4_type == _L4.UDP else "tcp"
    upstream = message.upstream
    return Hosted(message.name, kind, message.port, addresses, upstream.host, upstream.port)


class Served:
    """What this end serves at present. All methods belong to one event loop."""

    def __init__(self, side: Side) -> None:
        self._side = side
        self._ranges: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
        self._running: dict[Hosted, list[tuple[str, Acceptor | Flows]]] = {}

    @property
    def present(self) -> list[Hosted]:
        """All that is served."""
        return [*self._running]

    def admit(self, ranges: Iterable[str]) -> None:
        """From where connections are taken: the Cluster's Services."""
        self._ranges = [ipaddress.ip_network(text) for text in ranges]

    async def replace(self, wanted: Iterable[Hosted]) -> None:
        """Serve these alone; what stays goes on undisturbed."""
        want = [*wanted]
        for each in self.present:
            if each not in want:
                await self._stop(each)
        for each in want:
            await self.add(each)

    async def add(self, each: Hosted) -> None:
        """Serve one more. What cannot be is logged, and the rest goes on."""
        if each in self._running:
            return
        running = self._running[each] = []
        for address in each.addresses:
            try:
                listening = await self._side.listen(each.kind, address, each.port)
            except OSError as error:
                _LOG.error("%s cannot be served at port %d: %s", each.name, each.port, error)
                continue
            running.append((address, self._begin(each, listening)))

    async def remove(self, name: str) -> None:
        """Serve nothing of a name any longer."""
        for each in self.present:
            if each.name == name:
                await self._stop(each)

    async def close(self) -> None:
        """Serve nothing any longer."""
        await self.replace(())

    def _begin(self, each: Hosted, listening: socket.socket) -> Acceptor | Flows:
        async def dial() -> socket.socket:
            return await connect(each)

        if each.kind == "udp":
            return Flows(listening, dial, admits=self._admits)
        acceptor = Acceptor(listening, dial, self._admits, what=each.name, complain=_LOG.warning)
        acceptor.start()
        return acceptor

    async def _stop(self, each: Hosted) -> None:
        for address, running in self._running.pop(each):
            if isinstance(running, Flows):
                running.close()
            else:
                await running.close()
            try:
                await self._side.release(each.kind, address, each.port)
            except OSError as error:
                _LOG.debug("port %d is not released: %s", each.port, error)

    def _admits(self, peer: str) -> bool:
        address = ipaddress.ip_address(peer)
        return any(address in network for network in self._ranges)


async def connect(each: Hosted) -> socket.socket:
    """A socket connected to where a Service really is; its name is looked up each time.

    Raises:
        OSError: no such host, or nobody answers.
    """
    loop = asyncio.get_running_loop()
    kind = socket.SOCK_DGRAM if each.kind == "udp" else socket.SOCK_STREAM
    failure: OSError = OSError(f"{each.host} has no address")
    try:
        async with asyncio.timeout(CONNECT):
            found = await loop.getaddrinfo(each.host, each.upstream_port, type=kind)
            for family, type_, protocol, _, place in found:
                made = socket.socket(family, type_ | socket.SOCK_NONBLOCK, protocol)
                try:
                    await loop.sock_connect(made, place)
                except OSError as error:
                    made.close()
                    failure = error
                except BaseException:
                    made.close()
                    raise
                else:
                    return made
    except TimeoutError:
        problem = f"{each.host} port {each.upstream_port} does not answer within {CONNECT:g} s"
        raise OSError(problem) from None
    raise failure
