"""A Cluster that exists only in files: what decisions would be if just they were applied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from octelium.apiserver.core.rules import all_rules
from octelium.apiserver.core.verbs import candidate
from octelium.cluster import builtin
from octelium.policy.checker import Checker
from octelium.replica.replica import Replica
from octelium.schema.errors import DocumentError, Invalid, InvalidDocuments
from octelium.schema.kinds import kind_of
from octelium.schema.names import check_name, check_not_reserved
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import feed_v1_pb2 as feed
from octelium.schema.validation import complete, validate
from octelium.store.metadata import SYSTEM, stamp_created

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from octelium.schema.documents import Document

DOMAIN: Final = "example.com"
"""The domain of Clusters that exist only in files."""

_DECIDING: Final = frozenset(
    {"ClusterConfig", "Group", "Namespace", "Policy", "Region", "Service", "User"}
)
"""Kinds of files on which decisions depend."""


class World:
    """The resources of files, over those that every Cluster begins with.

    Everything is validated and completed as the API does it. Only Secrets and Configs that the
    files lack are taken to be there: who keeps them elsewhere can test all the same. `documents`
    are the files' own resources in their stored form, with the document of each.
    """

    def __init__(self, documents: Sequence[Document], at: float) -> None:
        """Raises InvalidDocuments with every resource that the API would refuse."""
        self._at = at
        self._stored: dict[str, dict[str, Any]] = {}
        self.documents: list[tuple[Document, Any]] = []
        for message in _builtin():
            complete(message, self)
            self._put(message)
        by_order: dict[int, list[Document]] = {}
        for document in documents:
            by_order.setdefault(document.kind.apply_order, []).append(document)
        for order in sorted(by_order):
            # A later kind refers to earlier ones: its errors would only repeat theirs.
            errors = []
            for document in sorted(by_order[order], key=_generation):
                try:
                    self.documents.append((document, self._take(document)))
                except Invalid as fault:
                    errors.append(_placed(document, fault))
            if errors:
                raise InvalidDocuments(errors)

    def replica(self) -> Replica:
        """The resources as decisions see them."""
        replica = Replica()
        changes = [
            feed.Change(
                kind=kind,
                uid=message.metadata.uid,
                name=message.metadata.name,
                data=message.SerializeToString(),
            )
            for kind in sorted(_DECIDING)
            for message in self._stored.get(kind, {}).values()
        ]
        replica.apply(
            feed.Commit(revision=1, changes=changes, snapshot_begin=True, snapshot_end=True)
        )
        return replica

    # --- octelium.schema.validation.View

    def get(self, kind: str, name: str) -> Any | None:
        """The resource of that name, or None."""
        found = self._stored.get(kind, {}).get(name)
        if found is None and name and kind in ("Secret", "Config"):
            found = (core.Secret if kind == "Secret" else core.Config)(kind=kind)
            found.metadata.name = name
        return found

    def list(self, kind: str) -> Iterable[Any]:
        """All resources of a kind."""
        return self._stored.get(kind, {}).values()

    def labelled(self, kind: str, label: str, value: str) -> Iterable[Any]:
        """The resources whose `metadata.specLabels` hold `label` with `value`."""
        return [
            message
            for message in self.list(kind)
            if message.metadata.spec_labels.get(label) == value
        ]

    # --- making

    def _take(self, document: Document) -> Any:
        rules = all_rules()[document.kind.name]
        given = document.message
        old = self._stored.get(rules.name, {}).get(rules.stored_name(given.metadata.name))
        message = candidate(rules, given, old)
        if old is None:
            check_name(rules.kind, message.metadata.name)
            check_not_reserved(rules.kind, message.metadata.name)
        validate(message, self, old=old, expressions=_CHECKER, now=self._at)
        complete(message, self)
        self._put(message)
        return message

    def _put(self, message: Any) -> None:
        stamp_created(message, SYSTEM, self._at)
        self._stored.setdefault(kind_of(message).name, {})[message.metadata.name] = message


_CHECKER = Checker()


def _builtin() -> list[Any]:
    return [
        builtin.cluster_config(DOMAIN),
        builtin.region(),
        *builtin.users(),
        *builtin.namespaces(),
        *builtin.policies(),
        *builtin.services(),
    ]


def _generation(document: Document) -> int:
    """Policies are created after those above them."""
    name: str = document.message.metadata.name
    return name.count(".") if document.kind.name == "Policy" else 0


def _placed(document: Document, fault: Invalid) -> DocumentError:
    place = f"{document.kind.name} {document.message.metadata.name}"
    return DocumentError(
        document.source,
        document.index,
        document.line_of(fault.path),
        f"{place}: {fault.path}" if fault.path else place,
        fault.problem,
        fault.remedy,
    )
