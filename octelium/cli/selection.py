"""Which kinds an apply is about: `--include`, `--exclude`, `--include-secret`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from octelium.schema.errors import Invalid
from octelium.schema.kinds import APPLY_ORDER, KINDS, find_kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from octelium.schema.documents import Document

# What the official clients prune. A Config can be pruned too, when --include names it.
_PRUNED = (
    "Policy",
    "IdentityProvider",
    "Namespace",
    "Group",
    "User",
    "Service",
    "Credential",
)
_SECRET = "Secret"  # noqa: S105  (the name of a kind)


@dataclass(frozen=True, slots=True)
class Selection:
    """The names of the kinds that are applied, and of those that pruning covers."""

    applied: frozenset[str]
    pruned: tuple[str, ...]

    def split(self, documents: Sequence[Document]) -> tuple[list[Document], list[Document]]:
        """Documents that are applied and documents that are left out."""
        chosen = [document for document in documents if document.kind.name in self.applied]
        left = [document for document in documents if document.kind.name not in self.applied]
        return chosen, left


def select(include: Sequence[str], exclude: Sequence[str], *, secrets: bool) -> Selection:
    """The kinds that the options choose. Raises Invalid for a word that is no such kind.

    Without options: every kind that files may declare but Secret. `--include` replaces that list,
    `--exclude` takes away from it, `--include-secret` adds Secret to it.
    """
    declarable = [kind.name for kind in APPLY_ORDER if kind.declarable]
    if include:
        chosen = _all_declarable(include)
        pruned = [name for name in chosen if name != _SECRET and not KINDS[name].singleton]
    else:
        chosen = [name for name in declarable if name != _SECRET]
        pruned = list(_PRUNED)
    if secrets:
        chosen.append(_SECRET)
        pruned.append(_SECRET)
    excluded = {*_all_declarable(exclude)}
    return Selection(
        frozenset(chosen) - excluded,
        tuple(name for name in declarable if name in pruned and name not in excluded),
    )


def _all_declarable(words: Sequence[str]) -> list[str]:
    """The kinds that words name. Raises Invalid with all that name none."""
    names: list[str] = []
    problems: list[str] = []
    for word in words:
        try:
            kind = find_kind(word)
        except Invalid as error:
            problems.append(str(error))
            continue
        if kind.declarable:
            names.append(kind.name)
        else:
            problems.append(f"a {kind.name} cannot be declared in a file")
    if problems:
        raise Invalid("", "; ".join(problems))
    return names
