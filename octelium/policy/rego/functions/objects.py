"""Objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from octelium.policy.rego.functions.arguments import array, mapping, wrong
from octelium.policy.rego.needed import RegoError
from octelium.policy.rego.values import MAX_DEPTH, Array, Boolean, Meter, Object, Set, boolean

if TYPE_CHECKING:
    from octelium.policy.rego.functions.arguments import Functions


def _get(meter: Meter, value: Any, key: Any, otherwise: Any) -> Any:
    mapping(value)
    if type(key) is not Array:
        return value.get(key, otherwise)
    found: Any = value
    meter.charge_size(key)
    for step in key:
        found = lookup(found, step)
        if found is _NOTHING:
            return otherwise
    return found


_NOTHING: Final = object()


def lookup(value: Any, key: Any, otherwise: Any = _NOTHING) -> Any:
    """The member of a collection at a key; `otherwise` if there is none."""
    kind = type(value)
    if kind is Object:
        return value.get(key, otherwise)
    if kind is Array:
        if type(key) is int and 0 <= key < len(value):
            return value[key]
    elif kind is Set and key in value:
        return key
    return otherwise


def _keys(meter: Meter, value: Any) -> Set:
    meter.charge_size(mapping(value))
    return Set(value)


def _names(value: Any) -> set[Any]:
    if type(value) not in (Array, Set, Object):
        raise wrong(2, "array, object or set", value)
    return set(value)


def _remove(meter: Meter, value: Any, keys: Any) -> Object:
    names = _names(keys)
    meter.charge_size(mapping(value))
    meter.charge_size(names)
    return Object({key: item for key, item in value.items() if key not in names})


def _filter(meter: Meter, value: Any, keys: Any) -> Object:
    names = _names(keys)
    meter.charge_size(mapping(value))
    meter.charge_size(names)
    return Object({key: item for key, item in value.items() if key in names})


def _union(meter: Meter, left: Any, right: Any) -> Object:
    return _merged(meter, mapping(left), mapping(right, 2), 0)


def _merged(meter: Meter, left: Object, right: Object, depth: int) -> Object:
    if depth > MAX_DEPTH:
        raise RegoError(f"objects are nested more than {MAX_DEPTH} levels deep")
    meter.charge(1 + len(left) + len(right))
    result = Object(left)
    for key, item in right.items():
        known: Any = result.get(key)
        both = type(known) is Object and type(item) is Object
        result[key] = _merged(meter, known, item, depth + 1) if both else item
    return result


def _union_n(meter: Meter, values: Any) -> Object:
    result = Object()
    for value in array(values):
        result = _merged(meter, result, mapping(value), 0)
    return result


def _subset(meter: Meter, whole: Any, part: Any) -> Boolean:
    kinds = type(whole), type(part)
    if kinds not in _COMPARABLE:
        raise RegoError("both arguments must be objects, sets or arrays, or an array and a set")
    return boolean(_is_subset(meter, whole, part, 0))


_COMPARABLE: Final = frozenset({(Object, Object), (Set, Set), (Array, Array), (Array, Set)})


def _is_subset(meter: Meter, whole: Any, part: Any, depth: int) -> bool:
    kinds = type(whole), type(part)
    if kinds not in _COMPARABLE:
        return bool(whole == part)
    if depth > MAX_DEPTH:
        raise RegoError(f"values are nested more than {MAX_DEPTH} levels deep")
    meter.charge(1 + len(whole) + len(part))
    if kinds == (Object, Object):
        return all(
            key in whole and _is_subset(meter, whole[key], item, depth + 1)
            for key, item in part.items()
        )
    if kinds == (Set, Set):
        return bool(part <= whole)
    if kinds == (Array, Set):
        return bool(part <= set(whole))
    meter.charge(len(whole) * len(part))
    size = len(part)
    return any(whole[at : at + size] == part for at in range(len(whole) - size + 1))


FUNCTIONS: Final[Functions] = {
    "object.filter": (_filter, 2),
    "object.get": (_get, 3),
    "object.keys": (_keys, 1),
    "object.remove": (_remove, 2),
    "object.subset": (_subset, 2),
    "object.union": (_union, 2),
    "object.union_n": (_union_n, 1),
}
