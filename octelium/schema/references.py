"""References between resources."""

from __future__ import annotations

from typing import Any

from octelium.schema.kinds import kind_of
from octelium.schema.pb import meta_v1_pb2 as meta


def reference_to(resource: Any) -> meta.ObjectReference:
    """The complete reference to a resource, with all five fields."""
    kind = kind_of(resource)
    metadata = resource.metadata
    return meta.ObjectReference(
        api_version=kind.api,
        kind=kind.name,
        uid=metadata.uid,
        name=metadata.name,
        resource_version=metadata.resource_version,
    )
