"""`octelium get`: the Services and Namespaces that a User may see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from octelium.cli.formats import FORMATS, output_option
from octelium.cli.resources import as_typed, show_message
from octelium.cli.table import table
from octelium.cli.verb import verb
from octelium.cli.words import SERVICE
from octelium.schema.names import private_fqdn

if TYPE_CHECKING:
    from octelium.cli.invocation import Invocation

_SERVICE = ("service", "services", "svc")
_NAMESPACE = ("namespace", "namespaces", "ns")
_AS_TABLE = ("table", "wide")


@verb(
    example="""
    octelium get services
    octelium get service wiki -o json
    octelium get namespaces
    """
)
@click.argument("kind", metavar="service|namespace", type=click.Choice([*_SERVICE, *_NAMESPACE]))
@click.argument("name", required=False, type=SERVICE)
@output_option(*FORMATS, "wide")
@click.option("-n", "--namespace", metavar="NAME", help="Only Services of this Namespace.")
@click.option("--page", type=click.IntRange(1), default=1, help="Which page, from 1.")
@click.option("--items-per-page", type=click.IntRange(1, 1000), help="Length of a page.")
@click.option("--order-by-name", is_flag=True, help="In the order of names, not of creation.")
@click.option("--order-reverse", is_flag=True, help="The other way round.")
def get(
    invocation: Invocation,
    kind: str,
    name: str | None,
    output: str | None,
    namespace: str | None,
    page: int,
    items_per_page: int | None,
    order_by_name: bool,
    order_reverse: bool,
) -> None:
    """List the Services and Namespaces to use, or show one Service.

    PRIVATE is the name within the private network, where PORT is (see `octelium connect`); URL is
    for browsers and HTTP clients everywhere, and only public Services have one. `-o wide` adds TLS,
    PUBLIC, ADDRESSES and DESCRIPTION.
    """
    from octelium.client.resources import Page
    from octelium.schema.pb import meta_v1_pb2 as meta
    from octelium.schema.pb import user_v1_pb2 as user

    api = invocation.client.api.user
    common = Page(page - 1, items_per_page or 0, order_by_name, order_reverse).options()
    if kind in _NAMESPACE:
        if name or namespace:
            raise click.UsageError("Namespaces are listed as a whole.")
        with as_typed(page):
            listing = api.call("ListNamespace", user.ListNamespaceOptions(common=common))
        _show(invocation, "namespace", listing, output or "table")
    elif name:
        found = api.call("GetService", meta.GetOptions(name=name))
        if output in (*_AS_TABLE, "name"):
            listing = user.ServiceList(items=[found])
            _show(invocation, "service", listing, output)
        else:
            show_message(invocation, found, output or "yaml")
    else:
        options = user.ListServiceOptions(common=common, namespace=namespace or "")
        with as_typed(page):
            listing = api.call("ListService", options)
        _show(invocation, "service", listing, output or "table")


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
