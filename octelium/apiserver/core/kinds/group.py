"""Groups; one that has members stays."""

from __future__ import annotations

from octelium.apiserver.core.rules import Change, Rules
from octelium.schema.errors import Invalid


class GroupRules(Rules):
    """Membership stands in `User.spec.groups`, by name."""

    name = "Group"

    def check_delete(self, change: Change) -> None:
        """Refuse while Users name the Group."""
        name = change.old.metadata.name
        members = change.tx.peek_all("User", by={"spec.groups": name})
        if members:
            raise Invalid(
                "",
                f"the Group {name} has {len(members)} members,"
                f" such as the User {members[0].metadata.name}",
                "take them out of it first",
            )


RULES = GroupRules()
