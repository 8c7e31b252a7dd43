"""Services, whose stored name always carries the Namespace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from octelium.apiserver.connect.service_addresses import assign, release
from octelium.apiserver.core.rules import Change, ListFilter, Rules
from octelium.schema.names import full_service_name

if TYPE_CHECKING:
    from octelium.store.transaction import Transaction


class ServiceRules(Rules):
    """`wiki` is `wiki.default`."""

    name = "Service"
    hidden = True
    filters = (
        ListFilter("namespace_ref", "Namespace", "status.namespaceRef"),
        ListFilter("region_ref", "Region", "status.regionRef"),
    )

    def stored_name(self, name: str) -> str:
        """Add the Namespace where a name has none."""
        return full_service_name(name) if name else name

    def prepare(self, tx: Transaction, message: Any) -> None:
        """Every Service has a virtual address of its own, for life."""
        assign(tx, message)

    def deleted(self, change: Change) -> None:
        """Its address rests before another Service gets it."""
        release(change.tx, change.old)


RULES = ServiceRules()
