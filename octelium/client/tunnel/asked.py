"""Whether what a person asked for works: a published Service as this User reaches it, and what a
served one really leads to.
"""

from __future__ import annotations

import asyncio
import os
import re
from typing import TYPE_CHECKING, Final

from octelium.client.tunnel import serving

if TYPE_CHECKING:
    import socket

    from octelium.client.tunnel.destinations import Destination, Dialler
    from octelium.client.tunnel.serving import Hosted

_WAIT: Final = 5.0
"""Seconds for an answer."""
_HELLO: Final = 0.7
"""Seconds in which a connection that is refused has ended."""
_UPSTREAM: Final = 1.0
"""Seconds for a connection within this host's network."""
_LARGEST_HEAD: Final = 32 << 10
_STATUS: Final = re.compile(rb"HTTP/1\.[01] (\d{3})[ \r]")
_OWN: Final = b"\r\nx-octelium-request-id:"
"""A field that only the Cluster's own answers have."""
_REFUSED: Final = frozenset({401, 403})
_ENDS: Final = (
    "it ends connections at once: its Policies refuse you, or its upstream does not answer"
)


async def published_problem(dialler: Dialler, to: Destination, host: str) -> str:
    """Why a Service is of no use to this User; empty if it answers, or is spoken to by datagrams.

    One that speaks HTTP is asked for `/` under the name `host`; of others it is seen whether a
    connection stays.
    """
    if to.is_udp:
        return ""
    try:
        async with asyncio.timeout(_WAIT):
            with await dialler.connect(to) as made:
                return await (_answer(made, host) if to.is_http else _stays(made))
    except TimeoutError:
        return f"it does not answer within {_WAIT:g} s"
    except OSError as error:
        return f"it does not answer: {_said(error)}"


async def served_problem(each: Hosted) -> str:
    """Why a served Service leads nowhere at present; empty if something listens there."""
    if each.kind == "udp":
        return ""
    try:
        async with asyncio.timeout(_UPSTREAM):
            (await serving.connect(each)).close()
    except TimeoutError:
        return f"nothing answers there within {_UPSTREAM:g} s"
    except OSError as error:
        return f"nothing answers there now: {_said(error)}"
    return ""


async def _answer(made: socket.socket, host: str) -> str:
    loop = asyncio.get_running_loop()
    sent = f"GET / HTTP/1.1\r\nHost: {host}\r\nUser-Agent: octelium-connect\r\n"
    await loop.sock_sendall(made, f"{sent}Accept: */*\r\nConnection: close\r\n\r\n".encode("ascii"))
    head = b""
    while b"\r\n\r\n" not in head and len(head) < _LARGEST_HEAD:
        data = await loop.sock_recv(made, 4096)
        if not data:
            break
        head += data
    head = head.partition(b"\r\n\r\n")[0] + b"\r\n"
    if (found := _STATUS.match(head)) is None:
        return "it ends connections without an answer"
    status = int(found[1])
    if _OWN not in head.lower():
        return ""
    if status in _REFUSED:
        return f"its Policies refuse you ({status})"
    return f"its upstream does not answer ({status})" if status >= 500 else ""


async def _stays(made: socket.socket) -> str:
    try:
        async with asyncio.timeout(_HELLO):
            data = await asyncio.get_running_loop().sock_recv(made, 1)
    except TimeoutError:
        return ""
    except OSError:
        data = b""
    return "" if data else _ENDS


def _said(error: OSError) -> str:
    """The system's words: an event loop has its own."""
    return os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
