"""Networks in CIDR notation (RFC 4632, RFC 4291)."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any, Final

from octelium.policy.rego.functions.arguments import MAX_ITEMS, text, wrong
from octelium.policy.rego.needed import RegoError
from octelium.policy.rego.values import Array, Boolean, Meter, Object, Set, boolean

if TYPE_CHECKING:
    from octelium.policy.rego.functions.arguments import Functions

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_LONGEST: Final = 64
"""Characters of an address with the bits of its network."""
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _network(given: str) -> _Network:
    if len(given) > _LONGEST:
        raise RegoError(f"{given[:60]!r} is no network in CIDR notation")
    address, slash, bits = given.partition("/")
    if not slash or not bits.isdecimal() or not bits.isascii() or (bits[0] == "0" and bits != "0"):
        raise RegoError(f"{given[:60]!r} is no network in CIDR notation")
    try:
        return _unmapped(ipaddress.ip_network(f"{_bare(address)}/{bits}", strict=False))
    except ValueError:
        raise RegoError(f"{given[:60]!r} is no network in CIDR notation") from None


def _unmapped(network: _Network) -> _Network:
    """An IPv4 network that is written as one of IPv6."""
    if network.version == 6 and network.network_address.ipv4_mapped and network.prefixlen >= 96:
        return ipaddress.IPv4Network(
            (network.network_address.ipv4_mapped, network.prefixlen - 96), strict=False
        )
    return network


def _bare(address: str) -> str:
    if "%" in address:
        raise ValueError("a zone is not allowed")
    return address


def _address(given: str) -> _Address | None:
    if len(given) > _LONGEST:
        return None
    try:
        found = ipaddress.ip_address(_bare(given))
    except ValueError:
        return None
    if found.version == 6 and found.ipv4_mapped:
        return found.ipv4_mapped
    return found


def _within(network: _Network, given: str) -> bool:
    """Whether a network holds an address or another network."""
    address = _address(given)
    if address is not None:
        return address in network
    inner = _network(given)
    return (
        inner.version == network.version
        and inner.network_address in network
        and inner.broadcast_address in network
    )


def _contains(_: Meter, network: Any, what: Any) -> Boolean:
    return boolean(_within(_network(text(network)), text(what, 2)))


def _intersects(_: Meter, left: Any, right: Any) -> Boolean:
    one, other = _network(text(left)), _network(text(right, 2))
    return boolean(one.version == other.version and one.overlaps(other))


def _is_valid(_: Meter, given: Any) -> Boolean:
    try:
        _network(text(given))
    except RegoError:
        return boolean(0)
    return boolean(1)


def _expand(meter: Meter, given: Any) -> Set:
    network = _network(text(given))
    if network.num_addresses > MAX_ITEMS:
        raise RegoError(f"{given} has more than {MAX_ITEMS} addresses")
    meter.charge(network.num_addresses)
    return Set(map(str, network))


def _merge(meter: Meter, given: Any) -> Set:
    """The smallest set of networks that covers all of them."""
    if type(given) is not Array and type(given) is not Set:
        raise wrong(1, "array or set", given)
    meter.charge(20 * len(given))
    found: dict[int, list[Any]] = {4: [], 6: []}
    for item in given:
        address = _address(text(item))
        network = _network(item) if address is None else ipaddress.ip_network(address)
        found[network.version].append(network)
    merged = (network for networks in found.values() for network in _collapsed(networks))
    return Set(map(str, merged))


def _collapsed(networks: list[Any]) -> Any:
    return ipaddress.collapse_addresses(networks)


def _contains_matches(meter: Meter, networks: Any, things: Any) -> Set:
    """Pairs of indices (or keys, or elements of sets) of networks and what they hold."""
    found = Set()
    inner = _entries(meter, things, 2)
    for key, given in _entries(meter, networks, 1):
        network = _network(given)
        meter.charge(8 * (1 + len(inner)))
        for other, thing in inner:
            if _within(network, thing):
                found.add(Array([key, other]))
    return found


def _entries(meter: Meter, value: Any, position: int) -> list[tuple[Any, str]]:
    """What to compare, with what it is known by; an array's first element counts."""
    if type(value) is str:
        return [(value, value)]
    if type(value) is Array:
        pairs = list(enumerate(value))
    elif type(value) is Set:
        pairs = [(item, item) for item in value]
    elif type(value) is Object:
        pairs = list(value.items())
    else:
        raise wrong(position, "string, array, object or set", value)
    meter.charge(len(pairs))
    return [(key, _first(item)) for key, item in pairs]


def _first(item: Any) -> str:
    if type(item) is Array and item:
        item = item[0]
    return text(item)


FUNCTIONS: Final[Functions] = {
    "net.cidr_contains": (_contains, 2),
    "net.cidr_contains_matches": (_contains_matches, 2),
    "net.cidr_expand": (_expand, 1),
    "net.cidr_intersects": (_intersects, 2),
    "net.cidr_is_valid": (_is_valid, 1),
    "net.cidr_merge": (_merge, 1),
}
