"""Namespaces."""

from __future__ import annotations

from octelium.schema import names
from octelium.schema.errors import Invalid
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.validation.rules import Validator, rule

_RESERVED_PREFIXES = ("octelium", "local", "cordium")


@rule(core.Namespace)
def check_namespace(namespace: core.Namespace, _path: str, validator: Validator) -> None:
    """A new Namespace takes neither a reserved name nor the public host name of a Service."""
    name = namespace.metadata.name
    if validator.old is not None:
        return
    for prefix in _RESERVED_PREFIXES:
        if name.startswith(prefix):
            raise Invalid("metadata.name", f"names that begin with {prefix!r} are reserved")
    service = names.full_service_name(name)
    if validator.view is not None and validator.view.get("Service", service) is not None:
        raise Invalid(
            "metadata.name",
            f"the Service {service} has the same host name",
            "choose another name",
        )
