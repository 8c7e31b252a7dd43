"""`octelium status`: who one is logged in as."""

from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.cli.formats import output_option
from octelium.cli.resources import show_message
from octelium.cli.verb import verb

if TYPE_CHECKING:
    from octelium.cli.invocation import Invocation


@verb(example="octelium status -o json")
@output_option("yaml", "json", default="yaml")
def status(invocation: Invocation, output: str) -> None:
    """Show who one is logged in as, and the Session."""
    from octelium.schema.pb import user_v1_pb2 as user

    reply = invocation.client.api.user.call("GetStatus", user.GetStatusRequest())
    show_message(invocation, reply, output)
