"""What a Cluster says of a connection, checked: nothing of it is used before."""

from __future__ import annotations

import base64
import binascii
import ipaddress
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_interface, ip_network
from typing import TYPE_CHECKING, Final

from octelium.client.tunnel.errors import TunnelError
from octelium.schema.pb import user_v1_pb2 as user

if TYPE_CHECKING:
    from collections.abc import Iterable

_MOST_GATEWAYS: Final = 1024
_SHORTEST: Final = {4: 8, 6: 32}
"""Prefixes of the largest ranges that a Cluster may have routed to it."""
_KEY: Final = 32
_L3 = user.ConnectionStateL3Mode__


@dataclass(frozen=True, slots=True)
class Gateway:
    """An end of the tunnel in the Cluster.

    Attributes:
        addresses: where it is, IP addresses; the first one first.
        ranges: which addresses are behind it.
    """

    id: str
    public_key: bytes
    addresses: tuple[str, ...]
    port: int
    ranges: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Connected:
    """A connection as the Cluster has it.

    Attributes:
        addresses: own ones, such as `100.65.0.7/32`, of the families in use.
        routes: the ranges of Services, of the same families.
        private_key: of WireGuard, made by the Cluster for this connection.
    """

    mtu: int
    families: frozenset[int]
    addresses: tuple[str, ...]
    routes: tuple[str, ...]
    private_key: bytes = field(repr=False)
    gateways: tuple[Gateway, ...] = ()
    dns: tuple[str, ...] = ()


def connected(state: user.ConnectionState) -> Connected:
    """What a `state` says.

    Raises:
        TunnelError: it makes no sense, or wants more of this host than a private network.
    """
    families = families_of(state)
    mtu = state.mtu or 1280
    if not 1280 <= mtu <= 65_520:
        raise _nonsense(f"an MTU of {mtu}")
    if len(state.x25519_key) != _KEY:
        raise _nonsense("a key that is none")
    if len(state.gateways) > _MOST_GATEWAYS:
        raise _nonsense(f"{len(state.gateways)} Gateways")
    own = [text for each in state.addresses for text in (each.v4, each.v6) if text]
    addresses = tuple(text for text in map(_host, own) if ip_interface(text).version in families)
    routes = tuple(
        text
        for text in (state.cidr.v4, state.cidr.v6)
        if text and _network(text).version in families
    )
    for text in routes:
        _check_route(text)
    if not addresses or not routes:
        raise _nonsense("no addresses")
    gateways = (gateway_of(each, families) for each in state.gateways)
    return Connected(
        mtu,
        families,
        addresses,
        routes,
        state.x25519_key,
        tuple(each for each in gateways if each is not None),
        servers_of(state.dns, families),
    )


def families_of(state: user.ConnectionState) -> frozenset[int]:
    """The families (4, 6) of the mode that is in force."""
    if state.l3_mode == _L3.V4:
        return frozenset({4})
    return frozenset({6}) if state.l3_mode == _L3.V6 else frozenset({4, 6})


def gateway_of(message: user.Gateway, families: Iterable[int]) -> Gateway | None:
    """A Gateway, with the ranges of some families; None if it has no WireGuard.

    Raises:
        TunnelError: it makes no sense.
    """
    wireguard = message.wireguard
    if not message.HasField("wireguard") or not message.addresses:
        return None
    try:
        key = base64.b64decode(wireguard.public_key, validate=True)
    except binascii.Error as error:
        raise _nonsense(f"a Gateway with the key {wireguard.public_key[:64]!r}") from error
    if len(key) != _KEY or not 0 < wireguard.port < 65_536:
        raise _nonsense(f"a Gateway with a key of {len(key)} bytes at port {wireguard.port}")
    ranges = (text for text in message.cid_rs if _network(text).version in families)
    addresses = tuple(str(_address(text)) for text in message.addresses)
    return Gateway(message.id, key, addresses, wireguard.port, tuple(ranges))


def servers_of(dns: user.Dns, families: Iterable[int]) -> tuple[str, ...]:
    """The name servers of some families. Raises TunnelError."""
    found = (_address(text) for text in dns.servers)
    return tuple(str(each) for each in found if each.version in families)


def _check_route(text: str) -> None:
    network = ip_network(text)
    special = network.is_loopback or network.is_link_local or network.is_multicast
    if special or network.prefixlen < _SHORTEST[network.version]:
        raise _nonsense(f"a route for {text}")


def _host(text: str) -> str:
    try:
        interface = ip_interface(text)
    except ValueError as error:
        raise _nonsense(f"the address {text[:64]!r}") from error
    if interface.network.prefixlen != interface.max_prefixlen:
        raise _nonsense(f"the address {text}, which is a range")
    return str(interface)


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ip_network(text)
    except ValueError as error:
        raise _nonsense(f"the range {text[:64]!r}") from error


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        return ip_address(text)
    except ValueError as error:
        raise _nonsense(f"the address {text[:64]!r}") from error


def _nonsense(what: str) -> TunnelError:
    return TunnelError(f"the Cluster announces {what}", "tell who administers the Cluster")
