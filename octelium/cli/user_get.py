"""`octelium get`: the Services and Namespaces that a User may see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from octelium.cli.formats import FORMATS, output_option
from octelium.cli.resources import as_typed, show_message
from octelium.cli.services import NAMESPACE_WORDS, find_service
from octelium.cli.table import table
from octelium.cli.verb import verb
from octelium.cli.words import SERVICE, USER_KIND
from octelium.client.errors import ApiError
from octelium.schema.names import private_fqdn

if TYPE_CHECKING:
    from octelium.cli.invocation import Invocation

_NAMESPACE = NAMESPACE_WORDS
_AS_TABLE = ("table", "wide")
_PAGE = 1000


@verb(
    example="""
    octelium get services
    octelium get service wiki -o json
    octelium get services -n prod -o wide
    octelium get namespaces
    """
)
@click.argument("kind", metavar="[service|namespace]", default="service", type=USER_KIND)
@click.argument("name", required=False, type=SERVICE)
@output_option(*FORMATS, "wide")
@click.option("-n", "--namespace", metavar="NAME", help="Only Services of this Namespace.")
@click.option("--page", type=click.IntRange(1), help="Which page, from 1; without it, all.")
@click.option("--items-per-page", type=click.IntRange(1, 1000), help="Length of a page.")
@click.option("--order-by-name", is_flag=True, help="In the order of names, not of creation.")
@click.option("--order-reverse", is_flag=True, help="The other way round.")
def get(
    invocation: Invocation,
    kind: str,
    name: str | None,
    output: str | None,
    namespace: str | None,
    page: int | None,
    items_per_page: int | None,
    order_by_name: bool,
    order_reverse: bool,
) -> None:
    """List the Services and Namespaces to use, or show one Service by name or address.

    PRIVATE is the name within the private network, where PORT is (see `octelium connect`); URL is
    for browsers and HTTP clients everywhere, and only public Services have one. `-o wide` adds TLS,
    PUBLIC, ADDRESSES and DESCRIPTION.
    """
    from octelium.schema.pb import user_v1_pb2 as user

    is_paged = page is not None or items_per_page is not None
    chosen, slash, rest = kind.partition("/")
    if slash:
        if name:
            raise click.UsageError(f"Name one Service: {rest!r} or {name!r}.")
        kind, name = chosen, rest
    if kind in _NAMESPACE and (name or namespace):
        raise click.UsageError("Namespaces are listed as a whole.")
    if name:
        found = find_service(invocation, name)
        if output in (*_AS_TABLE, "name"):
            _show(invocation, "service", user.ServiceList(items=[found]), output)
        else:
            show_message(invocation, found, output or "yaml")
        return
    order = (order_by_name, order_reverse)
    if kind in _NAMESPACE:
        asked: Any = user.ListNamespaceOptions()
    else:
        asked = user.ListServiceOptions(namespace=namespace or "")
    with as_typed(page):
        listing = _listed(invocation, asked, page or 1, items_per_page, order, whole=not is_paged)
    if listing.list_response_meta.has_more:
        invocation.terminal.note(
            f"Shown: {len(listing.items)} of {listing.list_response_meta.total_count}; "
            f"more with --page {(page or 1) + 1}."
        )
    _show(invocation, "namespace" if kind in _NAMESPACE else "service", listing, output or "table")


def _listed(
    invocation: Invocation,
    asked: Any,
    page: int,
    size: int | None,
    order: tuple[bool, bool],
    *,
    whole: bool,
) -> Any:
    """A page of a list, or all of it in one message. Raises ApiError."""
    from octelium.client.resources import Page

    api = invocation.client.api.user
    method = asked.DESCRIPTOR.name.removesuffix("Options")
    found: Any = None
    while True:
        asked.common.CopyFrom(Page(page - 1, _PAGE if whole else size or 0, *order).options())
        try:
            listing = api.call(method, asked)
        except ApiError as error:
            # The last page has been deleted since the one before it was read.
            if found is None or error.code != "NOT_FOUND":
                raise
            break
        if found is None:
            found = listing
        else:
            found.items.extend(listing.items)
        if not whole:
            return found
        if not (listing.list_response_meta.has_more and listing.items):
            break
        page += 1
    about = found.list_response_meta
    if about.has_more:
        # As one page that holds them all.
        about.has_more = False
        about.items_per_page = len(found.items)
    return found


def _show(invocation: Invocation, kind: str, listing: Any, output: str) -> None:
    terminal = invocation.terminal
    if output == "name":
        for item in listing.items:
            terminal.show(f"{kind}/{item.metadata.name}")
    elif output not in _AS_TABLE:
        show_message(invocation, listing, output)
    elif not listing.items:
        terminal.note(f"There are no {kind}s.")
    else:
        from octelium.cli.columns import without_empty

        headers, more, row = _TABLES[kind]
        if output == "wide":
            headers = headers + more
        cells = [row(invocation, item)[: len(headers)] for item in listing.items]
        head, *lines = table(*without_empty(headers, cells)).split("\n")
        terminal.show("\n".join([terminal.style(head, "bold"), *lines]))


def _service_row(invocation: Invocation, item: Any) -> list[str]:
    from octelium.cli.columns import enum_name, yes
    from octelium.cli.urls import service_url

    spec, name = item.spec, item.metadata.name
    mode = enum_name(spec, "type")
    return [
        name,
        str(spec.port or ""),
        mode,
        private_fqdn(name, invocation.client.domain),
        service_url(invocation, name, mode, is_public=spec.is_public),
        item.metadata.display_name,
        yes(spec.is_tls),
        yes(spec.is_public),
        ",".join(item.status.addresses),
        item.metadata.description,
    ]


def _namespace_row(_invocation: Invocation, item: Any) -> list[str]:
    return [item.metadata.name, item.metadata.display_name, item.metadata.description]


_TABLES = {
    "service": (
        ["NAME", "PORT", "MODE", "PRIVATE", "URL", "DISPLAYNAME"],
        ["TLS", "PUBLIC", "ADDRESSES", "DESCRIPTION"],
        _service_row,
    ),
    "namespace": (["NAME", "DISPLAYNAME", "DESCRIPTION"], [], _namespace_row),
}
"""Columns, those that only `wide` has, and what fills them all."""
