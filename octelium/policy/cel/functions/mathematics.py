"""Extension library "math": https://pkg.go.dev/github.com/google/cel-go/ext#Math."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from octelium.policy.cel.errors import CelError
from octelium.policy.cel.operators import make_int
from octelium.policy.cel.values import (
    INT_MIN,
    UINT_MAX,
    Frame,
    UInt,
    charge,
    is_number,
    no_overload,
)

if TYPE_CHECKING:
    from collections.abc import Callable


def _extreme(frame: Frame, name: str, values: tuple[object, ...]) -> object:
    items: Any = values
    if len(values) == 1 and type(values[0]) is list:
        items = values[0]
        charge(frame, len(items))
    if not items or not all(map(is_number, items)):
        raise no_overload(name, *values)
    return max(items) if name == "math.greatest" else min(items)


def greatest(frame: Frame, *values: object) -> object:
    """The largest of the numbers, or of one list of numbers; the first of equal ones."""
    return _extreme(frame, "math.greatest", values)


def least(frame: Frame, *values: object) -> object:
    """The smallest of the numbers, or of one list of numbers; the first of equal ones."""
    return _extreme(frame, "math.least", values)


def _of_double(name: str, function: Callable[[float], object]) -> Callable[..., object]:
    def call(_frame: Frame, value: Any) -> object:
        if type(value) is not float:
            raise no_overload(name, value)
        return function(value)

    return call


def _whole(function: Callable[[float], int]) -> Callable[[float], float]:
    def apply(value: float) -> float:
        if not math.isfinite(value) or not value:
            return value
        return math.copysign(float(function(value)), value)

    return apply


def _half_away(value: float) -> int:
    whole = math.trunc(value)
    if abs(value - whole) >= 0.5:
        return whole + (1 if value > 0 else -1)
    return whole


def absolute(_frame: Frame, value: Any) -> object:
    """`value` without its sign."""
    if type(value) is UInt:
        return value
    if type(value) is int:
        return make_int(abs(value))
    if type(value) is float:
        return abs(value)
    raise no_overload("math.abs", value)


def sign(_frame: Frame, value: Any) -> object:
    """-1, 0 or 1 of the type of `value`; NaN stays."""
    if not is_number(value):
        raise no_overload("math.sign", value)
    if type(value) is float and (math.isnan(value) or not value):
        return value
    return type(value)((value > 0) - (value < 0))


def square_root(_frame: Frame, value: Any) -> float:
    """The square root; NaN of a negative number."""
    if not is_number(value):
        raise no_overload("math.sqrt", value)
    return math.sqrt(value) if value >= 0 else math.nan


def _bits(name: str, function: Callable[[int, int], int]) -> Callable[..., object]:
    def call(_frame: Frame, left: Any, right: Any) -> object:
        if type(left) is not type(right) or type(left) not in (int, UInt):
            raise no_overload(name, left, right)
        return type(left)(function(left, right))

    return call


def bit_not(_frame: Frame, value: Any) -> object:
    """All bits inverted."""
    if type(value) is int:
        return ~value
    if type(value) is UInt:
        return UInt(int(value) ^ UINT_MAX)
    raise no_overload("math.bitNot", value)


def shift_left(_frame: Frame, value: Any, count: Any) -> object:
    """`value` shifted towards its high bits, which are lost; 0 by 64 and more."""
    _check_shift("math.bitShiftLeft", value, count)
    bits = (int(value) << count) & UINT_MAX if count < 64 else 0
    return _of_bits(value, bits)


def shift_right(_frame: Frame, value: Any, count: Any) -> object:
    """`value` shifted towards its low bits, filled with 0 also for negative ones."""
    _check_shift("math.bitShiftRight", value, count)
    return _of_bits(value, (int(value) & UINT_MAX) >> min(count, 64))


def _check_shift(name: str, value: object, count: object) -> None:
    if type(value) not in (int, UInt) or type(count) is not int:
        raise no_overload(name, value, count)
    if count < 0:
        raise CelError(f"{name}(): negative offset")


def _of_bits(like: object, bits: int) -> object:
    if type(like) is UInt:
        return UInt(bits)
    return bits + 2 * INT_MIN if bits >> 63 else bits


_CALLS: Final[dict[str, Callable[..., object]]] = {
    "math.ceil": _of_double("math.ceil", _whole(math.ceil)),
    "math.floor": _of_double("math.floor", _whole(math.floor)),
    "math.round": _of_double("math.round", _whole(_half_away)),
    "math.trunc": _of_double("math.trunc", _whole(math.trunc)),
    "math.isNaN": _of_double("math.isNaN", math.isnan),
    "math.isInf": _of_double("math.isInf", math.isinf),
    "math.isFinite": _of_double("math.isFinite", math.isfinite),
    "math.abs": absolute,
    "math.sign": sign,
    "math.sqrt": square_root,
    "math.bitNot": bit_not,
}

FUNCTIONS: Final[dict[tuple[str, int], Callable[..., object]]] = {
    ("math.@max", 1): greatest,
    ("math.@max", 2): greatest,
    ("math.@min", 1): least,
    ("math.@min", 2): least,
    ("math.bitAnd", 2): _bits("math.bitAnd", int.__and__),
    ("math.bitOr", 2): _bits("math.bitOr", int.__or__),
    ("math.bitXor", 2): _bits("math.bitXor", int.__xor__),
    ("math.bitShiftLeft", 2): shift_left,
    ("math.bitShiftRight", 2): shift_right,
    **{(name, 1): function for name, function in _CALLS.items()},
}
