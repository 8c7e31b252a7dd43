"""`octelium disconnect`: leave the private network."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from octelium.cli.verb import verb

if TYPE_CHECKING:
    from octelium.cli.invocation import Invocation
    from octelium.client.tunnel.control import Place

_PATIENCE: Final = 20.0
_TURN: Final = 0.05


@verb(example="octelium disconnect")
def disconnect(invocation: Invocation) -> None:
    """Leave the private network, wherever this Session is connected.

    Ends an `octelium connect` of this host, in the background or not; one elsewhere is told by the
    Cluster.
    """
    from octelium.client.dns.owners import repair
    from octelium.client.home import state_directory
    from octelium.client.tunnel.control import Place
    from octelium.client.tunnel.running import disconnect as tell

    repair(invocation.terminal.warn)
    client = invocation.client
    directory = state_directory(invocation.flags.get("homedir"), invocation.environ)
    if directory is not None:
        _end(Place(directory, client.domain), invocation)
    tell(client.api.user)
    invocation.terminal.note(f"Disconnected from {client.domain}.")


def _end(place: Place, invocation: Invocation) -> None:
    """End the connection of this host, and wait for that. Raises TunnelError."""
    from octelium.client.tunnel.control import ask
    from octelium.client.tunnel.errors import TunnelError

    told = ask(place, "end")
    deadline = time.monotonic() + _PATIENCE
    while told is not None:
        if time.monotonic() > deadline:
            process = told.get("pid", "unknown")
            raise TunnelError(
                f"`octelium connect` (process {process}) does not end", f"kill {process}"
            )
        invocation.sleep(_TURN)
        told = ask(place, "status")
