"""Whether the other end of a tunnel answers now: a question through it.

WireGuard is silent where there is nothing to send, so that a way that is cut looks like one that is
not used; a handshake is only due every two minutes (WireGuard paper, section 6).
"""

from __future__ import annotations

import asyncio
import socket
import time
from ipaddress import ip_network
from typing import TYPE_CHECKING, Final

from octelium.client.tunnel.probe import dns_question
from octelium.client.tunnel.tasks import begin

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.client.tunnel.device import Tunnel

ANSWER: Final = 2.5
"""Seconds for an answer."""
_TURNS: Final = (0.4, 0.8, 1.3)
"""Seconds for each question; they are all of `ANSWER`."""
_PASSIVE: Final = 12.0
"""Seconds where there is nobody to ask: who gets a packet and has nothing to say sends a keepalive
10 s later (section 6.5)."""
_FRESH: Final = 3.0
"""Seconds for which an answer holds."""
_DNS: Final = 53
_DISCARD: Final = 9


class Pulse:
    """Asks a name server of the Cluster; without one, sends a packet that has to be acknowledged.

    Whatever a Gateway says meanwhile is an answer, too. `domain` is the Cluster's.
    """

    def __init__(
        self, tunnel: Tunnel, domain: str, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._tunnel = tunnel
        self._domain = domain
        self._clock = clock
        self._answered_at = float("-inf")
        self._asking: asyncio.Task[bool] | None = None

    async def beat(self) -> bool:
        """Whether there is an answer. Those who call meanwhile share the question."""
        if self._asking is None or self._asking.done():
            self._asking = begin(self._ask(), name="pulse")
        return await asyncio.shield(self._asking)

    async def is_beating(self) -> bool:
        """The same within `ANSWER` seconds, or as it was a moment ago; True if it is not known."""
        if self._clock() - self._answered_at < _FRESH:
            return True
        try:
            async with asyncio.timeout(ANSWER + 0.5):
                return await self.beat()
        except TimeoutError:
            return not self._tunnel.is_silent

    def close(self) -> None:
        """Ask no more."""
        if self._asking is not None:
            self._asking.cancel()

    async def _ask(self) -> bool:
        connected = self._tunnel.connected
        if connected is None:
            return False
        before = self._received()
        turns: tuple[float, ...]
        if connected.dns:
            address, port, turns = connected.dns[0], _DNS, _TURNS
        elif connected.routes:
            network = ip_network(connected.routes[0])
            address, port, turns = str(network[1]), _DISCARD, (_PASSIVE,)
        else:
            return self._tunnel.is_alive()
        question = dns_question(f"local.{self._domain}")
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            with await self._tunnel.side.dial("udp", family) as asking:
                await asyncio.get_running_loop().sock_connect(asking, (address, port))
                for turn in turns:
                    if await self._turn(asking, question, turn) or self._received() != before:
                        self._answered_at = self._clock()
                        return True
        except OSError:  # this host cannot even send
            return False
        return False

    async def _turn(self, asking: socket.socket, question: bytes, seconds: float) -> bool:
        """Ask once. Raises OSError."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(seconds):
                await loop.sock_sendall(asking, question)
                while (await loop.sock_recv(asking, 4096))[:2] != question[:2]:
                    pass
        except TimeoutError:
            return False
        except ConnectionRefusedError:  # by ICMP, from the other end
            return True
        return True

    def _received(self) -> dict[str, int]:
        return {each.gateway: each.received for each in self._tunnel.health()}
