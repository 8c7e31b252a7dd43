"""`octeliumctl policy who`: which Users may open a Service."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from octelium.cli.policy.accesses import listing_options, show_accesses
from octelium.cli.verb import verb
from octelium.cli.words import resource_name

if TYPE_CHECKING:
    from octelium.cli.invocation import Invocation


@verb(
    example="""
    octeliumctl policy who wiki
    octeliumctl policy who api.prod --verdict allowed,depends -o name
    """
)
@click.argument("service", type=resource_name("service"))
@listing_options
def who(invocation: Invocation, service: str, verdicts: tuple[str, ...], output: str) -> None:
    """Show which Users may open a Service, by which rule.

    allowed: with every request; refused: with none; depends: with requests of which all is true
    that the lines below say (a negation holds too where there is nothing to compare). It is about
    new Sessions, and about those existing ones that have policies of their own.
    """
    from octelium.client.insight import list_access
    from octelium.schema.names import full_service_name

    response = list_access(invocation.client.api.ext, target=full_service_name(service))
    show_accesses(invocation.terminal, response.items, "user", verdicts, output)
    for note in response.notes:
        invocation.terminal.note(note)
