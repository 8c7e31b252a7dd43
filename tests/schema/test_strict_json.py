from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.schema.strict_json import parse

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.floats(allow_nan=False, width=32)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
).filter(lambda value: "Infinity" not in json.dumps(value))


@given(VALUES)
def test_values_come_back(value: object) -> None:
    assert parse(json.dumps(value)) == value
    assert parse(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"a": 1, "a": 1}', "stands twice"),
        ('[{"b": {"a": 1, "\\u0061": 2}}]', "stands twice"),
        ("[NaN]", "NaN is no JSON"),
        ('{"a": -Infinity}', "-Infinity is no JSON"),
        ("[" * 100_000, "nested too deeply"),
        ("", "Expecting value"),
        ("{", "Expecting"),
        ("1 2", "Extra data"),
    ],
)
def test_what_is_read_differently_elsewhere_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse(text)


@given(st.binary(max_size=60))
def test_whatever_comes_ends_in_a_value_or_a_value_error(data: bytes) -> None:
    try:
        parse(data)
    except ValueError:
        return
