"""What becomes of the links of the network namespace that the caller is in (rtnetlink(7))."""

from __future__ import annotations

import errno
import socket
import struct
from dataclasses import dataclass

from octelium.tunnel.link.netlink import ROUTE, attributes, split

_NEWLINK = 16
_GROUP = 1
"""RTMGRP_LINK."""
_IFF_UP = 1
_IFLA_MTU = 4
_LINK = struct.Struct("=BxHiII")
_NUMBER = struct.Struct("=I")
_LONGEST = 65536


@dataclass(frozen=True, slots=True)
class LinkEvent:
    """A link was changed, or made, and is so now. `mtu` is in bytes, 0 if it was not told."""

    is_up: bool
    mtu: int


class LinkEvents:
    """Hears of changes from its making on, to be waited for by `fileno`. `close` it.

    Raises:
        OSError: the kernel does not tell.
    """

    def __init__(self) -> None:
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        self._socket = socket.socket(socket.AF_NETLINK, kind, ROUTE)
        try:
            self._socket.bind((0, _GROUP))
        except BaseException:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """For a selector."""
        return self._socket.fileno()

    def close(self) -> None:
        """Hear no more."""
        self._socket.close()

    def take(self) -> dict[int, LinkEvent] | None:
        """The newest of each link's events, by its index; None if some were lost (netlink(7))."""
        found: dict[int, LinkEvent] = {}
        lost = False
        while True:
            try:
                data = self._socket.recv(_LONGEST)
            except BlockingIOError:
                return None if lost else found
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                lost = True
                continue
            for kind, _, body in split(data):
                if kind == _NEWLINK:
                    _, _, index, flags, _ = _LINK.unpack_from(body)
                    values = dict(attributes(body[_LINK.size :]))
                    mtu = _NUMBER.unpack(values.get(_IFLA_MTU, bytes(4)))[0]
                    found[index] = LinkEvent(bool(flags & _IFF_UP), mtu)
