"""Policies; one that has children stays, one that is attached somewhere need not."""

from octelium.apiserver.core.rules import Rules


class PolicyRules(Rules):
    """The child of a Policy carries its name: `eu.staff` is a child of `staff`."""

    name = "Policy"


RULES = PolicyRules()
