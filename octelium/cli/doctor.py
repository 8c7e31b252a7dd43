"""`octelium doctor`: why a Cluster, or a Service of it, cannot be reached from here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from octelium.cli.formats import output_option
from octelium.cli.verb import verb
from octelium.cli.words import SERVICE

if TYPE_CHECKING:
    from typing import Any

    from octelium.cli.invocation import Invocation


@verb(
    example="""
    {program} doctor
    {program} doctor wiki
    {program} doctor wiki -o json
    """
)
@click.argument("service", required=False, default="", type=SERVICE)
@output_option("text", "json", default="text")
def doctor(invocation: Invocation, service: str, output: str) -> int:
    """Find out what keeps this host from the Cluster, or from one of its SERVICEs.

    Each link is tried by real traffic, in order: the login, the Cluster's name, its front door,
    clock and certificate, the Session; on a connected host also the tunnel, its routes, packets
    large and small, names, and the Service. Nothing is changed. The last line names the first link
    that is broken, and what to do. Ends with 1 if one is, with 0 if all that could be checked work.
    """
    from octelium.cli.doctor_report import show
    from octelium.client.doctor.doctor import Doctor
    from octelium.client.home import state_directory
    from octelium.client.tunnel.control import Place, ask

    client = invocation.client
    directory = state_directory(invocation.flags.get("homedir"), invocation.environ)

    def status() -> dict[str, Any] | None:
        if directory is None:
            return None
        return ask(Place(directory, client.domain), "status")

    return show(invocation.terminal, Doctor(client, status, service).examine(), output)
