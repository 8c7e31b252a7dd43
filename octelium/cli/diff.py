"""`octeliumctl diff`: what apply would change, line by line."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

import click

from octelium.cli import exits
from octelium.cli.apply import read_selection, selection_options
from octelium.cli.failure import EXPECTED, Failed, report
from octelium.cli.formats import yaml_text
from octelium.cli.inert import inert
from octelium.cli.policy.preview import fetch_preview, logged_option, show_preview
from octelium.cli.verb import verb

if TYPE_CHECKING:
    from collections.abc import Iterator

    from octelium.cli.invocation import Invocation
    from octelium.cli.terminal import Terminal
    from octelium.schema.pb import ext_v1_pb2 as ext

_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


@verb(
    example="""
    octeliumctl diff cluster/
    octeliumctl diff --prune --include Service services.yaml
    octeliumctl diff --access cluster/
    """
)
@selection_options
@click.option("--context", "lines", type=click.IntRange(0), default=3, help="Lines around.")
@click.option("--access", is_flag=True, help="Show too who could do more or less than before.")
@logged_option
def diff(
    invocation: Invocation,
    paths: tuple[str, ...],
    files: tuple[str, ...],
    prune: bool,
    prune_builtin: bool,
    allow_empty: bool,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    include_secret: bool,
    strict: bool,
    lines: int,
    access: bool,
    logged: int,
) -> int:
    """Show what `apply` with the same arguments would change.

    Exit code 0: nothing; 1: there are differences; 3: something is wrong with the files, the
    connection or the permissions. Data of Secrets and Configs is never shown, only that it
    differs.

    --access shows too which Users could open which Services, and which of the newest logged
    requests would be decided otherwise, and by which rule.
    """
    from octelium.cli.applying import carry_out, changed
    from octelium.cli.selection import select

    try:
        chosen, pruned = read_selection(
            invocation,
            (*paths, *files),
            select(include, exclude, secrets=include_secret),
            prune=prune,
            prune_builtin=prune_builtin,
            allow_empty=allow_empty,
        )
        outcome = carry_out(
            invocation, chosen, pruned, dry_run=True, strict=strict, prune_builtin=prune_builtin
        )
        preview = (
            fetch_preview(invocation, chosen, pruned, logged, prune_builtin=prune_builtin)
            if access
            else None
        )
    except EXPECTED as error:
        report(error, invocation.terminal)
        raise Failed(exits.UNKNOWN) from error
    different = [operation for operation in outcome.operations if changed(operation)]
    for operation in different:
        _show(invocation.terminal, operation, lines)
    if preview is not None:
        if different:
            invocation.terminal.show("")
        show_preview(invocation.terminal, preview)
    return exits.DIFFERENT if different else exits.OK


def _show(terminal: Terminal, operation: ext.AppliedOperation, context: int) -> None:
    for line in difference(operation, context):
        terminal.show(_coloured(terminal, line))


def difference(operation: ext.AppliedOperation, context: int = 3) -> Iterator[str]:
    """What an operation of a dry run changes, as the lines of a unified diff; not inert.

    Of data it is only told that it differs.
    """
    name = f"{operation.kind.lower()}/{operation.name}"
    before, after = _lines(operation, "before"), _lines(operation, "after")
    old = f"cluster/{name}" if before else "/dev/null"
    new = f"files/{name}" if after else "/dev/null"
    yield from difflib.unified_diff(before, after, old, new, lineterm="", n=context)
    if "data" in operation.changed:
        yield f"@ {name}: data differs, not shown"


def _lines(operation: ext.AppliedOperation, field: Any) -> list[str]:
    from octelium.cli.applying import plain

    if not operation.HasField(field):
        return []
    return yaml_text(_ordered(plain(getattr(operation, field)))).splitlines()


def _ordered(value: Any) -> Any:
    """A resource with its parts in the usual order, which a Struct does not keep."""
    first = ("apiVersion", "kind", "metadata", "spec")
    rest = sorted(key for key in value if key not in first)
    keys = [*(key for key in first if key in value), *rest]
    return {key: _sorted(value[key]) for key in keys}


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: (key != "name", key))
        return {key: _sorted(value[key]) for key in keys}
    if isinstance(value, list):
        return [_sorted(item) for item in value]
    return value


def _coloured(terminal: Terminal, line: str) -> str:
    text = inert(line)
    bold = line.startswith(("+++", "---"))
    colour = "bold" if bold else _COLOURS.get(line[:1])
    return terminal.style(text, colour) if colour else text
