"""Which names are a private network's own."""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_LOCAL = "local."


def private_suffixes(domains: Iterable[str], zones: Iterable[str] = ()) -> tuple[str, ...]:
    """The suffixes whose names only the Cluster is asked for, without a dot at the end.

    Args:
        domains: the Cluster's own, such as `local.example.com`, of which `example.com.local` is
            another spelling.
        zones: further ones that were declared.
    """
    found = []
    for domain in map(_plain, domains):
        found.append(domain)
        if domain.startswith(_LOCAL):
            found.append(f"{domain.removeprefix(_LOCAL)}.local")
    if found:
        found.append("local")
    return tuple(dict.fromkeys([*found, *filter(None, map(_plain, zones))]))


def reverse_zones(ranges: Iterable[str]) -> tuple[str, ...]:
    """The zones in which addresses of some ranges, such as `100.64.0.0/16`, have their names.

    They are cut at octets and at hexadecimal digits (RFC 1035 section 3.5, RFC 3596 section 2.5),
    so that a range may have several. Raises ValueError.
    """
    found = []
    for network in map(ip_network, ranges):
        bits, top = (8, "in-addr.arpa") if network.version == 4 else (4, "ip6.arpa")
        count = -(-network.prefixlen // bits)
        for part in network.subnets(new_prefix=count * bits):
            labels = part.network_address.reverse_pointer.split(".")[:-2]
            found.append(".".join([*labels[len(labels) - count :], top]))
    return tuple(found)


def is_under(name: str, suffixes: Iterable[str]) -> bool:
    """Whether a name, of any case, is one of the suffixes or under one."""
    lower = "." + _plain(name)
    return any(lower.endswith(f".{suffix}") for suffix in suffixes)


def is_searched(name: str, suffixes: Iterable[str]) -> bool:
    """Whether a name is a public one of the Cluster with its search domain behind it.

    Such as `octelium-api.example.com.local.example.com`, which no Service is called: programs ask
    for those where a public name has no address of some family (resolv.conf(5), `search`).
    """
    domains = (each.removeprefix(_LOCAL) for each in suffixes if each.startswith(_LOCAL))
    return is_under(name, [f"{each}.{_LOCAL}{each}" for each in domains if "." in each])


def _plain(name: str) -> str:
    return name.strip().lower().strip(".")
