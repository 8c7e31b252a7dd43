"""Gateways; the Cluster makes them."""

from octelium.apiserver.core.rules import READ, ListFilter, Rules


class GatewayRules(Rules):
    """Read-only."""

    name = "Gateway"
    verbs = READ
    exclusive_lookup = True
    filters = (ListFilter("region_ref", "Region", "status.regionRef"),)


RULES = GatewayRules()
