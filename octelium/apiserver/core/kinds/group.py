"""Groups; one that has members stays."""

from octelium.apiserver.core.rules import Rules


class GroupRules(Rules):
    """Membership stands in `User.spec.groups`, by name."""

    name = "Group"


RULES = GroupRules()
