"""Answers of other resolvers that point into the private network (DNS rebinding).

Whoever owns a public name could otherwise let pages of that name talk to the Cluster's Services,
with the rights of the Session whose browser shows them.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from octelium.vigil.dns.zones import Address, Labels, Network

_A, _CNAME, _AAAA, _DNAME, _SVCB, _HTTPS = 1, 5, 28, 39, 64, 65
_IPV4_HINT, _IPV6_HINT = 4, 6  # RFC 9460 §14.3.2
_EMBEDDING: Final = (
    (ipaddress.IPv6Network("::ffff:0:0/96"), 12),  # RFC 4291 §2.5.5
    (ipaddress.IPv6Network("::/96"), 12),
    (ipaddress.IPv6Network("64:ff9b::/96"), 12),  # RFC 6052 §2.1
    (ipaddress.IPv6Network("64:ff9b:1::/48"), 12),  # RFC 8215
    (ipaddress.IPv6Network("2002::/16"), 2),  # RFC 3056 §2
)
"""Networks of IPv6 that hold IPv4 addresses, and at which byte."""


class Guard:
    """Tells which records must not come from elsewhere.

    `networks` are the subnets of Services and Sessions; `owns(labels)` whether a name in lower case
    is the Cluster's.
    """

    def __init__(self, networks: Iterable[Network], owns: Callable[[Labels], bool]) -> None:
        self._networks = tuple(networks)
        self._owns = owns

    def refuses(self, kind: int, data: Any) -> bool:
        """Whether a record of a type, with data as dnspython reads it, points into the Cluster."""
        return any(map(self._is_inside, _addresses(kind, data))) or any(
            self._owns(tuple(label.lower() for label in name.labels if label))
            for name in _targets(kind, data)
        )

    def _is_inside(self, address: Address) -> bool:
        return any(
            form in network
            for form in _forms(address)
            for network in self._networks
            if network.version == form.version
        )


def _addresses(kind: int, data: Any) -> Iterator[Address]:
    if kind in (_A, _AAAA):
        yield ipaddress.ip_address(data.address)
    elif kind in (_SVCB, _HTTPS):
        for hint in (_IPV4_HINT, _IPV6_HINT):
            parameter = data.params.get(hint)
            if parameter is not None:
                yield from map(ipaddress.ip_address, parameter.addresses)


def _targets(kind: int, data: Any) -> Iterator[Any]:
    """Names at which a client goes on asking, without the page's name changing."""
    if kind in (_CNAME, _DNAME, _SVCB, _HTTPS):
        yield data.target


def _forms(address: Address) -> Iterator[Address]:
    """An address, and the IPv4 address that it may hold."""
    yield address
    if isinstance(address, ipaddress.IPv6Address):
        for network, at in _EMBEDDING:
            if address in network:
                yield ipaddress.IPv4Address(address.packed[at : at + 4])
