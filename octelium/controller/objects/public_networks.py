"""The networks that a container may reach: public addresses, and nothing else.

What is not public is listed in the IANA registries of special-purpose addresses for IPv4 and IPv6
(RFC 6890). Of IPv6 only 2000::/3 is given out as public at all (RFC 4291, section 2.4): local,
link-local, multicast and mapped addresses lie outside. Addresses that carry one of IPv4 are taken
for that one: those of 64:ff9b::/96 (RFC 6052) as far as it is public; 6to4 and Teredo are left out.

Clouds answer machines at addresses of their own, among them with credentials: those of most are
link-local (169.254.169.254) or private (100.100.100.200, fd00:ec2::254, 192.0.0.192). The one of
Azure, 168.63.129.16, is public by its number and is left out by name (Azure, "What is IP address
168.63.129.16?").
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    collapse_addresses,
    ip_network,
)
from typing import Final, NamedTuple, TypeVar

Network = IPv4Network | IPv6Network
N = TypeVar("N", IPv4Network, IPv6Network)

_V4: Final = IPv4Network("0.0.0.0/0")
_V6: Final = IPv6Network("2000::/3")
_NAT64: Final = IPv6Network("64:ff9b::/96")

_SPECIAL_V4: Final = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
        "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16",
        "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
        "168.63.129.16/32",
    )
)  # fmt: skip
_SPECIAL_V6: Final = tuple(
    IPv6Network(text) for text in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)


class Block(NamedTuple):
    """A network without some networks within it."""

    cidr: Network
    without: tuple[Network, ...]

    def holds(self, address: IPv4Address | IPv6Address) -> bool:
        """Whether an address lies in it."""
        return address in self.cidr and not any(address in network for network in self.without)


@lru_cache(maxsize=8)
def public_networks(refused: tuple[str, ...]) -> tuple[Block, ...]:
    """What is public, without `refused`, which are addresses or networks in CIDR notation.

    Raises:
        ValueError: one of them is neither.
    """
    further = [ip_network(text, strict=False) for text in refused]
    v4 = [*_SPECIAL_V4, *(one for one in further if isinstance(one, IPv4Network))]
    v6 = [*_SPECIAL_V6, *(one for one in further if isinstance(one, IPv6Network))]
    v6.extend(_in_nat64(one) for one in v4)
    blocks = (_without(_V4, v4), _without(_V6, v6), _without(_NAT64, v6))
    return tuple(block for block in blocks if block is not None)


def _in_nat64(network: IPv4Network) -> IPv6Network:
    address = int(_NAT64.network_address) + int(network.network_address)
    return IPv6Network((address, _NAT64.prefixlen + network.prefixlen))


def _without(block: N, excepted: list[N]) -> Block | None:
    """The block; None if nothing of it is left."""
    if any(block.subnet_of(network) for network in excepted):
        return None
    within = tuple(collapse_addresses(one for one in excepted if one.subnet_of(block)))
    return None if within == (block,) else Block(block, within)
