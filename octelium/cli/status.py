"""`octelium status`: who one is logged in as."""

from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.cli.formats import output_option
from octelium.cli.verb import verb

if TYPE_CHECKING:
    from octelium.cli.invocation import Invocation


@verb(example="octelium status -o json")
@output_option("yaml", "json", default="yaml")
def status(invocation: Invocation, output: str) -> None:
    """Show who one is logged in as, the Session, and the connection of this host if there is one.

    `connection` tells how it does: since when, the gateway's endpoint and when it answered last,
    bytes both ways, published and served Services.
    """
    from octelium.cli.formats import json_text, yaml_text
    from octelium.client.home import state_directory
    from octelium.client.tunnel.control import Place, ask
    from octelium.schema.jsonform import to_json
    from octelium.schema.pb import user_v1_pb2 as user

    client = invocation.client
    told = to_json(client.api.user.call("GetStatus", user.GetStatusRequest()))
    directory = state_directory(invocation.flags.get("homedir"), invocation.environ)
    if directory is not None and (connection := ask(Place(directory, client.domain), "status")):
        told["connection"] = connection
    invocation.terminal.show(json_text(told) if output == "json" else yaml_text(told))
