"""Rego's values in Python, their order, and what work on them costs.

| Rego | Python |
|---|---|
| null, number, string | None, int or float, str |
| boolean | `TRUE`, `FALSE`: Python's own would equal 1 and 0 |
| array, object, set | `Array`, `Object`, `Set` |

Collections are changed while they are built and never again, so they can be hashed. A value may be
in another one many times without taking any memory for it, so work on a collection is charged by
all that is in it, and there is a limit to that. Comparing, hashing and ordering happen within
Python's own collections too; they are charged to the meter of the evaluation that the thread makes.

The order of
values of any two types is that of https://www.openpolicyagent.org/docs/policy-reference#comparison:
null, booleans, numbers, strings, arrays, objects, sets.
"""

from __future__ import annotations

import json
import math
import threading
import time
from functools import cmp_to_key
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from octelium.policy.rego.needed import RegoBudgetError, RegoError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

MAX_STEPS: Final = 2_000_000
"""Iterations, calls and work on large values in one evaluation: about a second."""
MAX_DEPTH: Final = 64
"""Collections within collections."""
MAX_NESTING: Final = 2 * MAX_DEPTH
"""The same for what is made of a document, and put in another."""
MAX_WEIGHT: Final = 1 << 19
"""Elements of an array with all that is in them, texts counted once more per 32 characters; what
else it takes to compare elements of sets and members of objects is in `_WEIGHTS`."""
MAX_INT: Final = 1 << 1024
"""Whole numbers beyond this are refused."""
LONG: Final = 256
"""Characters or elements from which on work is charged by size."""


class Boolean:
    """One of Rego's booleans."""

    __slots__ = ("_value",)

    def __init__(self, *, value: bool) -> None:
        self._value = value

    def __bool__(self) -> bool:
        return self._value

    def __repr__(self) -> str:
        return "true" if self._value else "false"


TRUE: Final = Boolean(value=True)
FALSE: Final = Boolean(value=False)


class Array(list[Any]):
    """An array."""

    __slots__ = ("digest", "size")
    digest: int
    size: tuple[int, int]

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if type(other) is Array:
            if len(self) != len(other):
                return False
            _charge_comparison(self, other)
        return list.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:  # type: ignore[override]  # nothing changes it any more
        try:
            return self.digest
        except AttributeError:
            charge(len(self) >> 4)
            self.digest = hash(tuple(self))
            return self.digest


class Object(dict[Any, Any]):
    """An object, whose keys may be any values."""

    __slots__ = ("digest", "size")
    digest: int
    size: tuple[int, int]

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if type(other) is Object:
            if len(self) != len(other):
                return False
            _charge_comparison(self, other)
        return dict.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:  # type: ignore[override]  # nothing changes it any more
        try:
            return self.digest
        except AttributeError:
            charge(len(self) >> 3)
            self.digest = hash(frozenset(self.items()))
            return self.digest


class Set(set[Any]):
    """A set."""

    __slots__ = ("digest", "size")
    digest: int
    size: tuple[int, int]

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if type(other) is Set:
            if len(self) != len(other):
                return False
            _charge_comparison(self, other)
        return set.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:  # type: ignore[override]  # nothing changes it any more
        try:
            return self.digest
        except AttributeError:
            charge(len(self) >> 4)
            self.digest = hash(frozenset(self))
            return self.digest


_WEIGHTS: Final[dict[type[Any], int]] = {Array: 1, Object: 5, Set: 4}
COLLECTIONS: Final = frozenset(_WEIGHTS)


class Meter:
    """What an evaluation may still do, and what it has found out that must stay the same.

    As a context it is the meter that `charge` charges in this thread.
    """

    __slots__ = ("_former", "chances", "left", "now_ns")

    def __init__(self, steps: int = MAX_STEPS, now_ns: int | None = None) -> None:
        self.left = steps
        self.now_ns = time.time_ns() if now_ns is None else now_ns
        """Nanoseconds since 1970."""
        self.chances: dict[Any, Any] = {}
        self._former: Meter | None = None

    def __enter__(self) -> None:
        self._former, _CURRENT.meter = _CURRENT.meter, self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        _CURRENT.meter, self._former = self._former, None

    def charge(self, steps: int) -> None:
        """Take `steps` from it.

        Raises:
            RegoBudgetError: nothing is left.
        """
        self.left -= steps
        if self.left < 0:
            raise RegoBudgetError("the evaluation takes more steps than it may")

    def charge_size(self, value: Any) -> None:
        """Charge for going through a text or a collection once."""
        size = len(value)
        if size > LONG:
            self.charge(size >> 5 if type(value) is str else size)


class _Current(threading.local):
    meter: Meter | None = None


_CURRENT: Final = _Current()


def charge(steps: int) -> None:
    """Charge the evaluation that this thread makes, if it makes one.

    Raises:
        RegoBudgetError: nothing is left.
    """
    meter = _CURRENT.meter
    if meter is not None:
        meter.charge(steps)


def _charge_comparison(left: Array | Object | Set, right: Array | Object | Set) -> None:
    charge(1 + (min(size_of(left)[0], size_of(right)[0]) >> 5))


def sized(value: Any) -> Any:
    """The value, unless it is too large or too deep with all that is in it.

    Raises:
        RegoError: it is.
    """
    if type(value) in COLLECTIONS:
        size_of(value)
    return value


