"""Arithmetic and ordering, with the overflow rules of 64-bit integers.

CEL specification, "Numeric values" and "Ordering operators": integer results that do not fit are
errors, divisions truncate towards zero, nothing converts between number types on its own.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from octelium.policy.cel.errors import BudgetError, CelError
from octelium.policy.cel.times import duration, timestamp
from octelium.policy.cel.values import (
    INT_MAX,
    INT_MIN,
    UINT_MAX,
    Duration,
    Frame,
    Timestamp,
    UInt,
    charge,
    equal,
    is_less,
    no_overload,
)

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_TEXT: Final = 4 * 1024 * 1024
"""Code points or bytes of a value that an expression makes."""
MAX_ITEMS: Final = 100_000
"""Elements of a list that an expression makes."""


def make_int(value: int) -> int:
    """`value`, or a CelError if it is no 64-bit integer."""
    if INT_MIN <= value <= INT_MAX:
        return value
    raise CelError("integer overflow")


def make_uint(value: int) -> UInt:
    """`value` as a uint, or a CelError if it is negative or too large."""
    if 0 <= value <= UINT_MAX:
        return UInt(value)
    raise CelError("unsigned integer overflow")


def check_size(frame: Frame, size: int, limit: int = MAX_TEXT) -> None:
    """Charge for making a value of `size`.

    Raises:
        BudgetError: it is larger than `limit`, or the budget is used up.
    """
    if size > limit:
        raise BudgetError(f"a value of size {size} is larger than {limit}")
    charge(frame, size >> 6)


def add(left: Any, right: Any, frame: Frame) -> object:
    """`left + right`."""
    kind, other = type(left), type(right)
    if kind is other:
        if kind is int:
            return make_int(left + right)
        if kind is float:
            return left + right
        if kind is UInt:
            return make_uint(int(left) + int(right))
        if kind is str or kind is bytes:
            check_size(frame, len(left) + len(right))
            return left + right
        if kind is list:
            check_size(frame, len(left) + len(right), MAX_ITEMS)
            return left + right
        if kind is Duration:
            return duration(left.ns + right.ns)
    if (kind is Timestamp and other is Duration) or (kind is Duration and other is Timestamp):
        return timestamp(left.ns + right.ns)
    raise no_overload("_+_", left, right)


def subtract(left: Any, right: Any, _frame: Frame) -> object:
    """`left - right`."""
    kind, other = type(left), type(right)
    if kind is other:
        if kind is int:
            return make_int(left - right)
        if kind is float:
            return left - right
        if kind is UInt:
            return make_uint(int(left) - int(right))
        if kind is Duration or kind is Timestamp:
            return duration(left.ns - right.ns)
    if kind is Timestamp and other is Duration:
        return timestamp(left.ns - right.ns)
    raise no_overload("_-_", left, right)


def multiply(left: Any, right: Any, _frame: Frame) -> object:
    """`left * right`."""
    kind = type(left)
    if kind is type(right):
        if kind is int:
            return make_int(left * right)
        if kind is float:
            return left * right
        if kind is UInt:
            return make_uint(int(left) * int(right))
    raise no_overload("_*_", left, right)


def divide(left: Any, right: Any, _frame: Frame) -> object:
    """`left / right`; integers truncate towards zero, doubles divide by zero to infinity."""
    kind = type(left)
    if kind is type(right):
        if kind is float:
            return _divide_doubles(left, right)
        if kind is int or kind is UInt:
            if right == 0:
                raise CelError("division by zero")
            if kind is UInt:
                return UInt(int(left) // int(right))
            quotient = abs(left) // abs(right)
            return make_int(quotient if (left < 0) == (right < 0) else -quotient)
    raise no_overload("_/_", left, right)


def _divide_doubles(left: float, right: float) -> float:
    if right:
        return left / right
    if math.isnan(left) or math.isnan(right) or not left:
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1.0, right)


def modulo(left: Any, right: Any, _frame: Frame) -> object:
    """`left % right` of integers; the result has the sign of `left`."""
    kind = type(left)
    if kind is type(right) and (kind is int or kind is UInt):
        if right == 0:
            raise CelError("modulus by zero")
        if kind is UInt:
            return UInt(int(left) % int(right))
        if left == INT_MIN and right == -1:
            raise CelError("integer overflow")
        rest: int = abs(left) % abs(right)
        return -rest if left < 0 else rest
    raise no_overload("_%_", left, right)


def negate(value: Any, _frame: Frame) -> object:
    """`-value`."""
    if type(value) is int:
        return make_int(-value)
    if type(value) is float:
        return -value
    raise no_overload("-_", value)


def less(left: Any, right: Any, frame: Frame) -> bool:
    """`left < right`."""
    result = is_less(left, right, frame)
    if result is None:
        raise no_overload("_<_", left, right)
    return result


def greater(left: Any, right: Any, frame: Frame) -> bool:
    """`left > right`."""
    result = is_less(right, left, frame)
    if result is None:
        raise no_overload("_>_", left, right)
    return result


def less_equal(left: Any, right: Any, frame: Frame) -> bool:
    """`left <= right`."""
    return less(left, right, frame) or equal(left, right, frame)


def greater_equal(left: Any, right: Any, frame: Frame) -> bool:
    """`left >= right`."""
    return greater(left, right, frame) or equal(left, right, frame)


BINARY: Final[dict[str, Callable[[Any, Any, Frame], object]]] = {
    "_+_": add,
    "_-_": subtract,
    "_*_": multiply,
    "_/_": divide,
    "_%_": modulo,
    "_<_": less,
    "_<=_": less_equal,
    "_>_": greater,
    "_>=_": greater_equal,
}
