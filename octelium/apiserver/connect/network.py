"""The private network's address plan.

The plan is Octelium's: of the Cluster's IPv4 network (100.64.0.0/10 by default, RFC 6598) the first
/16 is for Services, the second for Sessions by WireGuard, the third for Sessions by QUIC. Of its
IPv6 network (a unique local /64, RFC 4193) the /80s with byte 9 = 0, 1, 2 are the same.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TYPE_CHECKING, Final, TypeVar

from octelium.schema.errors import Invalid
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

DEFAULT_V4: Final = "100.64.0.0/10"
DEFAULT_MTU: Final = 1280
"""The smallest MTU that IPv6 allows (RFC 8200, section 5)."""

_SUBNETS: Final = 3
_V4_SUBNET: Final = 16
_V6_SUBNET: Final = 80
_LONGEST_V4: Final = 14
"""Prefix of the smallest IPv4 network that holds the three subnets."""
_ULA: Final = IPv6Network("fc00::/7")
_PRIVATE: Final = tuple(
    map(IPv4Network, (DEFAULT_V4, "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
)
"""RFC 6598 and RFC 1918; other special ranges, such as 198.18.0.0/15 (RFC 2544), are in use."""
_EVERYTHING: Final = 1
"""Routes with prefixes up to this long are default routes: full tunnels split theirs in two."""
_DRAWS: Final = 16
_MODES = core.ClusterConfigStatusNetworkConfigMode__

N = TypeVar("N", IPv4Network, IPv6Network)


@dataclass(frozen=True, slots=True)
class Ranges:
    """The Cluster's network in both families."""

    v4: IPv4Network
    v6: IPv6Network

    def subnet(self, number: int) -> meta.DualStackNetwork:
        """Subnet 0 (Services), 1 (Sessions by WireGuard) or 2 (Sessions by QUIC)."""
        v4 = (int(self.v4.network_address) + (number << (32 - _V4_SUBNET)), _V4_SUBNET)
        v6 = (int(self.v6.network_address) + (number << (128 - _V6_SUBNET)), _V6_SUBNET)
        return meta.DualStackNetwork(v4=str(IPv4Network(v4)), v6=str(IPv6Network(v6)))


@dataclass(frozen=True, slots=True)
class Network:
    """What addresses are given from, as the ClusterConfig says."""

    services_v4: IPv4Network
    services_v6: IPv6Network
    sessions_v4: IPv4Network
    sessions_v6: IPv6Network
    has_v4: bool = True
    has_v6: bool = True
    mtu: int = DEFAULT_MTU

    def service(self, index: int) -> meta.DualStackIp:
        """The virtual address of a Service; the index is block * 256 + host."""
        block, host = divmod(index, 256)
        v4 = IPv4Address(int(self.services_v4.network_address) + index)
        v6 = IPv6Address(int(self.services_v6.network_address) + (block << 16) + host)
        return meta.DualStackIp(
            ipv4=str(v4) if self.has_v4 else "", ipv6=str(v6) if self.has_v6 else ""
        )

    def service_index(self, address: meta.DualStackIp) -> int | None:
        """The reverse of `service`; None for an address of another plan."""
        if address.ipv4:
            v4 = IPv4Address(address.ipv4)
            return (
                int(v4) - int(self.services_v4.network_address) if v4 in self.services_v4 else None
            )
        v6 = IPv6Address(address.ipv6)
        if v6 not in self.services_v6:
            return None
        block, host = divmod(int(v6) - int(self.services_v6.network_address), 1 << 16)
        return block * 256 + host if host < 256 else None

    def session(self, index: int) -> meta.DualStackNetwork:
        """The addresses of a Session, the same index in both families."""
        v4 = IPv4Address(int(self.sessions_v4.network_address) + index)
        v6 = IPv6Address(int(self.sessions_v6.network_address) + index)
        return meta.DualStackNetwork(
            v4=f"{v4}/32" if self.has_v4 else "", v6=f"{v6}/128" if self.has_v6 else ""
        )

    def session_index(self, network: meta.DualStackNetwork) -> int | None:
        """The reverse of `session`; None for an address of another plan."""
        if network.v4:
            v4 = IPv4Network(network.v4).network_address
            return (
                int(v4) - int(self.sessions_v4.network_address) if v4 in self.sessions_v4 else None
            )
        v6 = IPv6Network(network.v6).network_address
        return int(v6) - int(self.sessions_v6.network_address) if v6 in self.sessions_v6 else None

    def blocks(self, numbers: Iterable[int]) -> list[str]:
        """The fewest networks that are these blocks of Service addresses: IPv4 first."""
        present = sorted(numbers)
        v4_start = int(self.services_v4.network_address)
        v6_start = int(self.services_v6.network_address)
        v4 = [IPv4Network((v4_start + (number << 8), 24)) for number in present if self.has_v4]
        v6 = [IPv6Network((v6_start + (number << 16), 112)) for number in present if self.has_v6]
        return [
            *map(str, ipaddress.collapse_addresses(v4)),
            *map(str, ipaddress.collapse_addresses(v6)),
        ]


