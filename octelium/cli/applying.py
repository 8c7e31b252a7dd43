"""What `apply`, `diff` and `create -f` share: from documents to operations, with errors placed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from octelium.cli.failure import Failed, report
from octelium.cli.warned import placed, require_clean, tell_all
from octelium.client.changes import Stepwise, apply, refusals
from octelium.client.client import is_foreign
from octelium.client.errors import ApiError
from octelium.schema.errors import DocumentError, InvalidDocuments
from octelium.schema.pb import ext_v1_pb2 as ext

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from octelium.cli.invocation import Invocation
    from octelium.schema.documents import Document

_LAST = 1 << 32
_REST = re.compile(r"and (\d+) more")

FOREIGN = (
    "this Cluster has no transactions: resources are changed one by one, and what was done before "
    "an error stays done"
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done, or in a dry run would be, and whether that is all that was asked for.

    `foreign`: by a Cluster of another implementation.
    """

    operations: list[ext.AppliedOperation]
    complete: bool
    foreign: bool = False


def carry_out(
    invocation: Invocation,
    documents: Sequence[Document],
    prune_kinds: Sequence[str],
    *,
    dry_run: bool,
    strict: bool = False,
    prune_builtin: bool = False,
) -> Outcome:
    """Apply documents, in one transaction where the Cluster has them, else by single calls.

    Tells what is likely wrong with them; with `strict` that is refused. Tells what pruning leaves
    alone; with `prune_builtin` that is the caller's own only.

    Raises InvalidDocuments for refused documents, ApiError. What single calls refuse is reported
    as it happens.
    """
    client = invocation.client
    messages = [document.message for document in documents]
    try:
        done = apply(
            client.api.ext,
            messages,
            dry_run=dry_run,
            strict=strict,
            prune_kinds=prune_kinds,
            prune_builtin=prune_builtin,
        )
    except ApiError as error:
        if not is_foreign(error):
            raise placed_error(error, documents) from error
    else:
        tell_all(invocation.terminal, done.warnings, documents)
        if done.spared:
            invocation.terminal.note(spared_line(done.spared))
        return Outcome(list(done.operations), complete=True)
    if strict:
        require_clean(documents)
    # Takes a while to load, and Clusters of ours have looked already.
    from octelium.cli.linting import lint

    tell_all(invocation.terminal, lint(documents), documents)
    return _single_calls(invocation, messages, prune_kinds, dry_run=dry_run)


def _single_calls(
    invocation: Invocation, messages: Sequence[Any], prune_kinds: Sequence[str], *, dry_run: bool
) -> Outcome:
    client = invocation.client
    steps = Stepwise(client.resources)
    plan = steps.plan(messages, prune_kinds)
    if dry_run:
        return Outcome([operation for operation, _ in plan], complete=True, foreign=True)
    invocation.terminal.warn(FOREIGN)
    done: list[ext.AppliedOperation] = []
    failed = False
    for operation, refused in steps.carry_out(plan):
        if refused is None:
            done.append(operation)
        else:
            failed = True
            report(refused, invocation.terminal, f"{operation.kind} {operation.name}")
    return Outcome(done, complete=not failed, foreign=True)


def spared_line(spared: Sequence[ext.Spared]) -> str:
    """What pruning leaves alone, and why, on one line."""
    own = _named(one for one in spared if one.own)
    built_in = _named(one for one in spared if not one.own)
    parts = [f"{own} (your own)"] if own else []
    if built_in:
        parts.append(f"{built_in} (the Cluster began with it; --prune-builtin deletes it)")
    return f"Not pruned: {'; '.join(parts)}."


def _named(spared: Iterable[ext.Spared]) -> str:
    by_kind: dict[str, list[str]] = {}
    for one in spared:
        by_kind.setdefault(one.kind, []).append(one.name)
    return ", ".join(f"{kind} {', '.join(names)}" for kind, names in by_kind.items())


def changed(operation: ext.AppliedOperation) -> bool:
    """Whether an operation changes anything."""
    return operation.action not in (ext.Action__.UNCHANGED, ext.Action__.ACTION_UNKNOWN)


def require_complete(outcome: Outcome) -> None:
    """End the command with a failure unless everything was done. Raises Failed."""
    if not outcome.complete:
        raise Failed


def plain(struct: Any) -> Any:
    """A Struct as plain values; whole numbers without a decimal point."""
    from google.protobuf.json_format import MessageToDict

    return _whole(MessageToDict(struct))


def _whole(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_whole(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def placed_error(error: ApiError, documents: Sequence[Document]) -> Exception:
    """A refusal of documents with their places, in the order of the files; another error as it is.

    Those that the Cluster had no room to tell are counted.
    """
    refused = refusals(error)
    if not any(one.HasField("index") for one in refused):
        return error  # it is about what is not in the files
    errors = []
    for one in sorted(refused, key=lambda one: one.index if one.HasField("index") else _LAST):
        if one.HasField("index") and one.index < len(documents):
            errors.append(placed(one, documents[one.index]))
        else:
            what = f"{one.kind} {one.name}".rstrip()
            errors.append(DocumentError("--prune", 0, 0, what, one.problem, one.remedy))
    if untold := _told(error) - len(refused):
        problem = f"{untold} more {'resource is' if untold == 1 else 'resources are'} refused"
        errors.append(DocumentError("apply", 0, 0, "", problem, "mend these, then apply again"))
    return InvalidDocuments(errors)


def _told(error: ApiError) -> int:
    """How many refusals the text of an error counts: a line for each, or for all the others."""
    lines = error.message.splitlines()
    rest = _REST.fullmatch(lines[-1]) if lines else None
    return len(lines) if rest is None else len(lines) - 1 + int(rest[1])
