"""What infix operators stand for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from octelium.policy.rego.functions.arguments import integer, num, wrong
from octelium.policy.rego.needed import RegoError
from octelium.policy.rego.values import (
    Array,
    Boolean,
    Meter,
    Object,
    Set,
    boolean,
    compare,
    number,
)

if TYPE_CHECKING:
    from octelium.policy.rego.functions.arguments import Functions

_COLLECTIONS: Final = frozenset({Array, Object, Set})


def _charge(meter: Meter, left: Any, right: Any) -> None:
    if type(left) in _COLLECTIONS or type(left) is str:
        meter.charge_size(left)
    if type(right) in _COLLECTIONS or type(right) is str:
        meter.charge_size(right)


def equal(meter: Meter, left: Any, right: Any) -> Boolean:
    """`==`."""
    _charge(meter, left, right)
    return boolean(left == right)


def _unequal(meter: Meter, left: Any, right: Any) -> Boolean:
    _charge(meter, left, right)
    return boolean(left != right)


def _less(meter: Meter, left: Any, right: Any) -> Boolean:
    _charge(meter, left, right)
    return boolean(compare(left, right) < 0)


def _less_equal(meter: Meter, left: Any, right: Any) -> Boolean:
    _charge(meter, left, right)
    return boolean(compare(left, right) <= 0)


def _greater(meter: Meter, left: Any, right: Any) -> Boolean:
    _charge(meter, left, right)
    return boolean(compare(left, right) > 0)


def _greater_equal(meter: Meter, left: Any, right: Any) -> Boolean:
    _charge(meter, left, right)
    return boolean(compare(left, right) >= 0)


def plus(_: Meter, left: Any, right: Any) -> int | float:
    """`+`."""
    return number(num(left) + num(right, 2))


def _minus(meter: Meter, left: Any, right: Any) -> Any:
    if type(left) is Set and type(right) is Set:
        meter.charge_size(left)
        return Set(left - right)
    if type(left) is Set:
        raise wrong(2, "set", right)
    return number(num(left) - num(right, 2))


def times(_: Meter, left: Any, right: Any) -> int | float:
    """`*`."""
    return number(num(left) * num(right, 2))


def _divided(_: Meter, left: Any, right: Any) -> int | float:
    left, right = num(left), num(right, 2)
    if right == 0:
        raise RegoError("divide by zero")
    if type(left) is int and type(right) is int and left % right == 0:
        return left // right
    try:
        return number(left / right)
    except OverflowError:
        raise RegoError("the result is too large") from None


def _remainder(_: Meter, left: Any, right: Any) -> int:
    left, right = integer(left), integer(right, 2)
    if right == 0:
        raise RegoError("modulo by zero")
    result: int = abs(left) % abs(right)
    return -result if left < 0 else result


def _both(meter: Meter, left: Any, right: Any) -> Set:
    if type(left) is not Set or type(right) is not Set:
        raise wrong(1, "set", left) if type(left) is not Set else wrong(2, "set", right)
    meter.charge_size(left)
    return Set(left & right)


def _either(meter: Meter, left: Any, right: Any) -> Set:
    if type(left) is not Set or type(right) is not Set:
        raise wrong(1, "set", left) if type(left) is not Set else wrong(2, "set", right)
    meter.charge_size(left)
    meter.charge_size(right)
    return Set(left | right)


def _member(meter: Meter, value: Any, where: Any) -> Boolean:
    if type(where) is Set:
        return boolean(value in where)
    if type(where) is Array:
        meter.charge_size(where)
        return boolean(value in where)
    if type(where) is Object:
        meter.charge_size(where)
        return boolean(value in where.values())
    return boolean(0)


def _member_with_key(_: Meter, key: Any, value: Any, where: Any) -> Boolean:
    if type(where) is Set:
        return boolean(key == value and value in where)
    if type(where) is Object:
        return boolean(key in where and where[key] == value)
    if type(where) is Array:
        fits = type(key) is int and 0 <= key < len(where)
        return boolean(fits and where[key] == value)
    return boolean(0)


FUNCTIONS: Final[Functions] = {
    "and": (_both, 2),
    "div": (_divided, 2),
    "equal": (equal, 2),
    "gt": (_greater, 2),
    "gte": (_greater_equal, 2),
    "internal.member_2": (_member, 2),
    "internal.member_3": (_member_with_key, 3),
    "lt": (_less, 2),
    "lte": (_less_equal, 2),
    "minus": (_minus, 2),
    "mul": (times, 2),
    "neq": (_unequal, 2),
    "or": (_either, 2),
    "plus": (plus, 2),
    "rem": (_remainder, 2),
}
