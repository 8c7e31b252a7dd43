"""Whether a connection has names looked up, and how."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

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


def host_names(
    tunnel: Tunnel, wanted: Wanted, names: NamesWanted, warn: Callable[[str], None]
) -> NameService:
    """What has names looked up through a tunnel. `warn` takes words for people."""
    # Most connections of containers and CI jobs need none of it.
    from octelium.client.dns.service import HostNames
    from octelium.client.dns.suffixes import reverse_zones

    def is_up() -> bool:
        # Without packets in between there are no handshakes either: a question begins the next.
        return tunnel.is_open and (not wanted.keepalive or tunnel.is_alive())

    def zones() -> tuple[str, ...]:
        routes = () if tunnel.connected is None else tunnel.connected.routes
        return (*names.zones, *reverse_zones(routes))

    return HostNames(
        tunnel.side.dial,
        is_up=is_up,
        zones=zones,
        listen=names.listen,
        in_container=names.in_container,
        warn=warn,
    )
