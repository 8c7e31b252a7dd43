"""`octops built-in`: the objects that this version starts a Cluster with, as YAML."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from octelium.cli.verb import verb

if TYPE_CHECKING:
    from octelium.cli.invocation import Invocation


@verb(
    "built-in",
    example="""
    octops built-in
    octops built-in policy octelium-api-read-only | octeliumctl diff -
    octops built-in policy octelium-api-read-only | octeliumctl apply -
    """,
    connects=False,
)
@click.argument("kind", required=False, default="")
@click.argument("name", required=False, default="")
def built_in(invocation: Invocation, kind: str, name: str) -> None:
    """Show objects as this version ships them: all, those of a KIND, or one.

    Only those that administrators may change. An upgrade leaves one that was edited as it is; this
    shows what it would have become.
    """
    from octelium.cli.formats import yaml_text
    from octelium.client.errors import ClientError
    from octelium.cluster.seeding import shipped_objects
    from octelium.schema.jsonform import to_json
    from octelium.schema.kinds import kind_of

    own = [message for message in shipped_objects() if not message.metadata.is_system]
    found = [
        message
        for message in own
        if kind.lower() in ("", kind_of(message).name.lower())
        and name in ("", message.metadata.name, message.metadata.name.removesuffix(".default"))
    ]
    if not found:
        names = ", ".join(f"{kind_of(each).name} {each.metadata.name}" for each in own)
        raise ClientError(f"there is no built-in {kind} {name}".rstrip(), f"there are: {names}")
    invocation.terminal.show(
        "---\n".join(yaml_text(to_json(message)) + "\n" for message in found).rstrip("\n")
    )
