"""`octeliumctl apply`: make the Cluster be as files say."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import click

from octelium.cli.failure import Failed
from octelium.cli.formats import json_text, output_option, yaml_text
from octelium.cli.modes import warn_unserved
from octelium.cli.policy.preview import logged_option
from octelium.cli.verb import verb
from octelium.cli.words import FILE, KIND, each
from octelium.client.errors import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from octelium.cli.invocation import Invocation
    from octelium.cli.selection import Selection
    from octelium.schema.documents import Document
    from octelium.schema.pb import ext_v1_pb2 as ext

_SHOWN = 5
"""Paths in an error."""
_VERBS = {"CREATED": "Created", "UPDATED": "Updated", "DELETED": "Deleted"}
_COLOURS = {"CREATED": "green", "UPDATED": "yellow", "DELETED": "red"}


def selection_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that choose files and kinds, shared with `diff`."""
    decorators = (
        click.argument("paths", metavar="PATH|-...", nargs=-1, type=FILE),
        click.option(
            "-f",
            "--file",
            "files",
            metavar="PATH",
            type=FILE,
            multiple=True,
            help="The same as PATH.",
        ),
        click.option("--prune", is_flag=True, help="Delete what the files do not have."),
        click.option(
            "--prune-builtin",
            is_flag=True,
            help="With --prune: delete also what the Cluster began with.",
        ),
        click.option(
            "--allow-empty", is_flag=True, help="Let --prune delete all, if the files have nothing."
        ),
        click.option(
            "--include",
            metavar="KIND",
            multiple=True,
            type=KIND,
            callback=each,
            help="Only this kind; repeatable.",
        ),
        click.option(
            "--exclude",
            metavar="KIND",
            multiple=True,
            type=KIND,
            callback=each,
            help="Not this kind; repeatable.",
        ),
        click.option("--include-secret", is_flag=True, help="Secrets too."),
        click.option("--strict", is_flag=True, help="Refuse what would only be warned of."),
    )
    for decorate in reversed(decorators):
        function = decorate(function)
    return function


@verb(
    example="""
    octeliumctl apply --include-secret cluster/
    octeliumctl apply --dry-run service.yaml
    octeliumctl apply --preview-access cluster/
    octeliumctl get policies -o yaml | octeliumctl apply -
    """
)
@selection_options
@click.option("--dry-run", is_flag=True, help="Check everything and say what would change.")
@click.option(
    "--preview-access", is_flag=True, help="Show first who could do more or less, and ask."
)
@logged_option
@click.option("-y", "--yes", is_flag=True, help="Do not ask after --preview-access.")
@output_option("table", "json", "yaml", "name", default="table")
def apply(
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
    dry_run: bool,
    preview_access: bool,
    logged: int,
    yes: bool,
    output: str,
) -> None:
    """Make the Cluster be as files say: all of it, or, if anything is wrong, nothing.

    PATH is a file of YAML documents, a directory (with all below it) or `-`. What `get -o yaml` and
    `get -o json` write is accepted too, lists included. Secrets in the files are applied only with
    --include-secret.

    --prune deletes the Policies, IdentityProviders, Namespaces, Groups, Users, Services and
    Credentials that the files do not have (and Secrets with --include-secret); with --include it
    covers the kinds named there. Where the files declare nothing at all, it refuses, unless
    --allow-empty says that this is meant. Your own User and the Credential of your Session stay,
    and so does what the Cluster made at its first start, as long as nobody has edited it, unless
    --prune-builtin is given; a line says what stays.

    In directories, files that end in .yaml, .yml or .json are read; what begins with a dot, and
    tests of Policies (*.test.yaml), are passed over.

    Expressions that are likely wrong (`ctx.user.spec.emial`, a condition that can never be true)
    are warned of; --strict refuses them, and then nothing is done.

    --preview-access shows, before anything is done, which Users could open which Services, and
    which of the newest logged requests would be decided otherwise; then it asks whether to go on.
    It does not ask if access stays as it is, nor with --dry-run; where it would have to ask and
    nobody can answer, --yes is needed.
    """
    from octelium.cli.applying import carry_out, require_complete
    from octelium.cli.policy.preview import fetch_preview
    from octelium.cli.selection import select

    chosen, pruned = read_selection(
        invocation,
        (*paths, *files),
        select(include, exclude, secrets=include_secret),
        prune=prune,
        prune_builtin=prune_builtin,
        allow_empty=allow_empty,
    )
    if preview_access:
        preview = fetch_preview(invocation, chosen, pruned, logged, prune_builtin=prune_builtin)
        _show_and_ask(invocation, preview, output, asks=not (yes or dry_run))
    outcome = carry_out(
        invocation, chosen, pruned, dry_run=dry_run, strict=strict, prune_builtin=prune_builtin
    )
    show_operations(invocation, outcome.operations, output, dry_run=dry_run)
    if not outcome.foreign:
        warn_unserved(invocation, (document.message for document in chosen))
    require_complete(outcome)


