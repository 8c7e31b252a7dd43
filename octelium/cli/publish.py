"""`octeliumctl publish`: a local port, or any web application, under a name of the Cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from octelium.cli.resources import short_name
from octelium.cli.verb import verb
from octelium.cli.warned import teller
from octelium.cli.words import each, resource_name

if TYPE_CHECKING:
    from octelium.cli.invocation import Invocation

_SCHEMES = ("http", "https")


@verb(
    example="""
    octeliumctl publish 3000 --name app
    octeliumctl publish http://10.0.0.5:8080 --name wiki --policy staff
    octeliumctl publish 2342 --name photos --served-by homelab
    """
)
@click.argument("upstream", metavar="PORT|URL")
@click.option("--name", metavar="NAME[.NAMESPACE]", required=True, help="What to call it.")
@click.option(
    "--served-by",
    metavar="USER",
    type=resource_name("user"),
    help="The port is on the host where this User runs `octelium connect --serve`.",
)
@click.option(
    "--policy",
    "policies",
    metavar="NAME",
    type=resource_name("policy"),
    multiple=True,
    callback=each,
    help="Attach a Policy.",
)
def publish(
    invocation: Invocation,
    upstream: str,
    name: str,
    served_by: str | None,
    policies: tuple[str, ...],
) -> None:
    """Publish a web application, and show its URL.

    PORT is one of the Cluster's own machine; URL is what that machine can reach. Browsers without a
    Session are led to the login page. Who may open it, its Policies and those of Users and Groups
    say: `octeliumctl grant USER NAME` lets one person in. For other modes than WEB: `octeliumctl
    create service`.
    """
    from octelium.cli.urls import service_url
    from octelium.client.errors import ApiError
    from octelium.schema.kinds import KINDS, new
    from octelium.schema.pb import core_v1_pb2 as core

    kind = KINDS["Service"]
    message = new(kind)
    message.metadata.name = name
    message.spec.mode = core.ServiceSpecMode__.WEB
    message.spec.is_public = True
    message.spec.config.upstream.url = _url(upstream)
    message.spec.config.upstream.user = served_by or ""
    if policies:
        message.spec.authorization.policies.extend(policies)
    tell = teller(invocation.terminal)
    try:
        made = invocation.client.resources.create(kind, message, warned=tell)
    except ApiError as error:
        if error.code == "ALREADY_EXISTS" and not error.remedy:
            url = message.spec.config.upstream.url
            error.remedy = f"to lead it to {url}, set its upstream: octeliumctl edit service {name}"
        raise
    full = made.metadata.name
    invocation.terminal.note(f"{short_name(kind, full)} created")
    invocation.terminal.show(service_url(invocation, full, "WEB", is_public=True))
    if served_by:
        invocation.terminal.note(f"Serve it, as {served_by}: octelium connect --serve {name}")
    if not policies:
        invocation.terminal.note(f"Let somebody in: octeliumctl grant USER {name}")


def _url(text: str) -> str:
    """The upstream's URL. Raises UsageError."""
    if text.isascii() and text.isdigit() and 0 < int(text) < 65536:
        return f"http://127.0.0.1:{int(text)}"
    if urlsplit(text).scheme.lower() not in _SCHEMES:
        raise click.UsageError(
            f"{text!r} is neither a port nor an http or https URL, such as 3000 or "
            "http://10.0.0.5:8080; for other modes: octeliumctl create service."
        )
    return text
