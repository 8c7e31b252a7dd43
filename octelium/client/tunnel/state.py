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

    from octelium.schema.pb import meta_v1_pb2 as meta

    Address = ipaddress.IPv4Address | ipaddress.IPv6Address
    Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_MOST_GATEWAYS: Final = 1024
_PRIVATE: Final = tuple(
    map(
        ip_network,
        ("100.64.0.0/10", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"),
    )
)
"""What nobody has on the Internet (RFC 6598, RFC 1918, RFC 4193): a Cluster may have parts of it
routed to it. All else is somebody's, and who is root here would send it to the Cluster instead."""
_SHORTEST_V6: Final = 32
"""Prefix of the largest such range of IPv6: a Cluster has a /64."""
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


def connected(state: user.ConnectionState, allowed: Iterable[str] = ()) -> Connected:
    """What a `state` says. `allowed` are ranges that it may have though they are not private.

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
    allowed = [*allowed]
    routes = tuple(
        text
        for text in (state.cidr.v4, state.cidr.v6)
        if text and _range(text, allowed).version in families
    )
    addresses = _own(state.addresses, families, allowed)
    if not addresses or not routes:
        raise _nonsense("no addresses")
    gateways = (gateway_of(each, families, allowed) for each in state.gateways)
    return Connected(
        mtu,
        families,
        addresses,
        routes,
        state.x25519_key,
        tuple(each for each in gateways if each is not None),
        servers_of(state.dns, families, routes),
    )


def _own(
    said: Iterable[meta.DualStackNetwork], families: Iterable[int], allowed: Iterable[str]
) -> tuple[str, ...]:
    """This end's addresses, one of each family at most. Raises TunnelError."""
    found: dict[int, str] = {}
    for text in (text for each in said for text in (each.v4, each.v6) if text):
        own = _host(text)
        _check_private(own.network, f"the address {own} for this host", allowed)
        if own.version not in families:
            continue
        if own.version in found:
            raise _nonsense(f"the address {own} for this host, besides {found[own.version]}")
        found[own.version] = str(own)
    return tuple(found.values())


def families_of(state: user.ConnectionState) -> frozenset[int]:
    """The families (4, 6) of the mode that is in force."""
    if state.l3_mode == _L3.V4:
        return frozenset({4})
    return frozenset({6}) if state.l3_mode == _L3.V6 else frozenset({4, 6})


def gateway_of(
    message: user.Gateway, families: Iterable[int], allowed: Iterable[str] = ()
) -> Gateway | None:
    """A Gateway, with the ranges of some families; None if it has no WireGuard. `allowed` are
    ranges that may be behind it though they are not private.

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
    ranges = (text for text in message.cid_rs if _range(text, allowed).version in families)
    addresses = tuple(str(_address(text)) for text in message.addresses)
    return Gateway(message.id, key, addresses, wireguard.port, tuple(ranges))


def servers_of(dns: user.Dns, families: Iterable[int], routes: Iterable[str]) -> tuple[str, ...]:
    """The name servers of some families, all of them among the Services behind `routes`.

    Raises:
        TunnelError: one is elsewhere: what this host looks up would leave the tunnel.
    """
    found = [each for each in map(_address, dns.servers) if each.version in families]
    ranges = [ip_network(text) for text in routes]
    for each in found:
        if not any(each in network for network in ranges):
            raise _nonsense(f"the name server {each}, which is none of its Services")
    return tuple(map(str, found))


def _range(text: str, allowed: Iterable[str]) -> Network:
    """Addresses that are the Cluster's. Raises TunnelError."""
    network = _network(text)
    _check_private(network, f"a route for {network}", allowed)
    return network


def _check_private(network: Network, what: str, allowed: Iterable[str]) -> None:
    if network.is_loopback or network.is_link_local or network.is_multicast:
        raise _nonsense(what)
    if _is_within(network, map(ip_network, allowed)):
        return
    if not _is_within(network, _PRIVATE):
        raise TunnelError(
            f"the Cluster announces {what}, which is no private network: this host would send to "
            "the Cluster what is somebody else's",
            f"tell who administers the Cluster; or, if it is meant so, connect with --allow-range "
            f"{network}",
        )
    if network.version == 6 and network.prefixlen < _SHORTEST_V6:
        raise _nonsense(what)


def _is_within(network: Network, ranges: Iterable[Network]) -> bool:
    first, last = network.network_address, network.broadcast_address
    return any(first in each and last in each for each in ranges)


def _host(text: str) -> ipaddress.IPv4Interface | ipaddress.IPv6Interface:
    try:
        interface = ip_interface(_unscoped(text))
    except ValueError as error:
        raise _nonsense(f"the address {text[:64]!r}") from error
    if interface.network.prefixlen != interface.max_prefixlen:
        raise _nonsense(f"the address {text}, which is a range")
    return interface


def _network(text: str) -> Network:
    try:
        return ip_network(text)
    except ValueError as error:
        raise _nonsense(f"the range {text[:64]!r}") from error


def _address(text: str) -> Address:
    try:
        return ip_address(_unscoped(text))
    except ValueError as error:
        raise _nonsense(f"the address {text[:64]!r}") from error


def _unscoped(text: str) -> str:
    """The same; a zone (RFC 4007 section 11) means nothing to anybody else. Raises ValueError."""
    if "%" in text:
        raise ValueError(f"{text!r} has a zone")
    return text


def _nonsense(what: str) -> TunnelError:
    return TunnelError(f"the Cluster announces {what}", "tell who administers the Cluster")
