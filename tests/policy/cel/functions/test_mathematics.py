from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.policy.cel.functions.mathematics import bit_not, shift_left, shift_right
from octelium.policy.cel.program import new_frame
from octelium.policy.cel.values import INT_MAX, INT_MIN, UINT_MAX, UInt
from tests.policy.cel.evaluation import failure, value

FRAME = new_frame({})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("math.greatest(1, 2.5, 2u)", 2.5),
        ("math.least([3, 1, 2])", 1),
        ("math.least(dyn(1.0), 1)", 1.0),
        ("math.ceil(1.2)", 2.0),
        ("math.floor(-1.2)", -2.0),
        ("math.round(2.5)", 3.0),
        ("math.round(-2.5)", -3.0),
        ("math.round(0.49999999999999994)", 0.0),
        ("math.trunc(-1.9)", -1.0),
        ("math.abs(-3)", 3),
        ("math.abs(3u)", UInt(3)),
        ("math.sign(-3)", -1),
        ("math.sign(3u)", UInt(1)),
        ("math.sign(-2.5)", -1.0),
        ("math.sqrt(9)", 3.0),
        ("math.sqrt(2.25)", 1.5),
        ("math.isNaN(math.sqrt(-1))", True),
        ("math.bitAnd(6, 3)", 2),
        ("math.bitOr(6u, 3u)", UInt(7)),
        ("math.bitXor(6, 3)", 5),
        ("math.bitNot(0)", -1),
        ("math.bitShiftLeft(1, 63)", INT_MIN),
        ("math.bitShiftLeft(1u, 63)", UInt(1 << 63)),
        ("math.bitShiftRight(-1, 63)", 1),
        ("math.isInf(1.0 / 0.0)", True),
    ],
)
def test_functions(text: str, expected: object) -> None:
    made = value(text)
    assert made == expected
    assert type(made) is type(expected)


def test_rounding_keeps_the_sign_of_zero() -> None:
    assert math.copysign(1, value("math.ceil(-0.5)")) == -1
    assert math.isnan(value("math.floor(0.0 / 0.0)"))


@pytest.mark.parametrize(
    "text",
    [
        "math.greatest(dyn([]))",
        "math.greatest(dyn('a'))",
        "math.greatest([1, dyn('a')])",
        "math.least(dyn(true), 1)",
        "math.ceil(dyn(1))",
        "math.isNaN(dyn(1))",
        "math.abs(dyn('a'))",
        "math.abs(-9223372036854775808)",
        "math.sign(dyn('a'))",
        "math.sqrt(dyn('a'))",
        "math.bitAnd(dyn(1), 1u)",
        "math.bitNot(dyn(1.0))",
        "math.bitShiftLeft(1, -1)",
        "math.bitShiftRight(dyn(1.0), 1)",
    ],
)
def test_errors(text: str) -> None:
    assert failure(text)


@given(st.integers(INT_MIN, INT_MAX), st.integers(0, 70))
def test_shifts_work_on_64_bits(number: int, count: int) -> None:
    bits = number & UINT_MAX
    left = shift_left(FRAME, number, count)
    right = shift_right(FRAME, number, count)
    assert isinstance(left, int)
    assert left & UINT_MAX == (bits << count) & UINT_MAX
    assert INT_MIN <= left <= INT_MAX
    assert right == (bits >> count if count else number)


@given(st.integers(0, UINT_MAX))
def test_inverting_twice(number: int) -> None:
    assert bit_not(FRAME, bit_not(FRAME, UInt(number))) == number
