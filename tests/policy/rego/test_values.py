from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.policy.rego.needed import RegoBudgetError, RegoError
from octelium.policy.rego.values import (
    FALSE,
    MAX_NESTING,
    MAX_WEIGHT,
    TRUE,
    Array,
    Meter,
    Object,
    Set,
    boolean,
    charge,
    compare,
    dump,
    forget_size,
    from_json,
    number,
    ordered,
    sized,
    to_json,
    type_name,
)

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 70), 1 << 70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4)
)
JSON: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)
VALUES = JSON.map(lambda form: from_json(form, Meter()))
SETS = st.lists(VALUES, max_size=3).map(Set)
ALL = VALUES | SETS


def test_booleans_are_no_numbers() -> None:
    assert Array([TRUE]) != Array([1])
    assert Array([FALSE]) != Array([0])
    assert len(Set([TRUE, 1, FALSE, 0])) == 4
    assert Object({1: "a", TRUE: "b"})[TRUE] == "b"
    assert bool(TRUE)
    assert not FALSE
    assert boolean(5) is TRUE
    assert boolean("") is FALSE


@given(JSON)
def test_json_comes_back(form: Any) -> None:
    made = to_json(from_json(form, Meter()))
    assert json.dumps(made, sort_keys=True) == json.dumps(form, sort_keys=True)


@given(ALL, ALL, ALL)
def test_values_have_one_order(one: Any, other: Any, third: Any) -> None:
    assert (compare(one, other) == 0) is (one == other)
    assert (compare(one, other) < 0) is (compare(other, one) > 0)
    assert compare(one, one) == 0
    if compare(one, other) <= 0 and compare(other, third) <= 0:
        assert compare(one, third) <= 0
    items = ordered([one, other, third])
    assert all(compare(a, b) <= 0 for a, b in pairwise(items))


@given(ALL, ALL)
def test_equal_values_have_equal_hashes(one: Any, other: Any) -> None:
    if one == other:
        assert hash(one) == hash(other)
    assert Set([one, one]) == Set([one])


def test_the_order_of_types() -> None:
    items = [None, FALSE, TRUE, -1, 0.5, 2, "", "a", Array(), Object(), Set()]
    assert ordered(reversed(items)) == items
    assert list(map(type_name, items)) == [
        "null", "boolean", "boolean", "number", "number", "number", "string", "string", "array",
        "object", "set",
    ]  # fmt: skip


def test_keys_and_sets_in_json() -> None:
    value = Object({1: Set([2, 1]), TRUE: None, Array([1]): FALSE, "a": "ñ"})
    assert dump(value) == '{"true":null,"1":[1,2],"a":"ñ","[1]":false}'


def test_numbers() -> None:
    assert number(2.0) == 2
    assert isinstance(number(2.0), int)
    assert isinstance(number(2.5), float)
    assert isinstance(number(1e300), float)
    for wrong in (float("inf"), float("nan"), 1 << 1024, -(1 << 1024)):
        with pytest.raises(RegoError, match="too large"):
            number(wrong)


def test_meters() -> None:
    meter = Meter(10, 5)
    assert meter.now_ns == 5
    assert Meter().now_ns > 1_700_000_000_000_000_000
    meter.charge_size("x" * 200)
    meter.charge(10)
    with pytest.raises(RegoBudgetError):
        meter.charge(1)
    with pytest.raises(RegoBudgetError):
        Meter(10).charge_size("x" * 1000)
    with pytest.raises(RegoBudgetError):
        Meter(10).charge_size(Array(range(1000)))


def test_what_is_too_deep_or_too_large() -> None:
    deep: Any = 1
    for _ in range(100):
        deep = [deep]
    with pytest.raises(RegoError, match="levels deep"):
        from_json(deep, Meter())
    value: Any = 1
    for _ in range(100):
        value = Array([value])
    with pytest.raises(RegoError, match="levels deep"):
        to_json(value)
    with pytest.raises(RegoBudgetError):
        from_json({"a": list(range(1000))}, Meter(100))


def shared(levels: int, leaf: Any = 1) -> Array:
    """Twice the value of the level below, which takes memory once."""
    value = Array([leaf])
    for _ in range(levels):
        value = Array([value, value])
    return value


def test_an_evaluation_is_charged_without_its_meter_at_hand() -> None:
    outer, inner = Meter(10), Meter(20)
    with outer:
        charge(1)
        with inner:
            charge(2)
        charge(3)
        with pytest.raises(RegoBudgetError):
            charge(7)
    charge(1)
    assert (outer.left, inner.left) == (-1, 18)


@pytest.mark.parametrize(
    "work",
    [
        lambda: shared(14) == shared(14),
        lambda: shared(14) != shared(14),
        lambda: shared(14) in [1, shared(14)],
        lambda: {shared(14): 1}.get(shared(14)),
        lambda: Set([shared(14), shared(14)]),
        lambda: Object({"a": shared(14)}) == Object({"a": shared(14)}),
        lambda: Set([shared(14)]) == Set([shared(14)]),
        lambda: compare(shared(14), shared(14)),
        lambda: ordered([shared(14, 2), shared(14), shared(14)]),
        lambda: to_json(shared(14)),
        lambda: dump(Object({shared(14): 1})),
    ],
)
def test_work_on_what_a_value_shares_is_charged(work: Any) -> None:
    with Meter(400), pytest.raises(RegoBudgetError):
        work()


def test_hashing_goes_over_a_value_once() -> None:
    value = shared(60)
    with Meter(100):
        assert hash(value) == hash(value)
    assert hash(shared(5)) == hash(shared(5))


def test_long_texts_within_values_are_charged() -> None:
    text = "x" * 100_000
    one, other = Array([text + "a"] * 100), Array([text[:-1] + "xa"] * 100)
    for work in (lambda: one == other, lambda: to_json(one), lambda: compare(one, other)):
        with Meter(2000), pytest.raises(RegoBudgetError):
            work()


def test_values_have_a_largest_size() -> None:
    assert sized(shared(16)) == shared(16)
    flat = Array(range(MAX_WEIGHT - 1))
    assert sized(flat) is flat
    for large in (
        shared(20),
        Array(range(MAX_WEIGHT)),
        Set(range(1 + MAX_WEIGHT // 4)),
        Object.fromkeys(range(1 + MAX_WEIGHT // 5)),
        Array(["x" * (MAX_WEIGHT // 3)] * 100),
    ):
        with pytest.raises(RegoError, match="too large"):
            sized(large)
        assert sized(len(large)) == len(large)


def test_values_have_a_largest_depth() -> None:
    value: Any = Set([1])
    for _ in range(MAX_NESTING - 1):
        value = Array([value])
    assert sized(value) is value
    with pytest.raises(RegoError, match="levels deep"):
        sized(Object({"a": value}))


def test_what_is_in_the_making_may_be_compared() -> None:
    made = Object({"a": 1})
    assert made != Object({"a": Array(range(1000))})
    forget_size(made)
    forget_size(made)
    made["a"] = Array(range(MAX_WEIGHT))
    with pytest.raises(RegoError, match="too large"):
        sized(made)


@given(ALL, ALL)
def test_comparing_charges_and_changes_nothing(one: Any, other: Any) -> None:
    found = one == other, one != other, compare(one, other)
    assert found[0] is not found[1]
    with Meter():
        assert (one == other, one != other, compare(one, other)) == found
    assert (one == 7) is not (one != 7)
