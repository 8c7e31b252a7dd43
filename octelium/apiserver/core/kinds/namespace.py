"""Namespaces; one that has Services stays."""

from __future__ import annotations

from octelium.apiserver.core.rules import Change, Rules
from octelium.schema.errors import Invalid


class NamespaceRules(Rules):
    """A Service belongs to the Namespace that its status refers to."""

    name = "Namespace"
    hidden = True

    def check_delete(self, change: Change) -> None:
        """Refuse while Services are in it."""
        metadata = change.old.metadata
        services = change.tx.peek_all("Service", by={"status.namespaceRef": metadata.uid})
        if services:
            raise Invalid(
                "",
                f"the Namespace {metadata.name} has {len(services)} Services,"
                f" such as {services[0].metadata.name}",
                "delete them first",
            )


RULES = NamespaceRules()
