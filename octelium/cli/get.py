"""`octeliumctl get`: resources as a table, JSON or YAML."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from octelium.cli.formats import output_option
from octelium.cli.resources import as_typed, parse_targets, show_list, show_one, show_table
from octelium.cli.verb import verb
from octelium.cli.watched import show_changes
from octelium.cli.words import KIND_AND_NAMES, resource_name

if TYPE_CHECKING:
    from octelium.cli.invocation import Invocation


@verb(
    example="""
    octeliumctl get services
    octeliumctl get svc wiki.default -o json
    octeliumctl get sessions --user alice
    octeliumctl get services --watch
    """
)
@click.argument("words", metavar="KIND [NAME]...", nargs=-1, required=True, type=KIND_AND_NAMES)
@output_option()
@click.option(
    "--user", metavar="NAME", type=resource_name("user"), help="Only what belongs to this User."
)
@click.option(
    "-n",
    "--namespace",
    metavar="NAME",
    type=resource_name("namespace"),
    help="Only Services of this Namespace.",
)
@click.option("--page", type=click.IntRange(1), help="Which page, from 1; without it, all.")
@click.option("--items-per-page", type=click.IntRange(1, 1000), help="Length of a page.")
@click.option("--order-by-name", is_flag=True, help="In the order of names, not of creation.")
@click.option("--order-reverse", is_flag=True, help="The other way round.")
@click.option("-w", "--watch", is_flag=True, help="Go on with what changes, until Ctrl-C.")
def get(
    invocation: Invocation,
    words: tuple[str, ...],
    output: str | None,
    user: str | None,
    namespace: str | None,
    page: int | None,
    items_per_page: int | None,
    order_by_name: bool,
    order_reverse: bool,
    watch: bool,
) -> None:
    """Show resources of one kind, all or by name.

    Kinds, with their short names: service (svc), namespace (ns), user (usr), group (grp), policy
    (pol), secret (sec), config (cfg), credential (cred), identityprovider (idp), session (sess),
    device (dev), authenticator (authn), clusterconfig (cc), region (rgn), gateway (gw). Lists are
    tables by default, a single resource is YAML. With --watch each line or document says what
    happened: LISTED (it is there), ADDED, MODIFIED or DELETED.
    """
    from octelium.client.resources import Page

    kind, names = parse_targets(words)
    filters = {key: value for key, value in (("user", user), ("namespace", namespace)) if value}
    if watch:
        if page is not None or items_per_page is not None or order_by_name or order_reverse:
            raise click.UsageError("--watch shows all, in the order in which it happens.")
        show_changes(invocation, kind, names, filters, output or "table")
        return
    resources = invocation.client.resources
    if kind.singleton:
        names = names or ["default"]
    if names:
        items = [resources.get(kind, name) for name in names]
        chosen = output or ("yaml" if len(items) == 1 else "table")
        if chosen == "table":
            show_table(invocation, kind, items)
        elif len(items) == 1:
            show_one(invocation, kind, items[0], chosen)
        else:
            assert kind.list_message is not None
            listing = kind.list_message(api_version=kind.api, kind=f"{kind.name}List", items=items)
            show_list(invocation, kind, listing, chosen)
        return
    if page is None and items_per_page is None:
        listing = resources.list_whole(
            kind, by_name=order_by_name, reverse=order_reverse, **filters
        )
    else:
        wanted = Page((page or 1) - 1, items_per_page or 0, order_by_name, order_reverse)
        with as_typed(page):
            listing = resources.list_page(kind, wanted, **filters)
        if listing.list_response_meta.has_more:
            invocation.terminal.note(
                f"Shown: {len(listing.items)} of {listing.list_response_meta.total_count}; "
                f"more with --page {(page or 1) + 1}."
            )
    show_list(invocation, kind, listing, output or "table")
