from __future__ import annotations

from octelium.schema import fields
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta


def test_maps_are_told_from_lists() -> None:
    by_name = fields.descriptor_of(meta.Metadata()).fields_by_name
    assert fields.is_map(by_name["labels"])
    assert not fields.is_map(by_name["tags"])
    assert not fields.is_map(by_name["actor_ref"])
    assert not fields.is_map(fields.descriptor_of(core.UserList()).fields_by_name["items"])


def test_spellings() -> None:
    spec = fields.descriptor_of(core.ServiceSpec()).fields_by_name
    assert fields.spellings(spec["is_tls"]) == {"isTLS", "is_tls"}
    condition = fields.descriptor_of(core.Condition()).fields_by_name
    assert fields.spellings(condition["not_"]) == {"not", "not_"}


def test_named_types_exist() -> None:
    service = fields.descriptor_of(core.ServiceSpec()).fields_by_name
    assert fields.message_type(service["attrs"]).full_name == fields.STRUCT
    assert fields.enum_type(service["mode"]).name == "ServiceSpecMode"
    session = fields.descriptor_of(core.SessionSpec()).fields_by_name
    assert fields.message_type(session["expires_at"]).full_name == fields.TIMESTAMP
    assert meta.Duration.DESCRIPTOR.full_name == fields.DURATION
    assert core.Condition.DESCRIPTOR.full_name == fields.CONDITION
