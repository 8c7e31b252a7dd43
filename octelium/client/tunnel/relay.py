"""TCP connections joined: what one side says is told to the other."""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import Final

_CHUNK: Final = 64 << 10
_KEEPALIVE: Final = ((socket.TCP_KEEPIDLE, 60), (socket.TCP_KEEPINTVL, 15), (socket.TCP_KEEPCNT, 4))
"""A peer that vanished without a word is noticed within two minutes (tcp(7))."""


def prepare(connection: socket.socket) -> None:
    """Set a TCP connection up for being joined."""
    connection.setblocking(False)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEPALIVE:
        connection.setsockopt(socket.IPPROTO_TCP, option, value)


async def join(one: socket.socket, other: socket.socket) -> None:
    """Carry bytes both ways until both have ended; each end is told by itself (half-close).

    Raises:
        OSError: one side broke; the other is to be closed, too.
    """
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_carry(one, other))
            group.create_task(_carry(other, one))
    except* OSError as broken:
        raise broken.exceptions[0] from None


async def _carry(source: socket.socket, sink: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    buffer = bytearray(_CHUNK)
    view = memoryview(buffer)
    while count := await loop.sock_recv_into(source, buffer):
        await loop.sock_sendall(sink, view[:count])
    try:
        sink.shutdown(socket.SHUT_WR)
    except OSError as error:
        if error.errno != errno.ENOTCONN:  # it has gone meanwhile; the other way notices
            raise


def reset(connection: socket.socket) -> None:
    """Close so that the peer sees that it did not end well (RFC 9293, section 3.10.7.4)."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    connection.close()
