"""What the store itself writes into a resource: kind, uid, versions, times, the actor."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from octelium.schema.kinds import KINDS, kind_of
from octelium.schema.pb import meta_v1_pb2 as meta
from octelium.store.uuid7 import uuid7

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp


@dataclass(frozen=True, slots=True)
class Actor:
    """Who makes a change: a Session (None: the Cluster itself), and by which operation.

    `operation` is the full gRPC method without its leading slash.
    """

    session_ref: meta.ObjectReference | None = None
    operation: str = ""


SYSTEM = Actor()
"""The Cluster itself."""


def stamp_created(resource: Any, actor: Actor, at: float) -> None:
    """Make a draft a new resource: identity, first version, and all sub-messages present.

    Clients read `spec` and `status` without asking whether they are set.
    """
    kind = kind_of(resource)
    resource.api_version = kind.api
    resource.kind = kind.name
    resource.spec.SetInParent()
    resource.status.SetInParent()
    metadata = resource.metadata
    metadata.uid = str(uuid.uuid4())
    metadata.ClearField("updated_at")
    metadata.ClearField("last_resource_version")
    set_time(metadata.created_at, at)
    _stamp(metadata, actor, at)


def stamp_changed(resource: Any, previous: meta.Metadata | None, actor: Actor, at: float) -> None:
    """Give a changed resource its next version.

    `previous` is the metadata of the version that others have seen; None when nobody has.
    """
    metadata = resource.metadata
    if previous is not None:
        set_time(metadata.updated_at, at)
        metadata.last_resource_version = previous.resource_version
    _stamp(metadata, actor, at)


def keep_stamps(resource: Any, stored: Any) -> None:
    """Give a draft of an update everything that only the store may write."""
    resource.api_version = stored.api_version
    resource.kind = stored.kind
    resource.spec.SetInParent()
    resource.status.SetInParent()
    for field in ("created_at", "updated_at", "actor_ref"):
        if stored.metadata.HasField(field):
            getattr(resource.metadata, field).CopyFrom(getattr(stored.metadata, field))
        else:
            resource.metadata.ClearField(field)
    for field in ("resource_version", "last_resource_version", "actor_operation"):
        setattr(resource.metadata, field, getattr(stored.metadata, field))


def reference(resource: Any) -> meta.ObjectReference:
    """A reference to a stored resource, with all its members filled."""
    return meta.ObjectReference(
        api_version=resource.api_version,
        kind=resource.kind,
        uid=resource.metadata.uid,
        name=resource.metadata.name,
        resource_version=resource.metadata.resource_version,
    )


def set_time(field: Timestamp, at: float) -> None:
    """Set a timestamp field to `at` (unix seconds), to the microsecond."""
    field.FromMicroseconds(round(at * 1_000_000))


def label(kind: str) -> str:
    """How messages call a kind: `core.v1.Service`."""
    return f"{KINDS[kind].api.replace('/', '.')}.{kind}"


def _stamp(metadata: meta.Metadata, actor: Actor, at: float) -> None:
    metadata.resource_version = uuid7(at)
    metadata.actor_operation = actor.operation
    if actor.session_ref is None:
        metadata.ClearField("actor_ref")
    else:
        metadata.actor_ref.CopyFrom(actor.session_ref)
