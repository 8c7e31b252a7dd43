from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from octelium.schema import json_scalars
from octelium.schema.json_scalars import Mismatch, scalar_of
from octelium.schema.pb import core_v1_pb2 as core
from tests.schema.messages import JSON_VALUES

SPEC = core.ServiceSpec.DESCRIPTOR.fields_by_name
FIELDS = [
    SPEC["port"],
    SPEC["mode"],
    SPEC["is_tls"],
    SPEC["region"],
    core.SecretData.DESCRIPTOR.fields_by_name["value_bytes"],
    core.ServiceSpecConfigHttpRetry.DESCRIPTOR.fields_by_name["multiplier"],
    core.ServiceSpecConfigLlmLimits.DESCRIPTOR.fields_by_name["max_output_tokens"],
]


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
@given(value=JSON_VALUES)
def test_any_value_is_read_or_a_mismatch(field: Any, value: Any) -> None:
    """What is read fits the field, or protobuf would refuse to take it."""
    read = scalar_of(field)
    message = field.containing_type._concrete_class()
    try:
        result = read(value)
    except Mismatch as mismatch:
        result = None
        problem = mismatch.problem
    else:
        problem = ""
        setattr(message, field.name, result)
    assert (result is None) == bool(problem)


def test_the_ends_of_ranges() -> None:
    read = scalar_of(SPEC["port"])
    assert read(2**32 - 1) == 2**32 - 1
    for value in (2**32, -1, "4294967296", "-1", "01", "1e3", "+1", " 1", "", "٣"):
        with pytest.raises(Mismatch):
            read(value)


def test_values_are_described_shortly() -> None:
    assert json_scalars.describe(None) == "nothing"
    assert json_scalars.describe(10**40) == "a very large number"
    assert json_scalars.describe([]) == "a list"
    assert len(json_scalars.describe("x" * 1000)) < 80
    assert json_scalars.clip("a" * 61) == repr("a" * 57 + "...")


def test_free_numbers_are_exact() -> None:
    for number in (2**53, 2**60, -(2**53), 1.5, 0):
        assert json_scalars.free_number(number) == number
    for number in (2**53 + 1, 10**400, float("inf"), float("nan")):
        with pytest.raises(Mismatch):
            json_scalars.free_number(number)
