"""Namespaces; one that has Services stays."""

from octelium.apiserver.core.rules import Rules


class NamespaceRules(Rules):
    """The Cluster's own Namespaces are hidden from Users, not from administrators."""

    name = "Namespace"
    hidden = True


RULES = NamespaceRules()
