"""Datagrams with the address that they were sent to (IP_PKTINFO, ip(7); RFC 3542, section 6)."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from octelium.replica.addresses import packed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from octelium.replica.addresses import Packed

_IP_PKTINFO: Final = 8
_V4: Final = struct.Struct("=i4s4s")
"""Interface, the local address, the address in the header."""
_V6: Final = struct.Struct("=16si")
LARGEST: Final = 65_535
_ANCILLARY: Final = socket.CMSG_SPACE(_V4.size) + socket.CMSG_SPACE(_V6.size)

Place = tuple[str, int]
"""An address as text, and a port."""


class Datagram(NamedTuple):
    """One datagram, the packed address that it was sent to, and who sent it."""

    data: bytes
    to: Packed
    sender: Place


def receive(listener: socket.socket) -> Datagram | None:
    """The next datagram; None for one that does not tell where it was sent to, or is cut off.

    Raises:
        BlockingIOError: there is none.
        OSError: see recvmsg(2).
    """
    data, ancillary, flags, address = listener.recvmsg(LARGEST, _ANCILLARY, socket.MSG_DONTWAIT)
    to = destination(ancillary)
    if to is None or flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
        return None
    return Datagram(data, to, (address[0].partition("%")[0], address[1]))


def destination(ancillary: Iterable[tuple[int, int, bytes]]) -> Packed | None:
    """The address in the header of a datagram, out of what came with it."""
    for level, kind, value in ancillary:
        if level == socket.IPPROTO_IP and kind == _IP_PKTINFO and len(value) == _V4.size:
            address: bytes = _V4.unpack(value)[2]
            return address
        if level == socket.IPPROTO_IPV6 and kind == socket.IPV6_PKTINFO and len(value) == _V6.size:
            wide: bytes = _V6.unpack(value)[0]
            return wide
    return None


def send(listener: socket.socket, data: bytes, source: Packed, to: Place) -> None:
    """Send from one of the addresses that a socket listens on.

    Raises:
        BlockingIOError: the socket takes no more for now.
        OSError: see sendmsg(2).
    """
    if len(source) == 4:
        info = (socket.IPPROTO_IP, _IP_PKTINFO, _V4.pack(0, source, bytes(4)))
    else:
        info = (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, _V6.pack(source, 0))
    listener.sendmsg([data], [info], socket.MSG_DONTWAIT, to)


def is_address(place: Place) -> bool:
    """Whether a sender's address is one that a Session may have."""
    return packed(place[0]) is not None and 0 < place[1] < 65_536
