"""Policies; one that has children stays, one that is attached somewhere need not."""

from __future__ import annotations

from octelium.apiserver.core.rules import Change, Rules
from octelium.schema.errors import Invalid


class PolicyRules(Rules):
    """The child of a Policy carries its name: `eu.staff` is a child of `staff`."""

    name = "Policy"

    def check_delete(self, change: Change) -> None:
        """Refuse while other Policies build on it."""
        metadata = change.old.metadata
        children = change.tx.peek_all("Policy", by={"status.parentPolicyRef": metadata.uid})
        if children:
            raise Invalid(
                "",
                f"the Policy {metadata.name} has {len(children)} children,"
                f" such as {children[0].metadata.name}",
                "delete them first",
            )


RULES = PolicyRules()
