from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.policy.cel.errors import BudgetError, CelError
from octelium.policy.cel.program import new_frame
from octelium.policy.cel.values import (
    BUDGET,
    FALSE_KEY,
    TRUE_KEY,
    CelType,
    Duration,
    Timestamp,
    UInt,
    charge,
    contains,
    equal,
    is_less,
    keys,
    lookup_key,
    map_key,
    no_overload,
    normalized,
    plain_key,
    type_name,
    type_of,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


def same(left: object, right: object) -> bool:
    return equal(left, right, new_frame({}))


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (1, 1.0, True),
        (1, UInt(1), True),
        (UInt(1), 1.0, True),
        (1, True, False),
        (0, False, False),
        (1.0, True, False),
        ("1", 1, False),
        (None, None, True),
        (None, False, False),
        (None, 0, False),
        ("", None, False),
        (b"a", "a", False),
        ([1, 2], [1.0, UInt(2)], True),
        ([1], [True], False),
        ([1, 2], [1], False),
        ([], {}, False),
        ({"a": 1}, {"a": 1.0}, True),
        ({"a": 1}, {"a": True}, False),
        ({"a": 1}, {"b": 1}, False),
        ({1: "x"}, {UInt(1): "x"}, True),
        (math.nan, math.nan, False),
        (Timestamp(1), Timestamp(1), True),
        (Timestamp(1), Duration(1), False),
        (Timestamp(1), 1, False),
        (CelType("int"), CelType("int"), True),
        (CelType("int"), "int", False),
        (2**63 - 1, 2.0**63, True),
    ],
)
def test_equality(left: object, right: object, expected: bool) -> None:
    assert same(left, right) is expected
    assert same(right, left) is expected


@given(JSON)
def test_equality_is_reflexive(value: object) -> None:
    assert same(normalized(value), normalized(value))


@given(JSON, JSON)
def test_equality_is_symmetric(left: object, right: object) -> None:
    assert same(left, right) == same(right, left)


def test_comparing_deep_structures_is_charged() -> None:
    # Sharing makes 2**40 leaves out of forty small lists.
    left: object = [1]
    right: object = [1]
    for _ in range(40):
        left, right = [left, left], [right, right]
    with pytest.raises(BudgetError):
        same(left, right)


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (1, 2.5, True),
        (2.5, UInt(2), False),
        ("a", "b", True),
        ("é", "🐱", True),
        (b"a", b"b", True),
        (False, True, True),
        (Timestamp(1), Timestamp(2), True),
        (Duration(2), Duration(1), False),
        (math.nan, 1.0, False),
        ("a", 1, None),
        (True, 1, None),
        (None, None, None),
        ([1], [2], None),
        ({}, {}, None),
        (Timestamp(1), Duration(1), None),
    ],
)
def test_order(left: object, right: object, expected: bool | None) -> None:
    assert is_less(left, right, new_frame({})) is expected


def test_a_list_contains_by_equality() -> None:
    frame = new_frame({})
    assert contains([1, "a"], 1.0, frame)
    assert not contains([1, "a"], True, frame)
    assert contains(["a"], "a", frame)
    assert not contains([["a"]], "a", frame)
    assert contains([["a"]], ["a"], frame)


def test_bool_keys_are_not_numbers() -> None:
    stored: dict[object, object] = {map_key(True): "t", map_key(1): "one", map_key(False): "f"}
    assert len(stored) == 3
    assert stored[lookup_key(1.0)] == "one"
    assert stored[lookup_key(True)] == "t"
    assert list(keys(stored)) == [True, 1, False]
    assert plain_key(TRUE_KEY) is True
    assert plain_key(FALSE_KEY) is False


@pytest.mark.parametrize("key", [None, 1.5, b"a", [], {}, Timestamp(0)])
def test_what_no_key_can_be(key: object) -> None:
    with pytest.raises(CelError, match="unsupported key type"):
        map_key(key)


def test_a_double_finds_the_key_that_it_equals() -> None:
    assert lookup_key(2.0) in {UInt(2): 1}
    assert lookup_key(2.5) not in {2: 1}
    assert lookup_key(math.nan) not in {2: 1}


def test_type_names() -> None:
    assert type_name(UInt(1)) == "uint"
    assert type_name(None) == "null_type"
    assert type_name({}) == "map"
    assert type_of(CelType("int")).name == "type"
    assert "string, bool" in str(no_overload("f", "a", True))
    with pytest.raises(CelError, match="no place in CEL"):
        type_of(object())


def test_all_numbers_of_json_are_doubles() -> None:
    form: dict[str, Any] = {"a": 1, "b": [2, True, {"c": 3}], "d": "4", "e": None, "f": (5,)}
    made: Any = normalized(form)
    assert made == {"a": 1.0, "b": [2.0, True, {"c": 3.0}], "d": "4", "e": None, "f": [5.0]}
    assert type(made["a"]) is float
    assert made["b"][1] is True
    assert form["a"].__class__ is int


@given(JSON)
def test_normalizing_twice_changes_nothing(value: object) -> None:
    once = normalized(value)
    assert normalized(once) == once


def test_a_budget_runs_out() -> None:
    frame = new_frame({})
    frame[BUDGET] = 3
    charge(frame, 3)
    with pytest.raises(BudgetError):
        charge(frame, 1)
