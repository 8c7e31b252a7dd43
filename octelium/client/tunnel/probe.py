"""Shows that traffic flows: a question through the tunnel, and its answer."""

from __future__ import annotations

import asyncio
import errno
import secrets
import socket
import struct
from typing import TYPE_CHECKING, Final

from octelium.client.tunnel.errors import TunnelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from octelium.client.tunnel.destinations import Destination, Dialler
    from octelium.client.tunnel.device import Tunnel

_MOST: Final = 3
"""Services that are tried."""
_DNS: Final = 53
_WAIT: Final = 3.0
_SOA: Final = 6


async def probe(
    tunnel: Tunnel, dialler: Dialler, services: Sequence[Destination], domain: str
) -> str:
    """What answered, for people.

    A Service that refuses a connection has answered, too; so has a name server, whatever it says.

    Raises:
        TunnelError: nothing did.
    """
    asked = []
    for service in services[:_MOST]:
        asked.append(service.name)
        if await _connects(dialler, service):
            return f"Service {service.name}"
    servers = () if tunnel.connected is None else tunnel.connected.dns
    for server in servers:
        asked.append(f"the name server {server}")
        if await _resolves(tunnel, server, f"local.{domain}"):
            return f"the name server {server}"
    if not asked:
        return "the gateway; there is no Service to ask"
    raise TunnelError(
        f"the gateway answers, but nothing behind it does: {', '.join(asked)}",
        "ask who administers the Cluster whether its workers run",
    )


async def _connects(dialler: Dialler, service: Destination) -> bool:
    try:
        async with asyncio.timeout(_WAIT):
            made = await dialler.connect(service)
    except TimeoutError:
        return False
    except OSError as error:
        return error.errno == errno.ECONNREFUSED
    made.close()
    return True


async def _resolves(tunnel: Tunnel, server: str, name: str) -> bool:
    """Whether a name server answers a question by UDP (RFC 1035, section 4)."""
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    loop = asyncio.get_running_loop()
    question = dns_question(name)
    try:
        async with asyncio.timeout(_WAIT):
            with await tunnel.side.dial("udp", family) as asking:
                await loop.sock_connect(asking, (server, _DNS))
                await loop.sock_sendall(asking, question)
                answer = await loop.sock_recv(asking, 4096)
    except (TimeoutError, OSError):
        return False
    return answer[:2] == question[:2]


def dns_question(name: str) -> bytes:
    """A query for the SOA record of a name."""
    head = struct.pack(">HHHHHH", secrets.randbits(16), 0x0100, 1, 0, 0, 0)
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return head + labels + b"\0" + struct.pack(">HH", _SOA, 1)
