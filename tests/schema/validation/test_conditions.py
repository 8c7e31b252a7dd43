from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from octelium.schema.errors import Invalid
from octelium.schema.jsonform import from_json
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.validation import rules
from octelium.schema.validation.conditions import check_condition

if TYPE_CHECKING:
    from tests.schema.validation.world import World


def check(world: World, value: Any) -> None:
    validator = rules.Validator(view=world, expressions=world, now=0)
    check_condition(from_json(core.Condition, value), "c", validator)


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {"match": "a"}
    for _ in range(depth - 1):
        value = {"any": {"of": [value]}}
    return value


@pytest.mark.parametrize(
    "value",
    [
        {"matchAny": True},
        {"matchAny": False},
        {"match": "ctx.a == 1"},
        {"not": "ctx.a"},
        {"all": {"of": [{"match": "a"}, {"none": {"of": [{"matchAny": False}]}}]}},
        {"any": {"of": [{"match": "a"}] * 100}},
        {"opa": {"inline": "package a"}},
        {"match": "a" * 10_000},
        nested(16),
    ],
)
def test_conditions(world: World, value: Any) -> None:
    check(world, value)


@pytest.mark.parametrize(
    ("value", "path", "problem"),
    [
        ({}, "c", "the condition is empty"),
        ({"match": " "}, "c.match", "is empty"),
        ({"not": ""}, "c.not", "is empty"),
        ({"match": "a" * 10_001}, "c.match", "10001 characters"),
        ({"all": {}}, "c.all.of", "has 0 conditions"),
        ({"none": {"of": []}}, "c.none.of", "has 0 conditions"),
        ({"any": {"of": [{"match": "a"}] * 101}}, "c.any.of", "has 101 conditions"),
        ({"any": {"of": [{"match": "a"}, {}]}}, "c.any.of[1]", "is empty"),
        ({"any": {"of": [{"match": "a"}, {"not": "foo(x)"}]}}, "c.any.of[1].not", "not a CEL"),
        ({"opa": {}}, "c.opa", "is missing"),
        ({"opa": {"inline": " "}}, "c.opa.inline", "is empty"),
        ({"opa": {"inline": "package " + "a" * 20_000}}, "c.opa.inline", "20008 characters"),
        ({"opa": {"inline": "x"}}, "c.opa.inline", "not a Rego module"),
        (nested(17), "c" + ".any.of[0]" * 16, "nested more than 16"),
    ],
)
def test_bad_conditions(world: World, value: Any, path: str, problem: str) -> None:
    with pytest.raises(Invalid) as refused:
        check(world, value)
    assert refused.value.path == path
    assert problem in refused.value.problem


def test_expressions_are_compiled_only_when_the_shape_is_right(world: World) -> None:
    with pytest.raises(Invalid, match="is empty"):
        check(world, {"any": {"of": [{"match": "foo(x)"}, {}]}})
