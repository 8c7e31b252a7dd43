from __future__ import annotations

import uuid

import pytest

from octelium.schema.kinds import KINDS, new
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta
from octelium.store.metadata import (
    SYSTEM,
    Actor,
    keep_stamps,
    label,
    reference,
    set_time,
    stamp_changed,
    stamp_created,
)
from tests.store.samples import group

SESSION = meta.ObjectReference(api_version="core/v1", kind="Session", uid="s", name="root-abc")
ACTOR = Actor(SESSION, "octelium.api.main.core.v1.MainService/CreateGroup")


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_a_new_resource_of_any_kind_has_every_sub_message_on_the_wire(kind: object) -> None:
    resource = new(KINDS[kind.name])  # type: ignore[attr-defined]  # a Kind
    resource.metadata.name = "some-name"
    stamp_created(resource, SYSTEM, 1.5)
    wire = type(resource).FromString(resource.SerializeToString())
    assert wire.HasField("metadata")
    assert wire.HasField("spec")
    assert wire.HasField("status")
    assert (wire.api_version, wire.kind) == (kind.api, kind.name)  # type: ignore[attr-defined]  # a Kind


def test_a_new_resource_gets_identity_time_and_actor() -> None:
    resource = group("staff")
    resource.metadata.uid = "mine"
    resource.metadata.last_resource_version = "forged"
    set_time(resource.metadata.updated_at, 5.0)
    stamp_created(resource, ACTOR, 1_700_000_000.25)
    metadata = resource.metadata
    assert uuid.UUID(metadata.uid).version == 4
    assert uuid.UUID(metadata.resource_version).version == 7
    assert metadata.created_at.ToNanoseconds() == 1_700_000_000_250_000_000
    assert not metadata.HasField("updated_at")
    assert metadata.last_resource_version == ""
    assert metadata.actor_ref == SESSION
    assert metadata.actor_operation == ACTOR.operation


def test_the_cluster_itself_leaves_no_actor() -> None:
    resource = group("staff")
    stamp_created(resource, ACTOR, 1.0)
    stamp_changed(resource, resource.metadata, SYSTEM, 2.0)
    assert not resource.metadata.HasField("actor_ref")
    assert resource.metadata.actor_operation == ""


def test_a_changed_resource_points_back_to_the_version_before() -> None:
    stored = group("staff")
    stamp_created(stored, SYSTEM, 1.0)
    draft = group("staff")
    draft.metadata.uid = stored.metadata.uid
    draft.metadata.resource_version = stored.metadata.resource_version
    draft.metadata.actor_operation = "forged"
    keep_stamps(draft, stored)
    stamp_changed(draft, stored.metadata, ACTOR, 2.0)
    assert draft.metadata.last_resource_version == stored.metadata.resource_version
    assert draft.metadata.resource_version > stored.metadata.resource_version
    assert draft.metadata.updated_at.seconds == 2
    assert draft.metadata.created_at == stored.metadata.created_at
    assert draft.metadata.actor_operation == ACTOR.operation


def test_what_nobody_has_seen_is_not_pointed_back_to() -> None:
    draft = group("staff")
    stamp_created(draft, SYSTEM, 1.0)
    stamp_changed(draft, None, SYSTEM, 1.0)
    assert draft.metadata.last_resource_version == ""
    assert not draft.metadata.HasField("updated_at")


def test_a_reference_has_all_five_members() -> None:
    resource = group("staff")
    stamp_created(resource, SYSTEM, 1.0)
    assert reference(resource) == meta.ObjectReference(
        api_version="core/v1",
        kind="Group",
        uid=resource.metadata.uid,
        name="staff",
        resource_version=resource.metadata.resource_version,
    )


def test_kinds_are_called_by_package_and_name() -> None:
    assert label("IdentityProvider") == "core.v1.IdentityProvider"


def test_keeping_stamps_drops_what_the_stored_version_does_not_have() -> None:
    stored = core.Group()
    draft = group("staff")
    set_time(draft.metadata.updated_at, 9.0)
    draft.metadata.actor_ref.uid = "forged"
    keep_stamps(draft, stored)
    assert not draft.metadata.HasField("updated_at")
    assert not draft.metadata.HasField("actor_ref")
