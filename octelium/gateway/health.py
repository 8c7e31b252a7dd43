"""Whether traffic flows: a datagram goes to a client of the gateway's own, and comes back.

It goes the way of an answer from a Service, and back that of a client's packet: link process,
private namespace, routes, firewall and TUN device have to be there, and the engine has to read the
device, encrypt, send, receive, decrypt and write.
"""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
import socket
from typing import TYPE_CHECKING, Final, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

_PORT: Final = 9
"""The discard service (RFC 863)."""
_AGAIN: Final = 0.25
"""Seconds after which it is sent again: a datagram may be lost where there are many."""
_SIZE: Final = 16


class Dialler(Protocol):
    """What opens sockets of the private network, as `LinkSockets` does."""

    async def dial(
        self, kind: Literal["udp"], family: int, source: str | None = None, /
    ) -> socket.socket:
        """An unconnected socket. Raises OSError."""


class Answering(Protocol):
    """The client that sends back what it gets, as `Echo`."""

    @property
    def heard(self) -> int:
        """Packets that came."""


class Prober:
    """Sends such datagrams. `addresses` are that of a Service and that of the client.

    `patience` is how many seconds one may take.
    """

    def __init__(
        self,
        dialler: Dialler,
        echo: Answering,
        addresses: tuple[str, str],
        patience: float = 1.0,
    ) -> None:
        self._dialler = dialler
        self._echo = echo
        self._source, self._target = addresses
        self._patience = patience

    async def trouble(self, token: Callable[[int], bytes] = secrets.token_bytes) -> str:
        """Send one; empty if it came back, else what went wrong."""
        family = (
            socket.AF_INET6 if ipaddress.ip_address(self._source).version == 6 else socket.AF_INET
        )
        try:
            async with asyncio.timeout(self._patience):
                made = await self._dialler.dial("udp", family, self._source)
        except TimeoutError:
            return "the link process does not answer"
        except OSError as error:
            return f"no socket of the private network: {error}"
        with made:
            made.setblocking(False)
            heard = self._echo.heard
            try:
                made.connect((self._target, _PORT))
                async with asyncio.timeout(self._patience):
                    await _round(made, token(_SIZE))
            except TimeoutError:
                if self._echo.heard == heard:
                    return "packets to clients do not leave the engine"
                return "packets of clients do not come in by the engine"
            except OSError as error:
                return f"the private network has no way to clients: {error}"
        return ""


async def _round(made: socket.socket, token: bytes) -> None:
    """Send until it comes back. Raises OSError."""
    loop = asyncio.get_running_loop()
    while True:
        made.send(token)
        try:
            async with asyncio.timeout(_AGAIN):
                while await loop.sock_recv(made, _SIZE + 1) != token:
                    pass  # of another time
        except TimeoutError:
            continue
        return
