"""Ways to a link process that are no files: who holds one may ask for what is its role's, no more.

A door is a pair of connected sockets. Whoever wants to talk sends one end of a channel of its own
through the outer end (unix(7), SCM_RIGHTS), and the link process takes it from the inner one. Both
ends are kept by who starts the processes, so that channels wait while one is replaced.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from octelium.tunnel.link.protocol import ProtocolError, receive

if TYPE_CHECKING:
    from collections.abc import Mapping

    from octelium.tunnel.link.protocol import Request

ROLES: Final[Mapping[str, frozenset[str]]] = {
    "control": frozenset({"configure", "status"}),
    "gateway": frozenset({"tun", "sockets", "status"}),
    "worker": frozenset({"listen", "adopt", "release", "sockets", "status"}),
}
"""Role → what it may ask. A gateway gets sockets of UDP alone."""
_KNOCK: Final = b"channel"


@dataclass(frozen=True, slots=True)
class Door:
    """A way for one role. `close` both ends."""

    role: str
    inner: socket.socket
    outer: socket.socket

    def close(self) -> None:
        """Let go of it."""
        self.inner.close()
        self.outer.close()


class RoleError(Exception):
    """A request that is not a role's; the text says which."""


def make(role: str) -> Door:
    """A door. Raises OSError."""
    inner, outer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
    return Door(role, inner, outer)


def knock(outer: socket.socket) -> socket.socket:
    """A channel to the link process, which has it as soon as there is one.

    Raises:
        OSError: BlockingIOError if too many wait.
    """
    mine, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
    try:
        socket.send_fds(outer, [_KNOCK], [other.fileno()], socket.MSG_NOSIGNAL)
    except BaseException:
        mine.close()
        raise
    finally:
        other.close()
    return mine


def answer(inner: socket.socket) -> socket.socket:
    """The next channel.

    Raises:
        ProtocolError: what came is none.
        OSError: BlockingIOError if none waits.
    """
    data, descriptors = receive(inner)
    try:
        if data != _KNOCK or len(descriptors) != 1:
            raise ProtocolError(f"{len(descriptors)} descriptors and {len(data)} bytes at a door")
        try:
            channel = socket.socket(fileno=os.dup(descriptors[0]))
        except OSError as error:
            raise ProtocolError(f"no channel: {error.strerror}") from error
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
    if (channel.family, channel.type) != (socket.AF_UNIX, socket.SOCK_SEQPACKET):
        channel.close()
        raise ProtocolError("no channel: another kind of socket")
    channel.setblocking(False)
    return channel


def check(role: str, request: Request) -> None:
    """Refuse what is not a role's. Raises RoleError."""
    what = f"{request.do} {request.kind}" if request.do == "sockets" else request.do
    if request.do not in ROLES[role] or (role == "gateway" and what == "sockets tcp"):
        raise RoleError(f"{what}: not for a {role}")