def size_of(value: Array | Object | Set) -> tuple[int, int]:
    """Weight and depth of a collection, found once; see `MAX_WEIGHT`.

    Raises:
        RegoError: it is too large or too deep.
    """
    known: tuple[int, int] | None = getattr(value, "size", None)
    if known is not None:
        return known
    weight, depth = 1 + _WEIGHTS[type(value)] * len(value), 0
    members: Iterable[Any] = chain(value, value.values()) if type(value) is Object else value
    for member in members:
        kind = type(member)
        if kind is str:
            weight += len(member) >> 5
        elif kind in COLLECTIONS:
            size = size_of(member)
            weight += size[0]
            depth = max(depth, size[1])
    if weight > MAX_WEIGHT:
        raise RegoError("a value is too large with all that is in it")
    if depth >= MAX_NESTING:
        raise RegoError(f"a value is nested more than {MAX_NESTING} levels deep")
    value.size = weight, depth + 1
    return value.size


def forget_size(value: Object | Set) -> None:
    """Let a collection in the making be compared before it is complete."""
    try:
        del value.size
    except AttributeError:
        return


def boolean(value: object) -> Boolean:
    """A Python truth as a boolean."""
    return TRUE if value else FALSE


_RANKS: Final = {
    type(None): 0, Boolean: 1, int: 2, float: 2, str: 3, Array: 4, Object: 5, Set: 6,
}  # fmt: skip
_NAMES: Final = {
    type(None): "null",
    Boolean: "boolean",
    int: "number",
    float: "number",
    str: "string",
    Array: "array",
    Object: "object",
    Set: "set",
}


def type_name(value: object) -> str:
    """The name that `type_name` of the language gives."""
    return _NAMES[type(value)]


def compare(left: Any, right: Any) -> int:
    """Negative, zero or positive, as `left` stands before, at or after `right`."""
    rank = _RANKS[type(left)]
    difference = rank - _RANKS[type(right)]
    if difference or left is right:
        return difference
    if rank == 1:
        return bool(left) - bool(right)
    if rank < 4:
        if rank == 3:
            charge(min(len(left), len(right)) >> 10)
        return 0 if left == right else (-1 if left < right else 1)
    if rank == 5:
        return _compare_objects(left, right)
    if rank == 6:
        left, right = ordered(left), ordered(right)
    return _compare_lists(left, right)


def _compare_lists(left: list[Any], right: list[Any]) -> int:
    charge(1)
    for one, other in zip(left, right, strict=False):
        charge(1)
        difference = compare(one, other)
        if difference:
            return difference
    return len(left) - len(right)


def _compare_objects(left: Object, right: Object) -> int:
    keys, other_keys = ordered(left), ordered(right)
    charge(1)
    for key, other in zip(keys, other_keys, strict=False):
        charge(1)
        difference = compare(key, other) or compare(left[key], right[other])
        if difference:
            return difference
    return len(keys) - len(other_keys)


_BY_ORDER: Final[Callable[[Any], Any]] = cmp_to_key(compare)


def ordered(values: Iterable[Any]) -> list[Any]:
    """Values in their order."""
    items = list(values)
    charge(len(items) >> 2)
    kinds = {type(item) for item in items}
    if kinds == {str}:
        charge(sum(map(len, items)) >> 7)
        return sorted(items)
    if kinds <= {int, float}:
        return sorted(items)
    charge(len(items))
    return sorted(items, key=_BY_ORDER)


def from_json(value: object, meter: Meter, depth: int = 0) -> Any:
    """JSON data as a value, charged by its size.

    Raises:
        RegoBudgetError: it is too large.
        RegoError: it is nested too deeply.
    """
    kind = type(value)
    if kind is str or kind is int or kind is float or value is None:
        return value
    if kind is bool:
        return TRUE if value else FALSE
    if depth >= MAX_DEPTH:
        raise RegoError(f"a value is nested more than {MAX_DEPTH} levels deep")
    meter.charge(len(value) >> 2)  # type: ignore[arg-type]  # a dict or list
    if kind is dict:
        pairs = value.items()  # type: ignore[attr-defined]  # a dict
        return Object({key: from_json(item, meter, depth + 1) for key, item in pairs})
    return Array([from_json(item, meter, depth + 1) for item in value])  # type: ignore[attr-defined]


def to_json(value: Any, depth: int = 0) -> Any:
    """A value as JSON data: sets become arrays, keys of objects strings.

    Raises:
        RegoError: it is nested too deeply.
    """
    kind = type(value)
    if kind is str:
        charge(len(value) >> 5)
        return value
    if kind is int or kind is float or value is None:
        return value
    if kind is Boolean:
        return value is TRUE
    if depth >= MAX_DEPTH:
        raise RegoError(f"a value is nested more than {MAX_DEPTH} levels deep")
    charge(1 + len(value))
    if kind is Object:
        return {key_text(key): to_json(value[key], depth + 1) for key in ordered(value)}
    items = ordered(value) if kind is Set else value
    return [to_json(item, depth + 1) for item in items]


def key_text(key: Any) -> str:
    """A key of an object as JSON has it."""
    return key if type(key) is str else dump(key)


def dump(value: Any) -> str:
    """A value as JSON text, without spaces."""
    return json.dumps(to_json(value), separators=(",", ":"), ensure_ascii=False)


def number(value: float) -> int | float:
    """The result of arithmetic; whole numbers are ints as far as doubles count exactly.

    Raises:
        RegoError: it is no number, or too large.
    """
    if type(value) is float:
        if not math.isfinite(value):
            raise RegoError("the result is too large")
        return int(value) if value.is_integer() and abs(value) < 2**53 else value
    if not -MAX_INT < value < MAX_INT:
        raise RegoError("the result is too large")
    return value
