from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.schema.errors import Invalid
from octelium.schema.validation.json_schema import check_schema


@pytest.mark.parametrize(
    "schema",
    [
        True,
        {},
        {"type": ["string", "null"], "pattern": "^a+$", "minLength": 1},
        {"properties": {"a": {"$ref": "#/$defs/b"}}, "$defs": {"b": {"enum": [1, "x"]}}},
        {"items": {"type": "integer", "minimum": -1.5, "multipleOf": 0.5}, "maxItems": 3},
        {"items": [{"type": "string"}, True], "additionalItems": False},
        {"oneOf": [{"const": 1}, {"not": {}}], "if": {}, "then": True, "required": ["a"]},
        {"patternProperties": {"^x": {"type": "boolean"}}, "unknownKeyword": {"type": 7}},
        {"title": "a", "description": "b", "default": 7, "examples": [1]},
    ],
)
def test_schemas(schema: Any) -> None:
    check_schema(json.dumps(schema), "x")


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        (7, "#"),
        ([], "#"),
        ({"type": "objekt"}, "#/type"),
        ({"type": []}, "#/type"),
        ({"properties": []}, "#/properties"),
        ({"properties": {"a": {"type": 5}}}, "#/properties/a/type"),
        ({"items": 7}, "#/items"),
        ({"items": [7]}, "#/items/0"),
        ({"allOf": {}}, "#/allOf"),
        ({"anyOf": []}, "#/anyOf"),
        ({"oneOf": [{}, 5]}, "#/oneOf/1"),
        ({"enum": 5}, "#/enum"),
        ({"required": "a"}, "#/required"),
        ({"required": [1]}, "#/required"),
        ({"pattern": "("}, "#/pattern"),
        ({"pattern": 5}, "#/pattern"),
        ({"patternProperties": {"(": {}}}, "#/patternProperties"),
        ({"minLength": -1}, "#/minLength"),
        ({"minLength": True}, "#/minLength"),
        ({"maximum": "5"}, "#/maximum"),
        ({"multipleOf": 0}, "#/multipleOf"),
        ({"$ref": "https://evil.test/schema"}, "#/$ref"),
        ({"$ref": 5}, "#/$ref"),
    ],
)
def test_no_schemas(schema: Any, place: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_schema(json.dumps(schema), "spec.x")
    assert refused.value.path == "spec.x"
    assert refused.value.problem.startswith(f"{place} ")


@pytest.mark.parametrize(
    "text", ["", "{", "nul", "[" * 100_000, '{"not":' * 500 + "{}" + "}" * 500]
)
def test_no_json_or_too_deep(text: str) -> None:
    with pytest.raises(Invalid):
        check_schema(text, "x")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["type", "items", "properties", "allOf", "not", "enum", "$ref", "pattern", "x"]
                ),
                inner,
                max_size=3,
            )
        ),
        max_leaves=10,
    )
)
def test_any_json_is_a_schema_or_refused(value: Any) -> None:
    path = "x"
    try:
        check_schema(json.dumps(value), "x")
    except Invalid as refused:
        path = refused.path
    assert path == "x"
