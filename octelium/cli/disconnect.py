"""`octelium disconnect`: leave the private network."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from octelium.cli.verb import verb

if TYPE_CHECKING:
    from octelium.cli.invocation import Invocation
    from octelium.client.api import Authorized
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
    was_here = directory is not None and _end(Place(directory, client.domain), invocation)
    was_connected = was_here or _is_connected(client.api.user)
    tell(client.api.user)
    how = "Disconnected from" if was_connected else "This Session was not connected to"
    invocation.terminal.note(f"{how} {client.domain}.")


def _is_connected(api: Authorized) -> bool:
    """Whether the Cluster takes the Session for connected, wherever; or does not tell."""
    from octelium.client.errors import ApiError
    from octelium.schema.pb import user_v1_pb2 as user

    try:
        reply = api.call("GetStatus", user.GetStatusRequest())
    except ApiError:  # what counts is said next, and its failure is told
        return True
    return bool(reply.session.status.is_connected)


def _end(place: Place, invocation: Invocation) -> bool:
    """End the connection of this host, and wait for that; whether there was one.

    Raises:
        TunnelError: it does not end.
    """
    from octelium.client.tunnel.control import ask
    from octelium.client.tunnel.errors import TunnelError

    told = ask(place, "end")
    was_here = told is not None
    deadline = time.monotonic() + _PATIENCE
    while told is not None:
        if time.monotonic() > deadline:
            process = told.get("pid", "unknown")
            raise TunnelError(
                f"`octelium connect` (process {process}) does not end", f"kill {process}"
            )
        invocation.sleep(_TURN)
        told = ask(place, "status")
    place.forget()
    return was_here
