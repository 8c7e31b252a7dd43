"""`octeliumctl describe`: a resource for reading, with what belongs to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from octelium.cli.ages import age, clock_time
from octelium.cli.formats import yaml_text
from octelium.cli.inert import inert
from octelium.cli.resources import parse_targets
from octelium.cli.verb import verb
from octelium.cli.words import KIND_AND_NAMES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from octelium.cli.invocation import Invocation
    from octelium.schema.kinds import Kind

_WIDTH = 14
_LIST = 5
_REFERENCE = frozenset({"apiVersion", "kind", "uid", "name", "resourceVersion"})


@verb(
    example="""
    octeliumctl describe service wiki
    octeliumctl describe user/alice
    """
)
@click.argument("words", metavar="KIND NAME...", nargs=-1, required=True, type=KIND_AND_NAMES)
def describe(invocation: Invocation, words: tuple[str, ...]) -> None:
    """Show a resource in sections, with what it uses and what uses it.

    For people; scripts use `get -o json`.
    """
    from octelium.cli.containers import container_lines
    from octelium.client.containers import states_of
    from octelium.client.relations import Neighbourhood

    kind, names = parse_targets(words)
    if kind.singleton:
        names = names or ["default"]
    if not names:
        raise click.UsageError(f"Name one of the {kind.plural}.")
    client = invocation.client
    for index, name in enumerate(names):
        item = client.resources.get(kind, name)
        around = Neighbourhood(client.resources, client.domain)
        relations, now = around.of(kind, item), invocation.now()
        told: list[str] = []
        if kind.name == "Service":
            reply = states_of(client.api.ext, item, around.hidden)
            told = (
                [] if reply is None else [line.text for line in container_lines(reply, now, item)]
            )
        if index:
            invocation.terminal.show("")
        invocation.terminal.show("\n".join(description(kind, item, relations, now, told)))
        if around.hidden:
            hidden = ", ".join(dict.fromkeys(around.hidden))
            invocation.terminal.note(f"Left out, since you may not list them: {hidden}.")


def description(
    kind: Kind,
    item: Any,
    relations: Sequence[tuple[str, list[str]]],
    now: float,
    containers: Sequence[str] = (),
) -> list[str]:
    """The lines of a resource for reading.

    `relations` is what belongs to it, by label, `containers` the section on those of a Service.
    """
    return [
        *_head(kind, item, now),
        *_section("Spec", item.spec),
        *_section("Status", item.status),
        *containers,
        *_related(relations),
    ]


def _head(kind: Kind, item: Any, now: float) -> list[str]:
    metadata = item.metadata
    rows = [("Name", metadata.name), ("Kind", kind.name), ("UID", metadata.uid)]
    rows += [("Display name", metadata.display_name), ("Description", metadata.description)]
    rows.append(("Created", _when(metadata.created_at, now)))
    rows.append(("Changed", _when(metadata.updated_at, now)))
    if metadata.actor_ref.name:
        rows.append(("By", f"Session {metadata.actor_ref.name}, {metadata.actor_operation}"))
    for label, mapping in (("Labels", metadata.labels), ("Annotations", metadata.annotations)):
        rows.append((label, ", ".join(f"{key}={mapping[key]}" for key in sorted(mapping))))
    rows.append(("Tags", ", ".join(metadata.tags)))
    flags = [("is_system", "made by the Cluster"), ("is_user_hidden", "hidden from users")]
    rows.append(("Notes", ", ".join(text for field, text in flags if getattr(metadata, field))))
    return [f"{label + ':':{_WIDTH}} {inert(text)}" for label, text in rows if text]


def _when(instant: Any, now: float) -> str:
    if not instant.seconds:
        return ""
    return f"{clock_time(instant)} ({age(instant, now)} ago)"


def _section(title: str, message: Any) -> list[str]:
    from octelium.schema.jsonform import to_json

    value = _short(to_json(message))
    if not value:
        return []
    return ["", f"{title}:", *(f"  {line}" for line in yaml_text(value).splitlines())]


def _short(value: Any) -> Any:
    """The same with the name in place of each ObjectReference."""
    if isinstance(value, list):
        return [_short(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.keys() <= _REFERENCE and "name" in value and "kind" in value:
        return value["name"]
    return {key: _short(item) for key, item in value.items()}


def _related(relations: Sequence[tuple[str, list[str]]]) -> list[str]:
    if not relations:
        return []
    lines = ["", "Related:"]
    widest = max(len(label) for label, _ in relations) + 1
    for label, names in relations:
        if len(names) <= _LIST:
            lines.append(f"  {label + ':':{widest}}  {inert(', '.join(names))}")
        else:
            lines.append(f"  {label} ({len(names)}):")
            lines += [f"    {inert(name)}" for name in names]
    return lines
