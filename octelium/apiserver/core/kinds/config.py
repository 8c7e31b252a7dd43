"""Configs; their data is not returned either."""

from octelium.apiserver.core.rules import Rules


class ConfigRules(Rules):
    """The Cluster's own Configs are hidden."""

    name = "Config"
    hidden = True


RULES = ConfigRules()
