"""Where Services are within the private network."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from octelium.client.errors import ApiError, ClientError
from octelium.client.tunnel.errors import TunnelError
from octelium.schema.names import HOST_LABEL
from octelium.schema.pb import meta_v1_pb2 as meta
from octelium.schema.pb import user_v1_pb2 as user

if TYPE_CHECKING:
    from collections.abc import Iterable

    from octelium.client.api import Authorized
    from octelium.client.tunnel.device import Tunnel

_LOG = logging.getLogger(__name__)
CONNECT: Final = 10.0
"""Seconds for a connection within the tunnel."""
_PAGE: Final = 200
_MOST_PAGES: Final = 100
_TYPES = user.ServiceSpecType__
_PAGES: Final = frozenset({_TYPES.HTTP, _TYPES.WEB})
_DATAGRAMS: Final = frozenset({_TYPES.UDP, _TYPES.DNS})


@dataclass(frozen=True, slots=True)
class Destination:
    """A Service's addresses and port; `is_udp` if it is spoken to by datagrams, `is_http` if by
    HTTP in the clear.
    """

    name: str
    addresses: tuple[str, ...]
    port: int
    is_udp: bool
    is_http: bool = False


def destination(service: user.Service) -> Destination:
    """What the Cluster says of a Service. Raises TunnelError."""
    try:
        addresses = tuple(str(ipaddress.ip_address(text)) for text in service.status.addresses)
    except ValueError as error:
        raise TunnelError(f"Service {service.metadata.name}: {error}") from error
    if not 0 < service.spec.port < 65_536:
        raise TunnelError(f"Service {service.metadata.name} has no port")
    is_udp = service.spec.type in _DATAGRAMS
    is_http = service.spec.type in _PAGES and not service.spec.is_tls
    return Destination(service.metadata.name, addresses, service.spec.port, is_udp, is_http)


class Services:
    """Asks the Cluster for Services. The methods block, and raise ApiError and TunnelError."""

    def __init__(self, api: Authorized) -> None:
        self._api = api

    def get(self, name: str) -> Destination:
        """One by its full name. Some Clusters only have the list."""
        try:
            return destination(self._api.call("GetService", meta.GetOptions(name=name)))
        except ApiError as error:
            if error.code == "NOT_FOUND":
                remedy = "octelium get services lists them"
                raise TunnelError(f"there is no Service {name}", remedy) from error
            if error.code != "UNIMPLEMENTED":
                raise
        for service in self._all():
            if service.metadata.name == name:
                return destination(service)
        raise TunnelError(f"there is no Service {name}", "octelium get services lists them")

    def count(self) -> int:
        """How many there are."""
        return sum(1 for _ in self._all())

    def names(self) -> tuple[set[str], list[str]]:
        """Those of all, and of those that this User serves, if the Cluster tells."""
        known, mine = set(), list[str]()
        for service in self._all():
            known.add(service.metadata.name)
            if any(label.startswith(HOST_LABEL) for label in service.metadata.spec_labels):
                mine.append(service.metadata.name)
        return known, mine

    def some(self) -> list[Destination]:
        """Those that speak TCP and have an address."""
        found = []
        for service in self._all():
            try:
                one = destination(service)
            except TunnelError as error:
                _LOG.debug("%s", error)
                continue
            if one.addresses and not one.is_udp:
                found.append(one)
        return found

    def _all(self) -> Iterable[user.Service]:
        for page in range(_MOST_PAGES):
            common = meta.CommonListOptions(page=page, items_per_page=_PAGE)
            reply = self._api.call("ListService", user.ListServiceOptions(common=common))
            yield from reply.items
            if not reply.list_response_meta.has_more:
                return


class Dialler:
    """Connects to Services through a tunnel.

    Addresses are remembered until nobody answers there: then the Cluster is asked again.
    """

    def __init__(self, tunnel: Tunnel, services: Services) -> None:
        self._tunnel = tunnel
        self._services = services
        self._known: dict[str, Destination] = {}

    def learn(self, found: Destination) -> None:
        """Remember a Service."""
        self._known[found.name] = found

    async def dial(self, name: str) -> socket.socket:
        """A connected socket, of TCP or UDP as the Service is.

        Raises:
            OSError: not connected, or the Service does not answer.
        """
        known = self._known.get(name)
        failure: OSError | None = None
        if known is not None:
            try:
                return await self.connect(known)
            except OSError as error:
                failure = error
        try:
            found = await asyncio.to_thread(self._services.get, name)
        except ClientError as error:
            raise failure or OSError(str(error)) from error
        if found == known and failure is not None:
            raise failure
        self._known[name] = found
        return await self.connect(found)

    async def connect(self, to: Destination) -> socket.socket:
        """A socket connected to one of the addresses. Raises OSError."""
        connected = self._tunnel.connected
        if connected is None:
            raise OSError("not connected to the Cluster")
        failure: OSError = OSError(f"{to.name} has no address of the families in use")
        for address in to.addresses:
            version = 6 if ":" in address else 4
            if version not in connected.families:
                continue
            try:
                return await self._connect(address, to)
            except OSError as error:
                failure = error
        raise failure

    async def _connect(self, address: str, to: Destination) -> socket.socket:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        made = await self._tunnel.side.dial("udp" if to.is_udp else "tcp", family)
        try:
            async with asyncio.timeout(CONNECT):
                loop = asyncio.get_running_loop()
                await loop.sock_connect(made, (address, to.port))
        except TimeoutError:
            made.close()
            raise OSError(f"no answer from {to.name} within {CONNECT:g} s") from None
        except BaseException:
            made.close()
            raise
        return made
