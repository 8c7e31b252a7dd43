"""What of the name space is the Cluster's: its suffixes and the reverse zones of its addresses.

https://octelium.com/docs/octelium/latest/management/core/service/overview names the private names
of Services.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from octelium.schema.pb import core_v1_pb2 as core

Labels = tuple[bytes, ...]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

LOCAL: Final = b"local"
_REVERSE_4: Final = (b"in-addr", b"arpa")
_REVERSE_6: Final = (b"ip6", b"arpa")
_NIBBLES: Final = 32
_OCTETS: Final = 4


def domain_labels(domain: str) -> Labels:
    """The labels of the Cluster's domain; none while it is not known."""
    return tuple(label.encode() for label in domain.lower().split(".") if label)


def networks_of(status: core.ClusterConfigStatus) -> tuple[Network, ...]:
    """The subnets of Services and Sessions."""
    network = status.network
    found: list[Network] = []
    for part in (network.service_subnet, network.wg_conn_subnet, network.quic_conn_subnet):
        found += [ipaddress.ip_network(text) for text in (part.v4, part.v6) if text]
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Suffixes:
    """The suffixes below which names belong to the Cluster, given its domain.

    `elsewhere` are domains that end in `local` too, of which an administrator has said who knows
    them: `corp.local` is a usual name for a company's own.
    """

    domain: Labels
    elsewhere: frozenset[Labels] = frozenset()

    def split(self, name: Labels) -> tuple[Labels, int] | None:
        """What stands before the Cluster's suffix, and the suffix's number of labels.

        None for a name that has none of them. Public names of the domain belong to the public
        DNS, even if the domain itself ends in `local`.
        """
        domain = self.domain
        if domain:
            for suffix in ((LOCAL, *domain), (*domain, LOCAL)):
                size = len(suffix)
                if name[-size:] == suffix:
                    return name[:-size], size
            if name[-len(domain) :] == domain:
                return None
        if name[-1:] != (LOCAL,):
            return None
        if self.elsewhere and any(name[at:] in self.elsewhere for at in range(len(name))):
            return None
        return name[:-1], 1

    def is_between(self, rest: Labels) -> bool:
        """Whether what stands before `local` is the end of the domain, with names below it.

        Such a name exists without records (RFC 8020): `com.local` above `x.example.com.local`.
        """
        return bool(rest) and self.domain[-len(rest) :] == rest


class ReverseZones:
    """The zones of `in-addr.arpa` and `ip6.arpa` that hold the Cluster's addresses.

    A subnet that does not end at a label has as many zones as it takes.
    """

    def __init__(self, networks: Iterable[Network]) -> None:
        self._zones: set[Labels] = set()
        for network in networks:
            bits = 8 if network.version == 4 else 4
            for part in network.subnets(new_prefix=-(-network.prefixlen // bits) * bits):
                whole = reverse_labels(part.network_address)
                arpa = _OCTETS if network.version == 4 else _NIBBLES
                self._zones.add(whole[arpa - part.prefixlen // bits :])
        self._sizes = sorted({len(zone) for zone in self._zones})

    def zone(self, name: Labels) -> int:
        """The number of labels of the zone that a name is in; 0 if it is in none."""
        for size in self._sizes:
            if name[-size:] in self._zones:
                return size
        return 0


def reverse_labels(address: Address) -> Labels:
    """The labels of an address in the reverse tree (RFC 1035 §3.5, RFC 3596 §2.5)."""
    return tuple(label.encode() for label in address.reverse_pointer.split("."))


def is_reverse_part(name: Labels) -> bool | None:
    """Whether a name of a reverse zone is a part of addresses; None if it is a whole address.

    False for names that are neither.
    """
    is_4 = name[-2:] == _REVERSE_4
    rest = name[:-2]
    if not all(_is_octet(label) if is_4 else _is_nibble(label) for label in rest):
        return False
    most = _OCTETS if is_4 else _NIBBLES
    if len(rest) > most:
        return False
    return None if len(rest) == most else True


def packed_address(name: Labels) -> bytes:
    """The address that a whole name of a reverse zone means, packed."""
    rest = name[-3::-1]
    if name[-2:] == _REVERSE_4:
        return bytes(int(label) for label in rest)
    return bytes.fromhex(b"".join(rest).decode())


def _is_octet(label: bytes) -> bool:
    return label.isdigit() and len(label) <= 3 and int(label) < 256 and label == b"%d" % int(label)


def _is_nibble(label: bytes) -> bool:
    return len(label) == 1 and label in b"0123456789abcdef"
