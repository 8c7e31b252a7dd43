"""Regions; the Cluster makes them."""

from octelium.apiserver.core.rules import READ, Rules


class RegionRules(Rules):
    """Read-only."""

    name = "Region"
    verbs = READ
    hidden = True
    exclusive_lookup = True


RULES = RegionRules()