def _show_and_ask(
    invocation: Invocation, response: ext.PreviewAccessResponse, output: str, *, asks: bool
) -> None:
    """Show what changes for whom, and ask.

    Raises Failed if that is not wanted, UsageError if nobody can be asked.
    """
    from octelium.cli.policy.preview import (
        ask,
        can_ask,
        changes_access,
        preview_lines,
        show_preview,
    )

    terminal = invocation.terminal
    if output == "table":
        show_preview(terminal, response)
        terminal.show("")
    else:
        terminal.note("\n".join(preview_lines(response, lambda text, *_: text, None)))
    if asks and changes_access(response) and not can_ask():
        raise click.UsageError("Nobody can be asked here: add --yes to apply after the preview.")
    if asks and not ask(response):
        terminal.note("Nothing was applied.")
        raise Failed


def read_selection(
    invocation: Invocation,
    paths: Sequence[str],
    selection: Selection,
    *,
    prune: bool,
    prune_builtin: bool,
    allow_empty: bool,
) -> tuple[list[Document], tuple[str, ...]]:
    """The documents to apply and the kinds to prune; says which documents are left out.

    Raises InvalidDocuments, and PruneError where pruning would delete all that there is.
    """
    from octelium.cli.sources import read_documents

    if not paths:
        raise click.UsageError("Name a file or directory, or `-` for stdin.")
    if prune_builtin and not prune:
        raise click.UsageError("--prune-builtin says what --prune deletes: give both.")
    chosen, left = selection.split(read_documents(paths, may_be_empty=allow_empty))
    _tell_left_out(invocation, left, selection)
    if chosen:
        return chosen, selection.pruned if prune else ()
    where = ", ".join(paths[:_SHOWN]) + (", …" if len(paths) > _SHOWN else "")
    if not prune:
        invocation.terminal.warn(f"there is nothing to apply in {where}")
    elif not allow_empty:
        kinds = ", ".join(selection.pruned) or "nothing"
        raise PruneError(
            f"there is nothing to apply in {where}, so that --prune would delete all of: {kinds}",
            "look at the path and the options; if all of it shall go, add --allow-empty",
        )
    return [], selection.pruned if prune else ()


class PruneError(ClientError):
    """Pruning by files that declare nothing."""


def _tell_left_out(invocation: Invocation, left: Sequence[Document], selection: Selection) -> None:
    for kind, count in Counter(document.kind.name for document in left).items():
        how = " (--include-secret applies them)" if kind == "Secret" else ""
        if kind not in selection.applied:
            invocation.terminal.note(f"Left out: {count} {_counted(kind, count)}{how}.")


def show_operations(
    invocation: Invocation,
    operations: Sequence[ext.AppliedOperation],
    output: str,
    *,
    dry_run: bool,
) -> None:
    """Write what was done, or in a dry run what would be."""
    from octelium.cli.applying import changed

    terminal = invocation.terminal
    effective = [operation for operation in operations if changed(operation)]
    if output in ("json", "yaml"):
        value = [_plain(operation) for operation in operations]
        terminal.show(json_text(value) if output == "json" else yaml_text(value))
        return
    if output == "name":
        for operation in effective:
            terminal.show(f"{operation.kind.lower()}/{operation.name}")
        return
    suffix = " (dry run)" if dry_run else ""
    for operation in effective:
        action = _action(operation)
        fields = f"  {', '.join(operation.changed)}" if operation.changed else ""
        what = terminal.style(_VERBS[action], _COLOURS[action])
        terminal.show(f"{operation.kind}: {operation.name} {what}{suffix}{fields}")
    same = len(operations) - len(effective)
    if not effective:
        would = "would change" if dry_run else "changed"
        terminal.show(f"Nothing {would}: {same} {_counted('resource', same)} as the files say.")
        return
    counts = Counter(_action(operation) for operation in effective)
    parts = [f"{counts[name]} {word.lower()}" for name, word in _VERBS.items() if counts[name]]
    terminal.show(f"{', '.join(parts)}, {same} unchanged{suffix}")


def _action(operation: ext.AppliedOperation) -> str:
    from octelium.schema.pb import ext_v1_pb2 as ext

    return ext.Action__.Action.Name(operation.action)


def _plain(operation: ext.AppliedOperation) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "kind": operation.kind,
        "name": operation.name,
        "action": _action(operation),
    }
    if operation.changed:
        fields["changed"] = list(operation.changed)
    return fields


def _counted(word: str, count: int) -> str:
    if count == 1:
        return word
    return f"{word[:-1]}ies" if word.endswith("y") else f"{word}s"
