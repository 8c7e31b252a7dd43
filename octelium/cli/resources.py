"""Resources in the form that `-o` asks for, and resources named on a command line."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from octelium.cli.formats import json_text
from octelium.cli.inert import inert

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from octelium.cli.invocation import Invocation
    from octelium.schema.kinds import Kind


def show_one(invocation: Invocation, kind: Kind, item: Any, output: str) -> None:
    """Write one resource."""
    if output == "table":
        show_table(invocation, kind, [item])
    elif output == "name":
        invocation.terminal.show(short_name(kind, item.metadata.name))
    else:
        show_message(invocation, item, output)


def show_list(invocation: Invocation, kind: Kind, listing: Any, output: str) -> None:
    """Write a List message."""
    if output == "name":
        for item in listing.items:
            invocation.terminal.show(short_name(kind, item.metadata.name))
    elif output != "table":
        show_message(invocation, listing, output)
    elif listing.items:
        show_table(invocation, kind, listing.items)
    else:
        invocation.terminal.note(f"There are no {kind.plural}.")


def show_table(invocation: Invocation, kind: Kind, items: Sequence[Any]) -> None:
    """Write resources of one kind as a table."""
    from octelium.cli.columns import without_empty
    from octelium.cli.table import table

    headers, cells = without_empty(*table_cells(invocation, kind, items))
    if kind.name == "Service":
        _add_containers(invocation, items, headers, cells)
    head, *lines = table(headers, cells).split("\n")
    invocation.terminal.show("\n".join([invocation.terminal.style(head, "bold"), *lines]))


def _add_containers(
    invocation: Invocation, items: Sequence[Any], headers: list[str], cells: list[list[str]]
) -> None:
    """A column on how containers are, where a Service has one; it costs one call more."""
    from octelium.cli.containers import overview
    from octelium.client.containers import states_among

    hidden: list[str] = []
    reply = states_among(invocation.client.api.ext, items, hidden)
    if hidden:
        invocation.terminal.note(f"Left out, since you may not list them: {', '.join(hidden)}.")
    if reply is None:
        return
    states = overview(reply)
    place = headers.index("NAME") + 1
    headers.insert(place, "CONTAINER")
    for row, item in zip(cells, items, strict=True):
        row.insert(place, states.get(item.metadata.name, ""))
    if reply.HasField("silent_since"):
        invocation.terminal.warn(
            "the controller is not connected: states of containers are the last known ones"
        )


def table_cells(
    invocation: Invocation, kind: Kind, items: Sequence[Any]
) -> tuple[list[str], list[list[str]]]:
    """Headers and cells of resources of one kind."""
    from octelium.cli.columns import rows

    headers, cells = rows(kind, items, invocation.now())
    if kind.name == "Service":
        headers += ["URL", "DISPLAYNAME"]
        for row, item in zip(cells, items, strict=True):
            row += [_url(invocation, item), item.metadata.display_name]
    return headers, cells


def _url(invocation: Invocation, service: Any) -> str:
    from octelium.cli.columns import enum_name
    from octelium.cli.urls import service_url

    mode = enum_name(service.spec, "mode")
    return service_url(invocation, service.metadata.name, mode, is_public=service.spec.is_public)


def show_message(invocation: Invocation, message: Any, output: str) -> None:
    """Write any message as `json` or `yaml`."""
    from octelium.schema.documents import dump_yaml
    from octelium.schema.jsonform import to_json

    text = json_text(to_json(message)) if output == "json" else dump_yaml([message])
    invocation.terminal.show(text)


def short_name(kind: Kind, name: str) -> str:
    """How a resource is named on command lines: `service/wiki.default`."""
    return f"{kind.command}/{inert(name)}"


def parse_targets(words: Sequence[str]) -> tuple[Kind, list[str]]:
    """Kind and names out of `KIND [NAME]...` or `KIND/NAME ...`.

    Raises Invalid for an unknown kind, click.UsageError for names of several kinds.
    """
    from octelium.schema.kinds import find_kind

    first, slash, name = words[0].partition("/")
    kind = find_kind(first)
    if not slash:
        return kind, list(words[1:])
    names = [name]
    for word in words[1:]:
        other, slash, name = word.partition("/")
        if not slash or find_kind(other) is not kind:
            raise click.UsageError(f"{word!r} is not of the form {kind.command}/NAME")
        names.append(name)
    return kind, names


@contextmanager
def as_typed(page: int | None) -> Iterator[None]:
    """Name a page that does not exist as the command line did: the API counts from 0.

    Raises ApiError.
    """
    from octelium.client.errors import ApiError

    try:
        yield
    except ApiError as error:
        if error.code != "NOT_FOUND" or page is None:
            raise
        raise ApiError(error.code, f"there is no page {page}", error.method) from error


def require_method(invocation: Invocation, kind: Kind, verb: str, remedy: str = "") -> None:
    """Refuse a verb that the API has no method for. Raises Invalid."""
    from octelium.schema.errors import Invalid

    if not invocation.client.resources.can(kind, verb):
        raise Invalid("", f"a {kind.name} cannot be {verb.lower().rstrip('e')}ed", remedy)
