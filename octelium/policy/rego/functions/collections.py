"""Aggregates, arrays and sets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from octelium.policy.rego.functions.arguments import (
    array,
    aset,
    integer,
    members,
    num,
    wrong,
)
from octelium.policy.rego.functions.operators import plus, times
from octelium.policy.rego.needed import UNDEFINED
from octelium.policy.rego.values import Array, Meter, Object, Set, ordered

if TYPE_CHECKING:
    from octelium.policy.rego.functions.arguments import Functions

_SORT: Final = 4
"""What an element costs that is put in order."""


def _count(_: Meter, value: Any) -> int:
    if type(value) not in (Array, Object, Set, str):
        raise wrong(1, "array, object, set or string", value)
    return len(value)


def _sum(meter: Meter, values: Any) -> int | float:
    meter.charge(len(members(values)))
    total: int | float = 0
    for value in values:
        total = plus(meter, total, num(value))
    return total


def _product(meter: Meter, values: Any) -> int | float:
    meter.charge(len(members(values)))
    total: int | float = 1
    for value in values:
        total = times(meter, total, num(value))
    return total


def _max(meter: Meter, values: Any) -> Any:
    meter.charge(_SORT * len(members(values)))
    return ordered(values)[-1] if values else UNDEFINED


def _min(meter: Meter, values: Any) -> Any:
    meter.charge(_SORT * len(members(values)))
    return ordered(values)[0] if values else UNDEFINED


def _sort(meter: Meter, values: Any) -> Array:
    meter.charge(_SORT * len(members(values)))
    return Array(ordered(values))


def _concat(meter: Meter, left: Any, right: Any) -> Array:
    result = Array([*array(left), *array(right, 2)])
    meter.charge_size(result)
    return result


def _slice(meter: Meter, values: Any, start: Any, stop: Any) -> Array:
    size = len(array(values))
    first = min(max(integer(start, 2), 0), size)
    last = min(max(integer(stop, 3), 0), size)
    result = Array(values[first:last])
    meter.charge_size(result)
    return result


def _reverse(meter: Meter, values: Any) -> Array:
    meter.charge_size(array(values))
    return Array(reversed(values))


def _flatten(meter: Meter, values: Any) -> Array:
    result: Array = Array()
    for value in array(values):
        if type(value) is Array:
            result.extend(value)
        else:
            result.append(value)
    meter.charge(len(result) + len(values))
    return result


def _intersection(meter: Meter, sets: Any) -> Set:
    meter.charge(len(aset(sets)))
    found = [aset(each) for each in sets]
    meter.charge(sum(map(len, found)))
    return Set(set[Any](found[0]).intersection(*found)) if found else Set()


def _union(meter: Meter, sets: Any) -> Set:
    meter.charge(len(aset(sets)))
    found = [aset(each) for each in sets]
    meter.charge(sum(map(len, found)))
    return Set(set[Any]().union(*found))


FUNCTIONS: Final[Functions] = {
    "array.concat": (_concat, 2),
    "array.flatten": (_flatten, 1),
    "array.reverse": (_reverse, 1),
    "array.slice": (_slice, 3),
    "count": (_count, 1),
    "intersection": (_intersection, 1),
    "max": (_max, 1),
    "min": (_min, 1),
    "product": (_product, 1),
    "sort": (_sort, 1),
    "sum": (_sum, 1),
    "union": (_union, 1),
}
