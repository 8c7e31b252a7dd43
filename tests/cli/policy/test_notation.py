from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.cli.policy.cases import same
from octelium.cli.policy.notation import json_form, notation, typed
from octelium.policy.cel.program import evaluate_once
from octelium.policy.cel.values import (
    INT_MAX,
    INT_MIN,
    UINT_MAX,
    CelType,
    Duration,
    Timestamp,
    UInt,
    map_key,
)


@pytest.mark.parametrize(
    ("value", "text", "json_value"),
    [
        (None, "null", None),
        (True, "true", True),
        (1, "1", 1),
        (UInt(1), "1u", 1),
        (1.0, "1.0", 1),
        (0.5, "0.5", 0.5),
        (math.inf, 'double("Infinity")', "Infinity"),
        (-math.inf, 'double("-Infinity")', "-Infinity"),
        (math.nan, 'double("NaN")', "NaN"),
        ('a"\n', '"a\\"\\n"', 'a"\n'),
        (b'a"\xff', 'b"a\\"\\xff"', "YSL/"),
        (Timestamp(1_500_000_000), 'timestamp("1970-01-01T00:00:01.5Z")', "1970-01-01T00:00:01.5Z"),
        (Duration(-1_500_000_000), 'duration("-1.5s")', "-1.5s"),
        (CelType("int"), "int", "int"),
        ([1, [UInt(2)]], "[1, [2u]]", [1, [2]]),
        (
            {map_key(True): 1, "a": {}, 3: 1.5},
            '{true: 1, "a": {}, 3: 1.5}',
            {"true": 1, "a": {}, "3": 1.5},
        ),
    ],
)
def test_both_forms(value: object, text: str, json_value: Any) -> None:
    assert notation(value) == text
    assert json_form(value) == json_value
    json.dumps(json_form(value), allow_nan=False)


def test_the_type_stands_beside_the_value() -> None:
    assert typed(UInt(1)) == "1u (uint)"


def test_other_values_have_no_notation() -> None:
    with pytest.raises(TypeError, match="no place in CEL"):
        notation(object())


_SCALARS: st.SearchStrategy[object] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(INT_MIN + 1, INT_MAX),
    st.integers(0, UINT_MAX).map(UInt),
    st.floats(),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.binary(max_size=20),
    st.integers(-(10**18), 10**18).map(Timestamp),
    st.integers(-(10**18), 10**18).map(Duration),
)
_KEYS = st.one_of(st.booleans(), st.integers(-9, 9), st.text("ab", max_size=3)).map(map_key)


@given(
    st.recursive(
        _SCALARS,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(_KEYS, inner, max_size=3)
        ),
        max_leaves=8,
    )
)
def test_a_notation_evaluates_to_its_value(value: object) -> None:
    assert same(evaluate_once(notation(value), {}), value)
