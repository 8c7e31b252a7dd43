"""Links, addresses and routes of the network namespace that the caller is in (rtnetlink(7)).

Our own few messages rather than a library for all of them: the link process and the client start
without the quarter of a second that importing one takes.
"""

from __future__ import annotations

import errno
import socket
import struct
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv6Address,
    ip_address,
    ip_interface,
    ip_network,
)
from typing import TYPE_CHECKING

from octelium.tunnel.link.netlink import (
    CREATE,
    EXCLUSIVE,
    ROUTE,
    Message,
    Netlink,
    attribute,
    attributes,
    nested,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network

    Interface = IPv4Interface | IPv6Interface
    Range = IPv4Network | IPv6Network

_NEWLINK, _NEWADDR, _DELADDR, _GETADDR, _NEWROUTE, _DELROUTE, _GETROUTE = 16, 20, 21, 22, 24, 25, 26
_IFF_UP = 1
_IFLA_MTU = 4
_IFA_ADDRESS, _IFA_LOCAL, _IFA_FLAGS = 1, 2, 8
_IFA_F_NODAD = 0x02
_RTA_DST, _RTA_OIF, _RTA_METRICS, _RTA_MULTIPATH, _RTA_TABLE = 1, 4, 8, 9, 15
_RTAX_LOCK, _RTAX_MTU = 1, 2
_TABLE_MAIN, _TABLE_LOCAL = 254, 255
_UNICAST, _LOCAL = 1, 2
_SCOPE_UNIVERSE, _SCOPE_LINK, _SCOPE_HOST = 0, 253, 254
_RTA_GATEWAY, _RTA_VIA = 5, 18
_PROTOCOL = 111
"""Marks our routes (rtnetlink(7): numbers above RTPROT_STATIC are for administrators)."""
_LINK = struct.Struct("=BxHiII")
_ADDRESS = struct.Struct("=BBBBI")
_ROUTE = struct.Struct("=BBBBBBBBI")
_NUMBER = struct.Struct("=I")


@dataclass(frozen=True, slots=True)
class Route:
    """A route of ours: the range, and the device's index; `local` for AnyIP. With `mtu`, in bytes,
    that is what holds there, whatever else is said (ip-route(8), `mtu lock`).
    """

    range: Range
    device: int
    local: bool
    mtu: int = 0


@dataclass(frozen=True, slots=True)
class Conflict:
    """A range that we want overlaps with where the host already sends packets, or has the next
    hop of a route in it.
    """

    range: str
    route: str
    device: str
    is_hop: bool = False

    @property
    def what(self) -> str:
        """The conflict, for people, without the range."""
        if self.is_hop:
            return f"overlaps with the next hop {self.route} by {self.device}"
        return f"overlaps with the route {self.route} of {self.device}"

    def __str__(self) -> str:
        return f"{self.range} {self.what}"


def set_up(device: str, mtu: int | None = None) -> None:
    """Turn a link on, with an MTU. Raises NetlinkError, OSError."""
    extra = b"" if mtu is None else attribute(_IFLA_MTU, _NUMBER.pack(mtu))
    head = _LINK.pack(socket.AF_UNSPEC, 0, socket.if_nametoindex(device), _IFF_UP, _IFF_UP)
    with Netlink(ROUTE) as netlink:
        netlink.ask(Message(_NEWLINK, head + extra))


def put_addresses(device: str, wanted: Iterable[str]) -> None:
    """Give a device exactly these addresses, like `100.65.0.7/32`. Raises NetlinkError, OSError."""
    index = socket.if_nametoindex(device)
    want = {ip_interface(text) for text in wanted}
    with Netlink(ROUTE) as netlink:
        have = _addresses(netlink, index)
        for interface in have - want:
            netlink.ask(_address(_DELADDR, index, interface))
        for interface in want - have:
            netlink.ask(_address(_NEWADDR, index, interface))


def put_routes(wanted: Iterable[Route], *, devices: set[int] | None = None) -> None:
    """Have exactly these routes of ours: others that we made, on `devices`, are removed.

    Raises:
        NetlinkError: one cannot be; those before it are there.
    """
    want = set(wanted)
    with Netlink(ROUTE) as netlink:
        have = {route for protocol, _, route in _routes(netlink) if protocol == _PROTOCOL}
        for route in have - want:
            if devices is None or route.device in devices:
                netlink.ask(_route(_DELROUTE, route))
        for route in want - have:
            netlink.ask(_route(_NEWROUTE, route))


def routes() -> set[Route]:
    """The routes that we made."""
    with Netlink(ROUTE) as netlink:
        return {route for protocol, _, route in _routes(netlink) if protocol == _PROTOCOL}


def addresses(device: str) -> set[str]:
    """The addresses of a device, link-local ones left out."""
    with Netlink(ROUTE) as netlink:
        return {str(each) for each in _addresses(netlink, socket.if_nametoindex(device))}


def overlapping(ranges: Iterable[str], *, besides: Iterable[str] = ()) -> list[Conflict]:
    """What of `ranges` the routes of this namespace already use, in any table.

    Default routes, or halves of one as VPNs make them, use nothing but their next hops by this
    measure. Nothing is in the way that is of the devices named in `besides`.

    Raises:
        ValueError: one of `ranges` is none.
        NetlinkError, OSError: the routes cannot be read.
    """
    wanted = {text: ip_network(text) for text in ranges}
    left_out = set(besides)
    found: dict[Conflict, None] = {}
    with Netlink(ROUTE) as netlink:
        used = [(route.range, route.device, False) for _, _, route in _routes(netlink)]
        used = [each for each in used if not _is_default(each[0])]
        used += [(ip_network(hop), device, True) for hop, device in _next_hops(netlink)]
        for network, device, is_hop in used:
            for text, each in wanted.items():
                if network.version == each.version and network.overlaps(each):
                    name = _name(device)
                    if name not in left_out:
                        what = str(network.network_address if is_hop else network)
                        found[Conflict(text, what, name, is_hop)] = None
    return list(found)


def _is_default(network: Range) -> bool:
    """Whether a route is for everything, or as good as: IPv6's global addresses are 2000::/3."""
    return network.prefixlen <= (1 if network.version == 4 else 3)


def _name(index: int) -> str:
    """A device's name; routes such as `blackhole` have none, and devices come and go."""
    if not index:
        return "no device"
    try:
        return socket.if_indextoname(index)
    except OSError as error:
        if error.errno not in (errno.ENXIO, errno.ENODEV):
            raise
        return f"device {index}"


def _addresses(netlink: Netlink, index: int) -> set[Interface]:
    found = set()
    for kind, body in netlink.dump(Message(_GETADDR, _ADDRESS.pack(0, 0, 0, 0, 0))):
        _, length, _, _, device = _ADDRESS.unpack_from(body)
        if kind != _NEWADDR or device != index:
            continue
        values = dict(attributes(body[_ADDRESS.size :]))
        address = ip_address(values.get(_IFA_LOCAL) or values[_IFA_ADDRESS])
        if not address.is_link_local:
            found.add(ip_interface((address, length)))
    return found


def _address(kind: int, index: int, interface: Interface) -> Message:
    address = interface.ip
    family = _family(address)
    head = _ADDRESS.pack(family, interface.network.prefixlen, 0, _SCOPE_UNIVERSE, index)
    values = attribute(_IFA_LOCAL, address.packed) + attribute(_IFA_ADDRESS, address.packed)
    if family == socket.AF_INET6:
        # Nobody else can have it, and until the wait is over it could not be used (RFC 4862 5.4).
        values += attribute(_IFA_FLAGS, _NUMBER.pack(_IFA_F_NODAD))
    return Message(kind, head + values, CREATE | EXCLUSIVE if kind == _NEWADDR else 0)


def _routes(netlink: Netlink) -> list[tuple[int, int, Route]]:
    """Protocol, table and route of everything but the kernel's cache; a route of several devices
    is one for each.
    """
    found = []
    for kind, body in netlink.dump(Message(_GETROUTE, _ROUTE.pack(*[0] * 9))):
        family, length, _, _, table, protocol, _, type_, _ = _ROUTE.unpack_from(body)
        if kind != _NEWROUTE or family not in (socket.AF_INET, socket.AF_INET6):
            continue
        values = dict(attributes(body[_ROUTE.size :]))
        zero = bytes(4 if family == socket.AF_INET else 16)
        network = ip_network((values.get(_RTA_DST, zero), length))
        table = _NUMBER.unpack(values[_RTA_TABLE])[0] if _RTA_TABLE in values else table
        for device in _devices(values):
            route = Route(network, device, type_ == _LOCAL, _locked_mtu(values))
            found.append((protocol, table, route))
    return found


def _locked_mtu(values: dict[int, bytes]) -> int:
    metrics = {
        kind: _NUMBER.unpack(value)[0]
        for kind, value in attributes(values.get(_RTA_METRICS, b""))
        if kind in (_RTAX_LOCK, _RTAX_MTU)
    }
    return metrics.get(_RTAX_MTU, 0) if metrics.get(_RTAX_LOCK, 0) & 1 << _RTAX_MTU else 0


def _devices(values: dict[int, bytes]) -> list[int]:
    """The indexes that a route names; 0 if none, as of `blackhole`."""
    return [device for device, _ in _hops(values)] or [0]


def _hops(values: dict[int, bytes]) -> list[tuple[int, dict[int, bytes]]]:
    """The index of each device that a route names, with the attributes of that way."""
    rest = values.get(_RTA_MULTIPATH, b"")
    found = []
    while len(rest) >= 8:  # struct rtnexthop: length, flags, hops, index; and attributes
        length, index = struct.unpack_from("=H2xi", rest)
        length = max(8, length)
        found.append((index, dict(attributes(rest[8:length]))))
        rest = rest[length + (-length % 4) :]
    if _RTA_OIF in values:
        found.append((_NUMBER.unpack(values[_RTA_OIF])[0], values))
    return found


def _next_hops(netlink: Netlink) -> list[tuple[IPv4Address | IPv6Address, int]]:
    """The routers of all routes, each with its device's index."""
    found = []
    for kind, body in netlink.dump(Message(_GETROUTE, _ROUTE.pack(*[0] * 9))):
        if kind != _NEWROUTE or body[0] not in (socket.AF_INET, socket.AF_INET6):
            continue
        values = dict(attributes(body[_ROUTE.size :]))
        for device, own in _hops(values):
            # struct rtvia is the family, 2 bytes, and the address.
            packed = own.get(_RTA_GATEWAY) or own.get(_RTA_VIA, b"")[2:]
            if packed:
                found.append((ip_address(packed), device))
    return found


def _route(kind: int, route: Route) -> Message:
    address = route.range.network_address
    family = _family(address)
    if family == socket.AF_INET6:
        scope = _SCOPE_UNIVERSE
    else:
        scope = _SCOPE_HOST if route.local else _SCOPE_LINK
    head = _ROUTE.pack(
        family,
        route.range.prefixlen,
        0,
        0,
        _TABLE_LOCAL if route.local else _TABLE_MAIN,
        _PROTOCOL,
        scope,
        _LOCAL if route.local else _UNICAST,
        0,
    )
    values = attribute(_RTA_DST, address.packed) + attribute(_RTA_OIF, _NUMBER.pack(route.device))
    if route.mtu:
        locks = attribute(_RTAX_LOCK, _NUMBER.pack(1 << _RTAX_MTU))
        values += nested(_RTA_METRICS, locks, attribute(_RTAX_MTU, _NUMBER.pack(route.mtu)))
    return Message(kind, head + values, CREATE | EXCLUSIVE if kind == _NEWROUTE else 0)


def _family(address: IPv4Address | IPv6Address) -> socket.AddressFamily:
    return socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6