def network_of(config: core.ClusterConfig) -> Network | None:
    """The plan that a ClusterConfig holds; None while it is incomplete."""
    network, settings = config.status.network, config.status.network_config
    services, sessions = network.service_subnet, network.wg_conn_subnet
    if not (services.v4 and services.v6 and sessions.v4 and sessions.v6):
        return None
    return Network(
        IPv4Network(services.v4),
        IPv6Network(services.v6),
        IPv4Network(sessions.v4),
        IPv6Network(sessions.v6),
        has_v4=settings.mode != _MODES.V6_ONLY,
        has_v6=settings.mode != _MODES.V4_ONLY,
        mtu=settings.wireguard.mtu or DEFAULT_MTU,
    )


def put_ranges(config: core.ClusterConfig, ranges: Ranges) -> None:
    """Write a plan into a ClusterConfig."""
    network = config.status.network
    network.cluster_network.v4, network.cluster_network.v6 = str(ranges.v4), str(ranges.v6)
    network.v6_range_prefix = ranges.v6.network_address.packed[2:4]
    subnets = (network.service_subnet, network.wg_conn_subnet, network.quic_conn_subnet)
    for number, subnet in enumerate(subnets):
        subnet.CopyFrom(ranges.subnet(number))


def choose_ranges(
    host_routes: Iterable[str],
    *,
    v4: str = "",
    v6: str = "",
    random_bytes: Callable[[int], bytes],
) -> Ranges:
    """The Cluster's network: as given, or else 100.64.0.0/10 and `fdee:RRRR::/64` at random.

    `host_routes` are the destinations of the host's routes, default routes among them or not.

    Raises:
        Invalid: a network is none or too small, or the host already has routes into it.
    """
    routes = [*map(ipaddress.ip_network, host_routes)]
    chosen = _given(v4 or DEFAULT_V4, "network-v4", IPv4Network)
    if not clients_take(chosen):
        raise Invalid(
            "network-v4",
            f"{chosen} is no private network: clients refuse it without --allow-range {chosen}",
            f"use {DEFAULT_V4}, or a part of 10.0.0.0/8 such as --network-v4 10.192.0.0/12",
        )
    if chosen.prefixlen > _LONGEST_V4:
        raise Invalid(
            "network-v4", f"{chosen} is too small", f"use a /{_LONGEST_V4} or a larger one"
        )
    used = _route_into(routes, chosen)
    if used is not None:
        raise Invalid(
            "network-v4",
            f"{chosen} overlaps {used}, to which this host has a route",
            "choose a private network that is free on this host and its clients, such as"
            " --network-v4 10.192.0.0/12 (OCTELIUM_NETWORK_V4)",
        )
    return Ranges(chosen, _choose_v6(routes, v6, random_bytes))


def clients_take(network: IPv4Network) -> bool:
    """Whether clients have a network of that range without being told to."""
    return any(network.subnet_of(each) for each in _PRIVATE)


def _choose_v6(
    routes: list[IPv4Network | IPv6Network], given: str, random_bytes: Callable[[int], bytes]
) -> IPv6Network:
    chosen = None
    for _ in range(_DRAWS):
        text = given or str(IPv6Address(b"\xfd\xee" + random_bytes(2) + bytes(12))) + "/64"
        chosen = _given(text, "network-v6", IPv6Network)
        if chosen.prefixlen != 64 or not chosen.subnet_of(_ULA):
            raise Invalid(
                "network-v6", f"{chosen} is no unique local /64", "use one such as fdee:1:2:3::/64"
            )
        used = _route_into(routes, chosen)
        if used is None:
            return chosen
        if given:
            break
    raise Invalid(
        "network-v6",
        f"{chosen} overlaps a network to which this host has a route",
        "choose a free one, such as --network-v6 fdee:1:2:3::/64 (OCTELIUM_NETWORK_V6)",
    )


def _given(text: str, path: str, kind: type[N]) -> N:
    try:
        return kind(text)
    except ValueError as error:
        raise Invalid(
            path, f"{text!r} is no network: {error}", "write it as ADDRESS/BITS"
        ) from None


def _route_into(
    routes: Iterable[IPv4Network | IPv6Network], network: IPv4Network | IPv6Network
) -> IPv4Network | IPv6Network | None:
    for route in routes:
        if (
            route.version == network.version
            and route.prefixlen > _EVERYTHING
            and route.overlaps(network)
        ):
            return route
    return None
