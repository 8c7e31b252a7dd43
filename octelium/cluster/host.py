"""What this machine's own network is: addresses to offer to clients, ranges that are in use.

It is only read (rtnetlink(7)).
"""

from __future__ import annotations

import socket
import struct
from ipaddress import ip_address, ip_network

from octelium.apiserver.connect.gateways import Interface
from octelium.tunnel.link.netlink import ROUTE, Message, Netlink, attributes

_NEWADDR, _GETADDR, _NEWROUTE, _GETROUTE = 20, 22, 24, 26
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_RTA_DST, _RTA_OIF = 1, 4
_ADDRESS = struct.Struct("=BBBBI")
_ROUTE = struct.Struct("=BBBBBBBBI")
_FAMILIES = {socket.AF_INET: 4, socket.AF_INET6: 16}
_BALANCED = "kube-ipvs0"
_TEMPORARY = 0x01
"""IFA_F_SECONDARY and IFA_F_TEMPORARY: addresses that are not the interface's first, or that
change (RFC 8981)."""


def interfaces() -> list[Interface]:
    """Every lasting address, and whether its device has a default route.

    Raises:
        OSError: the kernel does not tell.
    """
    with Netlink(ROUTE) as netlink:
        defaults = {device for network, device in _routes(netlink) if network.endswith("/0")}
        found = []
        for kind, body in netlink.dump(Message(_GETADDR, _ADDRESS.pack(0, 0, 0, 0, 0))):
            family, _, flags, _, device = _ADDRESS.unpack_from(body)
            if kind != _NEWADDR or family not in _FAMILIES or flags & _TEMPORARY:
                continue
            values = dict(attributes(body[_ADDRESS.size :]))
            packed = values.get(_IFA_LOCAL) or values[_IFA_ADDRESS]
            found.append(Interface(str(ip_address(packed)), device in defaults))
    return found


def own_addresses() -> frozenset[str]:
    """Every address at which this machine itself answers.

    The addresses of Kubernetes' Services, which kube-proxy has on a device where it balances by
    IPVS, are none.

    Raises:
        OSError: the kernel does not tell.
    """
    found = set()
    balanced = {index for index, name in socket.if_nameindex() if name == _BALANCED}
    with Netlink(ROUTE) as netlink:
        for kind, body in netlink.dump(Message(_GETADDR, _ADDRESS.pack(0, 0, 0, 0, 0))):
            family, _, _, _, device = _ADDRESS.unpack_from(body)
            if kind == _NEWADDR and family in _FAMILIES and device not in balanced:
                values = dict(attributes(body[_ADDRESS.size :]))
                found.add(str(ip_address(values.get(_IFA_LOCAL) or values[_IFA_ADDRESS])))
    return frozenset(found)


def routes() -> list[str]:
    """The destinations of every route, in any table.

    Raises:
        OSError: the kernel does not tell.
    """
    with Netlink(ROUTE) as netlink:
        return [network for network, _ in _routes(netlink)]


def _routes(netlink: Netlink) -> list[tuple[str, int]]:
    """Destination and device, 0 for several or none."""
    found = []
    for kind, body in netlink.dump(Message(_GETROUTE, _ROUTE.pack(*[0] * 9))):
        family, length, *_ = _ROUTE.unpack_from(body)
        if kind != _NEWROUTE or family not in _FAMILIES:
            continue
        values = dict(attributes(body[_ROUTE.size :]))
        network = ip_network((values.get(_RTA_DST, bytes(_FAMILIES[family])), length))
        (device,) = struct.unpack("=I", values.get(_RTA_OIF, bytes(4)))
        found.append((str(network), device))
    return found
