"""Which addresses IdentityProviders may be at.

Providers in private networks are usual; what is never one is the link itself, where platforms
serve credentials of the machine, and this machine, unless an administrator names it.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final, TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address

_METADATA: Final = frozenset(
    map(
        ip_address,
        (
            "169.254.169.254",
            "168.63.129.16",  # Azure
            "100.100.100.200",  # Alibaba Cloud
            "192.0.0.192",  # Oracle Cloud
            "fd00:ec2::254",  # AWS
            "fd20:ce::254",  # Google Cloud
        ),
    )
)
"""Where platforms tell machines their own secrets."""
_THIS_NETWORK: Final = IPv4Network("0.0.0.0/8")
_COMPATIBLE: Final = IPv6Network("::/96")
_NAT64: Final = IPv6Network("64:ff9b::/96")


def innermost(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for, or else itself."""
    if isinstance(address, IPv4Address):
        return address
    inner = address.ipv4_mapped or address.sixtofour
    if inner is None and address in _NAT64:
        inner = IPv4Address(int(address) & 0xFFFFFFFF)
    if inner is None and address in _COMPATIBLE and int(address) > 1:
        inner = IPv4Address(int(address))
    return address if inner is None else inner


def refusal(address: Address, *, loopback: bool) -> str | None:
    """Why nothing may be fetched from an address, or None; `loopback` permits this machine."""
    found = innermost(address)
    if found in _METADATA:
        return "is for machines to learn their own secrets"
    if found.is_link_local:
        return "is local to the link"
    if found.is_loopback:
        return None if loopback else "is this machine"
    unusable = found.is_multicast or found.is_unspecified or found in _THIS_NETWORK
    return "is no address of a server" if unusable else None


def is_loopback_host(host: str) -> bool:
    """Whether a name or address in a URL says by itself that it is this machine."""
    try:
        return innermost(ip_address(host.strip("[]"))).is_loopback
    except ValueError:
        name = host.rstrip(".").lower()
        return name == "localhost" or name.endswith(".localhost")
