"""`logout`: the Session ends, and what was remembered of it is forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.cli.verb import verb

if TYPE_CHECKING:
    from octelium.cli.invocation import Invocation


@verb(example="{program} logout --domain example.com")
def logout(invocation: Invocation) -> None:
    """End the Session and forget it.

    It is forgotten here even if the Cluster cannot be told, which gives a warning.
    """
    from octelium.client.errors import ApiError

    client = invocation.client
    invocation.logout_wanted = False
    try:
        if not client.logout():
            invocation.terminal.note(f"Not logged in to {client.domain}.")
            return
    except ApiError as error:
        invocation.terminal.warn(f"the Cluster could not be told: {error}")
    invocation.terminal.note(f"Logged out of {client.domain}.")
