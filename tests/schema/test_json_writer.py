from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import given, settings

from octelium.schema import json_writer
from octelium.schema.kinds import KINDS
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta
from tests.schema.messages import messages, resources


@settings(max_examples=100)
@given(resources())
def test_the_form_is_that_of_protobuf(message: Any) -> None:
    assert json_writer.write(message) == json_format.MessageToDict(message)


@given(messages(core.RequestContext) | messages(core.AccessLog))
def test_contexts_and_logs_as_well(message: Any) -> None:
    assert json_writer.write(message) == json_format.MessageToDict(message)


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_every_type_can_be_written(kind: Any) -> None:
    waiting, seen = [kind.message.DESCRIPTOR], set()
    while waiting:
        descriptor = waiting.pop()
        if descriptor.full_name in seen or descriptor.full_name.startswith("google."):
            continue
        seen.add(descriptor.full_name)
        plan = json_writer.plan_of(descriptor)
        assert set(plan) == {field.name for field in descriptor.fields}
        waiting.extend(field.message_type for field in descriptor.fields if field.message_type)


def test_special_numbers() -> None:
    point = core.GeoIpCoordinates
    for value, written in [
        (float("inf"), "Infinity"),
        (float("-inf"), "-Infinity"),
        (0.1, 0.1),
    ]:
        field = point.DESCRIPTOR.fields[0].name
        assert json_writer.write(point(**{field: value})) == {field: written}
    retry = core.ServiceSpecConfigHttpRetry(multiplier=0.1)
    assert json_writer.write(retry) == {"multiplier": 0.1}
    assert str(json_writer.write(core.GeoIpCoordinates(**{field: float("nan")}))[field]) == "NaN"


def test_values_from_a_newer_schema_stay_numbers() -> None:
    user = core.User.FromString(core.User(spec=core.UserSpec()).SerializeToString())
    user.spec.type = 77  # type: ignore[assignment]  # an open enum holds any number
    assert json_writer.write(user) == {"spec": {"type": 77}}


def test_maps_are_sorted() -> None:
    metadata = meta.Metadata(labels={"b": "1", "a": "2", "c": "3"})
    assert list(json_writer.write(metadata)["labels"]) == ["a", "b", "c"]


def test_set_but_empty_messages_are_shown() -> None:
    user = core.User()
    user.spec.SetInParent()
    assert json_writer.write(user) == {"spec": {}}
