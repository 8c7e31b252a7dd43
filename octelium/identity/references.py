"""References from one resource to another."""

from __future__ import annotations

from typing import Protocol

from octelium.schema.pb import meta_v1_pb2 as meta


class Resource(Protocol):
    """Any message of a kind."""

    @property
    def api_version(self) -> str:
        """`core/v1`."""
        ...

    @property
    def kind(self) -> str:
        """`User`, `Session`, …"""
        ...

    @property
    def metadata(self) -> meta.Metadata:
        """With uid, name and resourceVersion."""
        ...


def reference(resource: Resource) -> meta.ObjectReference:
    """A reference to `resource` as it is, with all five fields."""
    metadata = resource.metadata
    return meta.ObjectReference(
        api_version=resource.api_version,
        kind=resource.kind,
        uid=metadata.uid,
        name=metadata.name,
        resource_version=metadata.resource_version,
    )
