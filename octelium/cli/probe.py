"""`octops probe`: whether the Cluster on this machine serves requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from octelium.cli.cert import data_dir_option
from octelium.cli.formats import json_text, output_option
from octelium.cli.inert import inert
from octelium.cli.verb import verb

if TYPE_CHECKING:
    from octelium.cli.invocation import Invocation


@verb(
    example="""
    octops probe --data-dir /var/lib/octelium
    octops probe demo-nginx --data-dir /var/lib/octelium
    """,
    connects=False,
)
@click.argument("service", required=False, default="")
@output_option("text", "json", default="text")
@data_dir_option
def probe(invocation: Invocation, service: str, output: str, data_dir: str) -> None:
    """Send a real request through the front door, and tell what became of it.

    The request is for the page of SERVICE, or to the API. It takes the way of every client: TLS, a
    token, a decision, the log. Its Session has no rights of its own, and ends with the answer. Run
    it on the Cluster's machine, as the user that `octelium up` runs as. Ends with 1 if the request
    did not succeed.
    """
    from octelium.client.admin import probe as ask

    made = ask(data_dir, service)
    if output == "json":
        found = {"url": made.url, "status": made.status, "milliseconds": made.milliseconds}
        invocation.terminal.show(json_text(found))
        return
    invocation.terminal.show(f"{inert(made.url)} answers {made.status} in {made.milliseconds} ms")
