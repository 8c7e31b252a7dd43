"""`octeliumctl delete`: resources by name, or those that files declare."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from octelium.cli.failure import Failed, report
from octelium.cli.origin import tell_identities, tell_sessions
from octelium.cli.resources import parse_targets, require_method, short_name
from octelium.cli.verb import verb
from octelium.cli.words import FILE, KIND_AND_NAMES
from octelium.client.errors import ClientError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from octelium.cli.invocation import Invocation
    from octelium.schema.kinds import Kind


_TELLING = {"Credential": tell_sessions, "IdentityProvider": tell_identities}
"""By kind, what says what goes on without the deleted resource."""


@verb(
    example="""
    octeliumctl delete service wiki
    octeliumctl delete user/alice user/bob
    octeliumctl delete -f old.yaml --ignore-not-found
    """
)
@click.argument("words", metavar="[KIND NAME...]", nargs=-1, type=KIND_AND_NAMES)
@click.option(
    "-f", "--file", "files", metavar="PATH", type=FILE, multiple=True, help="What files declare."
)
@click.option("--ignore-not-found", is_flag=True, help="Missing ones are no error.")
@click.option("--force", is_flag=True, help="Also what other resources still refer to.")
def delete(
    invocation: Invocation,
    words: tuple[str, ...],
    files: tuple[str, ...],
    ignore_not_found: bool,
    force: bool,
) -> None:
    """Delete resources, by name or as files declare them.

    All are tried; the exit code is 1 if one of them could not be deleted. Secrets, Policies and
    Configs that other resources still refer to are only deleted with --force.
    """
    from octelium.client.errors import ApiError

    failed = False
    for kind, name in _targets(invocation, words, files):
        label = short_name(kind, name)
        try:
            _delete(invocation, kind, name, force=force)
        except _StillUsedError as error:
            report(error, invocation.terminal, label)
            failed = True
        except ApiError as error:
            if ignore_not_found and error.code == "NOT_FOUND":
                invocation.terminal.note(f"{label} does not exist.")
                continue
            report(error, invocation.terminal, label)
            failed = True
    if failed:
        raise Failed


class _StillUsedError(ClientError):
    """Other resources refer to what is to be deleted."""


def _delete(invocation: Invocation, kind: Kind, name: str, *, force: bool) -> None:
    from octelium.client.relations import REFERRED

    resources = invocation.client.resources
    if not force and kind.name in REFERRED:
        _refuse_used(invocation, kind, resources.get(kind, name).metadata.name)
    tell = _TELLING.get(kind.name)
    found = resources.get(kind, name) if tell is not None else None
    resources.delete(kind, name)
    invocation.terminal.show(f"{short_name(kind, name)} deleted")
    if tell is not None:
        tell(invocation, found)


def _refuse_used(invocation: Invocation, kind: Kind, name: str) -> None:
    from octelium.client.relations import Neighbourhood, users_of
    from octelium.schema.kinds import KINDS

    # Looked up for each one, since what refers to it may have been deleted just before.
    around = Neighbourhood(invocation.client.resources, invocation.client.domain)
    users = [short_name(KINDS[other], user) for other, user in users_of(around, kind, name)]
    if users:
        raise _StillUsedError(
            f"still referred to by {', '.join(users)}",
            "take it out there first, or delete it all the same with --force",
        )


def _targets(
    invocation: Invocation, words: Sequence[str], files: Sequence[str]
) -> list[tuple[Kind, str]]:
    if bool(words) == bool(files):
        raise click.UsageError("Name what to delete: KIND NAME... or -f PATH.")
    if words:
        kind, names = parse_targets(words)
        if not names:
            raise click.UsageError(f"Name the {kind.plural} to delete.")
        targets = [(kind, name) for name in names]
    else:
        from octelium.cli.sources import read_documents, stored_name

        documents = read_documents(files)
        # Users of a thing go before the thing.
        documents.sort(key=lambda document: -document.kind.apply_order)
        targets = [(document.kind, stored_name(document)) for document in documents]
    for kind in {kind.name: kind for kind, _ in targets}.values():
        require_method(invocation, kind, "Delete")
    return targets
