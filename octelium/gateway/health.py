"""Whether traffic flows: a datagram goes the way of an answer to a client, as far as the engine.

It is sent from a Service's address to one that no Session ever has, so that link process, private
namespace, routes, firewall and TUN device have to be there, and the engine has to read it and to
find nobody who should get it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import time
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.tunnel.engines.interface import Engine

_COUNTER = "no_route"
_PORT = 9
"""The discard service (RFC 863)."""
_STEP = 0.02


class Dialler(Protocol):
    """What opens sockets of the private network, as `LinkSockets` does."""

    async def dial(
        self, kind: Literal["udp"], family: int, source: str | None = None, /
    ) -> socket.socket:
        """An unconnected socket. Raises OSError."""


class Prober:
    """Sends such datagrams through an engine that counts what has no route.

    `patience` is how many seconds one may take; `sent` how many were counted by the engine.
    """

    def __init__(
        self, dialler: Dialler, engine: Engine, addresses: tuple[str, str], patience: float = 1.0
    ) -> None:
        self._dialler = dialler
        self._engine = engine
        self._source, self._target = addresses
        self._patience = patience
        self.sent = 0

    async def trouble(self, clock: Callable[[], float] = time.monotonic) -> str:
        """Send one; empty if it arrived, else what went wrong."""
        before = self._engine.counters().get(_COUNTER)
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
            try:
                made.connect((self._target, _PORT))
                made.send(b"")
            except OSError as error:
                return f"the private network has no way to clients: {error}"
        if before is None:  # this engine does not count them
            return ""
        deadline = clock() + self._patience
        while self._engine.counters().get(_COUNTER, 0) <= before:
            if clock() > deadline:
                return "packets to clients do not reach the engine"
            await asyncio.sleep(_STEP)
        self.sent += 1
        return ""
