"""Which peer of the tunnel a Session is, and what the private network looks like.

A peer may send from the addresses of its Session and from no other: that is what makes an address
in the private network as good as a login.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from octelium.schema.pb import core_v1_pb2 as core
from octelium.tunnel.link.plan import FirewallPlan, LinkPlan

if TYPE_CHECKING:
    from octelium.schema.pb import meta_v1_pb2 as meta

_L3 = core.SessionStatusConnectionL3Mode__
_MODES = core.ClusterConfigStatusNetworkConfigMode__
_KEY = 32
_MTU = 1280
"""The smallest MTU that IPv6 allows (RFC 8200, section 5), unless the Cluster says another."""
_NOBODYS = 256
"""Sessions have indexes that are no multiples of 256, so this address is never one's."""


class PeerError(ValueError):
    """A Session that cannot be a peer; the text says why."""


@dataclass(frozen=True, slots=True)
class TunnelPeer:
    """Who may send from which addresses: `100.65.0.7/32`, `fdee:…/128`."""

    public_key: bytes
    allowed_ips: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ranges:
    """The private network: ranges of Services and of Sessions by WireGuard, IPv4 first."""

    services: tuple[str, ...]
    sessions: tuple[str, ...]
    mtu: int = _MTU

    def link_plan(self, *, offload: bool) -> LinkPlan:
        """The private namespace: every Service's address is its own, Sessions are behind the TUN
        device, and nothing else is reachable.
        """
        return LinkPlan(
            mtu=self.mtu,
            local_routes=self.services,
            tun_routes=self.sessions,
            offload=offload,
            firewall=FirewallPlan(peers=self.sessions, own=self.services, listed=True),
        )

    def probe(self) -> tuple[str, str]:
        """An address of a Service and one of a Session that nobody has, in one family."""
        own, other = (ipaddress.ip_network(nets[0]) for nets in (self.services, self.sessions))
        return str(own.network_address + 1), str(other.network_address + _NOBODYS)


def ranges_of(config: core.ClusterConfig) -> Ranges | None:
    """The ranges that a ClusterConfig holds; None while it has no network.

    Raises:
        PeerError: they are no networks.
    """
    status = config.status
    network, mode = status.network, status.network_config.mode
    families = [
        *(["v4"] if mode != _MODES.V6_ONLY else []),
        *(["v6"] if mode != _MODES.V4_ONLY else []),
    ]
    services = tuple(getattr(network.service_subnet, family) for family in families)
    sessions = tuple(getattr(network.wg_conn_subnet, family) for family in families)
    if not all((*services, *sessions)):
        return None
    try:
        for text in (*services, *sessions):
            ipaddress.ip_network(text)
    except ValueError as error:
        raise PeerError(f"the Cluster's network: {error}") from error
    return Ranges(services, sessions, status.network_config.wireguard.mtu or _MTU)


def peer_of(session: core.Session, ranges: Ranges) -> TunnelPeer:
    """The peer that a connected Session is.

    Raises:
        PeerError: its key or an address cannot be.
    """
    connection = session.status.connection
    key = connection.x25519_public_key
    if len(key) != _KEY:
        raise PeerError(f"a key of {len(key)} bytes")
    v4, v6 = connection.l3_mode != _L3.V6, connection.l3_mode != _L3.V4
    allowed = [text for given in connection.addresses for text in _texts(given, v4=v4, v6=v6)]
    checked = tuple(str(_checked(text, ranges)) for text in allowed)
    kept = tuple(text for text in checked if _is_used(text, ranges))
    if not kept:
        raise PeerError("no address")
    return TunnelPeer(key, kept)


def _texts(given: meta.DualStackNetwork, *, v4: bool, v6: bool) -> list[str]:
    return [text for text, wanted in ((given.v4, v4), (given.v6, v6)) if text and wanted]


def _is_used(text: str, ranges: Ranges) -> bool:
    """Whether the Cluster uses the address's family."""
    return any((":" in text) == (":" in network) for network in ranges.sessions)


def _checked(text: str, ranges: Ranges) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        network = ipaddress.ip_network(text)
    except ValueError as error:
        raise PeerError(str(error)) from error
    if network.prefixlen != network.max_prefixlen:
        raise PeerError(f"{text} is more than one address")
    for other in map(ipaddress.ip_network, ranges.sessions):
        if other.version == network.version and network.network_address not in other:
            raise PeerError(f"{text} is not of {other}")
    return network
