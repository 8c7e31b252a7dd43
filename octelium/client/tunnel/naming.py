"""Whether a connection has names looked up, and how."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from octelium.client.dns.wanted import NamesWanted
    from octelium.client.tunnel.device import Tunnel
    from octelium.client.tunnel.names import NameService
    from octelium.client.tunnel.side import Side
    from octelium.client.tunnel.wanted import Wanted

_AS_BEFORE: Final = (
    "names are looked up as before (--no-dns); Services are reached by address, or by -p"
)
_NOTHING: Final = "nothing of this host changes; Services are reached by the ports that -p gives"


def unnamed(wanted: Wanted, names: NamesWanted, side: Side) -> str | None:
    """What is said where no names are looked up through the tunnel; None if they are."""
    if names.listen is not None:
        return None
    if not side.is_of_host:
        return _NOTHING
    return _AS_BEFORE if wanted.no_dns else None


class TunnelNames:
    """A `NameService` that asks through a tunnel. `warn` takes words for people.

    What it needs is loaded at the first start, while the tunnel begins.
    """

    def __init__(
        self, tunnel: Tunnel, wanted: Wanted, names: NamesWanted, warn: Callable[[str], None]
    ) -> None:
        self._tunnel = tunnel
        self._keepalive = wanted.keepalive
        self._wanted = names
        self._warn = warn
        self._names: NameService | None = None

    async def start(self, device: str, servers: Sequence[str], domains: Sequence[str]) -> str:
        """Begin, or go on with other servers."""
        if self._names is None:
            self._names = await asyncio.to_thread(self._made)
            if self._wanted.is_open:
                self._warn("whoever can reach the local name server asks for names as you")
        return await self._names.start(device, servers, domains)

    async def stop(self) -> None:
        """Have everything as it was."""
        if self._names is not None:
            await self._names.stop()

    def _made(self) -> NameService:
        from octelium.client.dns.service import HostNames

        return HostNames(
            self._tunnel.side.dial,
            is_up=self._is_up,
            zones=self._zones,
            listen=self._wanted.listen,
            in_container=self._wanted.in_container,
            warn=self._warn,
        )

    def _is_up(self) -> bool:
        if not self._tunnel.is_open or self._tunnel.is_silent:
            return False  # whether it answers again is looked after without us
        # Without packets in between there are no handshakes either: a question begins the next.
        return not self._keepalive or self._tunnel.is_alive()

    def _zones(self) -> tuple[str, ...]:
        from octelium.client.dns.suffixes import reverse_zones

        connected = self._tunnel.connected
        return (*self._wanted.zones, *reverse_zones(() if connected is None else connected.routes))
