"""Sockets of the private network: their options, and UDP sockets of one flow.

Every address of a local route is this host's own, so that binding to one needs no privilege; IPv6
wants to be told so by IPV6_FREEBIND (ip(7), ipv6(7)).
"""

from __future__ import annotations

import ctypes
import socket
import struct
from typing import Literal

Kind = Literal["tcp", "udp"]
BACKLOG = 1024
_TYPES = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
_IP_FREEBIND = 15
_IP_BIND_ADDRESS_NO_PORT = 24
_IPV6_FREEBIND = 78
_IPV6_RECVPKTINFO = 49
_IP_PKTINFO = 8
_SO_ATTACH_FILTER = 26
_SO_DETACH_FILTER = 27
_NOTHING = struct.pack("=HBBI", 0x06, 0, 0, 0)  # classic BPF: return 0 bytes of each packet


def unconnected(kind: Kind, family: int) -> socket.socket:
    """A socket that may bind to any address of a local route, and then connect."""
    made = socket.socket(family, _TYPES[kind] | socket.SOCK_NONBLOCK)
    try:
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            made.setsockopt(socket.IPPROTO_IPV6, _IPV6_FREEBIND, 1)
        else:
            made.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
        if kind == "tcp":  # so that the port it gets does not keep anybody from listening there
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # The port is chosen on connecting, by all four parts: 28,000 of them are then no limit.
        made.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
    except BaseException:
        made.close()
        raise
    return made


def listening(kind: Kind, family: int, port: int) -> socket.socket:
    """A socket for one port of every address of a family.

    UDP sockets tell each datagram's destination by IP_PKTINFO or IPV6_PKTINFO.

    Raises:
        OSError: EADDRINUSE if there is another.
    """
    made = socket.socket(family, _TYPES[kind] | socket.SOCK_NONBLOCK)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            made.setsockopt(socket.IPPROTO_IPV6, _IPV6_FREEBIND, 1)
        if kind == "udp" and family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVPKTINFO, 1)
        elif kind == "udp":
            made.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        made.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", port))  # noqa: S104
        if kind == "tcp":
            made.listen(BACKLOG)
    except BaseException:
        made.close()
        raise
    return made


def dedicate(made: socket.socket, local: tuple[str, int], remote: tuple[str, int]) -> None:
    """Make an unconnected UDP socket that of one flow, beside the one that listens on its port.

    Between binding and connecting, the kernel would give it datagrams of others; a filter drops
    those.

    Raises:
        OSError: an address is not ours, or not reachable.
    """
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 0)
    _drop_everything(made)
    made.bind(local)
    made.connect(remote)
    made.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)


def _drop_everything(made: socket.socket) -> None:
    code = ctypes.create_string_buffer(_NOTHING, len(_NOTHING))
    program = struct.pack("@HP", 1, ctypes.addressof(code))
    made.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
