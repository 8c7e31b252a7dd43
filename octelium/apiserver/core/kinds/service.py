"""Services, whose stored name always carries the Namespace."""

from octelium.apiserver.core.rules import ListFilter, Rules
from octelium.schema.names import full_service_name


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


RULES = ServiceRules()
