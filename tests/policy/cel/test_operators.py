from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.policy.cel.errors import BudgetError, CelError
from octelium.policy.cel.operators import (
    MAX_ITEMS,
    MAX_TEXT,
    add,
    check_size,
    divide,
    greater,
    greater_equal,
    less,
    less_equal,
    make_int,
    make_uint,
    modulo,
    multiply,
    negate,
    subtract,
)
from octelium.policy.cel.program import new_frame
from octelium.policy.cel.values import INT_MAX, INT_MIN, UINT_MAX, Duration, Timestamp, UInt

FRAME = new_frame({})
INTS = st.integers(INT_MIN, INT_MAX)


@given(INTS, INTS)
def test_integers_overflow_into_errors(a: int, b: int) -> None:
    for function, exact in ((add, a + b), (subtract, a - b), (multiply, a * b)):
        if INT_MIN <= exact <= INT_MAX:
            assert function(a, b, FRAME) == exact
        else:
            with pytest.raises(CelError, match="overflow"):
                function(a, b, FRAME)


@given(INTS, INTS.filter(bool))
def test_division_truncates(a: int, b: int) -> None:
    if (a, b) == (INT_MIN, -1):
        with pytest.raises(CelError, match="overflow"):
            divide(a, b, FRAME)
        with pytest.raises(CelError, match="overflow"):
            modulo(a, b, FRAME)
        return
    quotient, rest = divide(a, b, FRAME), modulo(a, b, FRAME)
    assert isinstance(quotient, int)
    assert isinstance(rest, int)
    assert quotient * b + rest == a
    assert abs(rest) < abs(b)
    assert rest == 0 or (rest < 0) == (a < 0)


@pytest.mark.parametrize("zero", [0, UInt(0)])
def test_integers_are_not_divided_by_zero(zero: int) -> None:
    one = type(zero)(1)
    with pytest.raises(CelError, match="by zero"):
        divide(one, zero, FRAME)
    with pytest.raises(CelError, match="by zero"):
        modulo(one, zero, FRAME)


def test_doubles_divide_by_zero() -> None:
    assert divide(1.0, 0.0, FRAME) == math.inf
    assert divide(1.0, -0.0, FRAME) == -math.inf
    assert math.isnan(divide(0.0, 0.0, FRAME))  # type: ignore[arg-type]  # a double


def test_unsigned_integers() -> None:
    assert add(UInt(1), UInt(2), FRAME) == UInt(3)
    assert type(add(UInt(1), UInt(2), FRAME)) is UInt
    with pytest.raises(CelError, match="overflow"):
        subtract(UInt(1), UInt(2), FRAME)
    with pytest.raises(CelError, match="overflow"):
        multiply(UInt(UINT_MAX), UInt(2), FRAME)
    with pytest.raises(CelError, match="no such overload"):
        negate(UInt(1), FRAME)


@pytest.mark.parametrize(
    ("left", "right"),
    [(1, 1.0), (1.0, UInt(1)), (1, "1"), (True, True), (None, None), ([], {}), ("a", b"a")],
)
def test_types_do_not_mix(left: object, right: object) -> None:
    for function in (add, subtract, multiply, divide, modulo):
        with pytest.raises(CelError, match="no such overload"):
            function(left, right, FRAME)


def test_doubles_have_no_modulus() -> None:
    with pytest.raises(CelError, match="no such overload"):
        modulo(1.0, 1.0, FRAME)


def test_concatenation() -> None:
    assert add("a", "b", FRAME) == "ab"
    assert add(b"a", b"b", FRAME) == b"ab"
    assert add([1], ["a"], FRAME) == [1, "a"]


def test_times_and_spans() -> None:
    assert add(Timestamp(1), Duration(2), FRAME) == Timestamp(3)
    assert add(Duration(2), Timestamp(1), FRAME) == Timestamp(3)
    assert subtract(Timestamp(3), Timestamp(1), FRAME) == Duration(2)
    assert subtract(Timestamp(3), Duration(1), FRAME) == Timestamp(2)
    with pytest.raises(CelError, match="no such overload"):
        add(Timestamp(1), Timestamp(1), FRAME)


def test_order_is_complete() -> None:
    assert less(1, 2.0, FRAME)
    assert less_equal(2, 2.0, FRAME)
    assert greater("b", "a", FRAME)
    assert greater_equal(UInt(2), 2, FRAME)
    assert not less_equal(math.nan, 1.0, FRAME)
    for function in (less, less_equal, greater, greater_equal):
        with pytest.raises(CelError, match="no such overload"):
            function(1, "a", FRAME)


def test_limits_of_numbers() -> None:
    assert make_int(INT_MIN) == INT_MIN
    assert make_uint(UINT_MAX) == UINT_MAX
    for bad in (INT_MIN - 1, INT_MAX + 1):
        with pytest.raises(CelError):
            make_int(bad)
    for bad in (-1, UINT_MAX + 1):
        with pytest.raises(CelError):
            make_uint(bad)


def test_limits_of_sizes() -> None:
    with pytest.raises(BudgetError):
        check_size(new_frame({}), MAX_TEXT + 1)
    with pytest.raises(BudgetError):
        add([0] * MAX_ITEMS, [0], new_frame({}))
    with pytest.raises(BudgetError):
        add("a" * MAX_TEXT, "b", new_frame({}))
