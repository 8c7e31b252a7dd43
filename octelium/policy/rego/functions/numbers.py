"""Numbers and bits."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from octelium.policy.rego.functions.arguments import MAX_ITEMS, integer, num
from octelium.policy.rego.needed import RegoError
from octelium.policy.rego.values import Array, Meter, number

if TYPE_CHECKING:
    from octelium.policy.rego.functions.arguments import Functions

_MAX_SHIFT: Final = 1000


def _abs(_: Meter, value: Any) -> int | float:
    return abs(num(value))


def _round(_: Meter, value: Any) -> int | float:
    """Half away from zero."""
    value = num(value)
    if type(value) is int:
        return value
    return int(math.floor(abs(value) + 0.5) * math.copysign(1, value))


def _ceil(_: Meter, value: Any) -> int:
    return math.ceil(num(value))


def _floor(_: Meter, value: Any) -> int:
    return math.floor(num(value))


def _range(meter: Meter, first: Any, last: Any) -> Array:
    return _steps(meter, integer(first), integer(last, 2), 1)


def _range_step(meter: Meter, first: Any, last: Any, step: Any) -> Array:
    size = integer(step, 3)
    if size <= 0:
        raise RegoError("step must be a positive number above zero")
    return _steps(meter, integer(first), integer(last, 2), size)


def _steps(meter: Meter, first: int, last: int, step: int) -> Array:
    count = abs(last - first) // step + 1
    if count > MAX_ITEMS:
        raise RegoError(f"a range has more than {MAX_ITEMS} elements")
    meter.charge(count)
    sign = 1 if last >= first else -1
    return Array(range(first, last + sign, sign * step))


def _and(_: Meter, left: Any, right: Any) -> int:
    return integer(left) & integer(right, 2)


def _or(_: Meter, left: Any, right: Any) -> int:
    return integer(left) | integer(right, 2)


def _xor(_: Meter, left: Any, right: Any) -> int:
    return integer(left) ^ integer(right, 2)


def _negate(_: Meter, value: Any) -> int:
    return ~integer(value)


def _shift(value: Any) -> int:
    count = integer(value, 2)
    if not 0 <= count <= _MAX_SHIFT:
        raise RegoError(f"a shift must be between 0 and {_MAX_SHIFT}")
    return count


def _left(_: Meter, value: Any, count: Any) -> int:
    return int(number(integer(value) << _shift(count)))


def _right(_: Meter, value: Any, count: Any) -> int:
    return integer(value) >> _shift(count)


FUNCTIONS: Final[Functions] = {
    "abs": (_abs, 1),
    "bits.and": (_and, 2),
    "bits.lsh": (_left, 2),
    "bits.negate": (_negate, 1),
    "bits.or": (_or, 2),
    "bits.rsh": (_right, 2),
    "bits.xor": (_xor, 2),
    "ceil": (_ceil, 1),
    "floor": (_floor, 1),
    "numbers.range": (_range, 2),
    "numbers.range_step": (_range_step, 3),
    "round": (_round, 1),
}
