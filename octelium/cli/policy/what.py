"""`octeliumctl policy what`: which Services a User may open."""

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
    octeliumctl policy what ann
    octeliumctl policy what robot --verdict allowed -o json
    """
)
@click.argument("user", type=resource_name("user"))
@click.option("--system", is_flag=True, help="Show the Cluster's own Services like the others.")
@listing_options
def what(
    invocation: Invocation, user: str, system: bool, verdicts: tuple[str, ...], output: str
) -> None:
    """Show which Services a User may open, by which rule.

    allowed: with every request; refused: with none; depends: with requests of which all is true
    that the lines below say (a negation holds too where there is nothing to compare). It is about
    new Sessions, and about those existing ones that have policies of their own.
    """
    from octelium.client.insight import list_access

    response = list_access(invocation.client.api.ext, user=user)
    show_accesses(
        invocation.terminal, response.items, "service", verdicts, output, briefly=not system
    )
    for note in response.notes:
        invocation.terminal.note(note)
