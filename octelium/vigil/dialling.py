"""Connections from this host to upstreams, and what every connection of ours to a peer has."""

from __future__ import annotations

import asyncio
import socket
from typing import Final

KEEPALIVE: Final = 40
"""Seconds without a byte after which a peer is asked whether it still is there, and between two
such questions; three without an answer end the connection (tcp(7))."""
_QUESTIONS: Final = 3
_STEP: Final = 5.0
"""Seconds for one of several addresses of a host, so that others are tried too."""


def prepare(connection: socket.socket) -> None:
    """Send at once, and notice when the peer is gone."""
    connection.setblocking(False)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _QUESTIONS)


async def dial(host: str, port: int, *, limit: float) -> socket.socket:
    """A connection to a host, by whichever of its addresses answers, in `limit` seconds.

    Raises:
        TimeoutError, OSError: there is none.
    """
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(limit):
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        last: OSError = OSError(f"{host} has no address")
        for number, (family, kind, protocol, _, address) in enumerate(found, 1):
            made = socket.socket(family, kind, protocol)
            try:
                prepare(made)
                async with asyncio.timeout(None if number == len(found) else _STEP):
                    await loop.sock_connect(made, address)
            except OSError as error:  # TimeoutError is one
                made.close()
                last = error
            except BaseException:
                made.close()
                raise
            else:
                return made
        raise last


async def associate(host: str, port: int, *, limit: float) -> socket.socket:
    """A UDP socket whose one peer is a host, in `limit` seconds. Raises as `dial`."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(limit):
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    last: OSError = OSError(f"{host} has no address")
    for family, kind, protocol, _, address in found:
        made = socket.socket(family, kind, protocol)
        try:
            made.setblocking(False)
            made.connect(address)
        except OSError as error:
            made.close()
            last = error
        else:
            return made
    raise last
