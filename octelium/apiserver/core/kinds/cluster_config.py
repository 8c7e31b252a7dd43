"""The Cluster's configuration: one object, `default`."""

from octelium.apiserver.core.rules import Rules


class ClusterConfigRules(Rules):
    """Always there and a system object; its spec is the administrators'."""

    name = "ClusterConfig"
    verbs = frozenset({"Get", "Update"})
    guards_system = False


RULES = ClusterConfigRules()
