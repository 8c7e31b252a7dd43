"""CEL's values in Python, their types, equality and order.

| CEL | Python |
|---|---|
| null, bool, int, double, string, bytes | None, bool, int, float, str, bytes |
| uint | `UInt` |
| list | list |
| map | dict; bools among its keys are `TRUE_KEY` and `FALSE_KEY`, as Python's equal 1 and 0 |
| timestamp, duration | `Timestamp`, `Duration` |
| type | `CelType` |

Equality across types and numeric comparison follow the CEL specification, "Equality" and
"Ordering operators": numbers of any type compare with each other, other mixed types are unequal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from octelium.policy.cel.errors import BudgetError, CelError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

INT_MIN: Final = -(1 << 63)
INT_MAX: Final = (1 << 63) - 1
UINT_MAX: Final = (1 << 64) - 1

SECOND: Final = 1_000_000_000
"""Nanoseconds."""

LONG: Final = 1024
"""Code points or bytes from which on comparing a text is charged."""

Frame = list[object]
"""What an evaluation works on: `CTX` to `REGO`, then one slot per variable."""

CTX: Final = 0
ATTRS: Final = 1
BUDGET: Final = 2
"""Steps that may still be made, an int."""
NOW: Final = 3
"""`now()` as a `Timestamp`; None while it is not known."""
REGO: Final = 4
"""Results of Rego modules that are at hand, by `octelium.policy.rego.needed.Key`, or None."""
LOCALS: Final = 5
MAX_SLOTS: Final = 32
"""Variables that may be bound at once."""

ABSENT: Final = object()
"""In a slot of the frame: the variable has no value in this evaluation."""


class UInt(int):
    """CEL's uint."""

    __slots__ = ()


class Timestamp:
    """An instant: nanoseconds since 1970-01-01T00:00:00Z."""

    __slots__ = ("ns",)

    def __init__(self, ns: int) -> None:
        self.ns = ns

    def __eq__(self, other: object) -> bool:
        return type(other) is Timestamp and self.ns == other.ns

    def __lt__(self, other: Timestamp) -> bool:
        return self.ns < other.ns

    def __hash__(self) -> int:
        return hash(("Timestamp", self.ns))

    def __repr__(self) -> str:
        return f"Timestamp({self.ns})"


class Duration:
    """A span of time in nanoseconds."""

    __slots__ = ("ns",)

    def __init__(self, ns: int) -> None:
        self.ns = ns

    def __eq__(self, other: object) -> bool:
        return type(other) is Duration and self.ns == other.ns

    def __lt__(self, other: Duration) -> bool:
        return self.ns < other.ns

    def __hash__(self) -> int:
        return hash(("Duration", self.ns))

    def __repr__(self) -> str:
        return f"Duration({self.ns})"


class CelType:
    """A type as a value, such as `int` or `type(ctx)`."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __eq__(self, other: object) -> bool:
        return type(other) is CelType and self.name == other.name

    def __hash__(self) -> int:
        return hash(("CelType", self.name))

    def __repr__(self) -> str:
        return f"CelType({self.name})"


class _BoolKey:
    """A bool among the keys of a map."""

    __slots__ = ("value",)

    def __init__(self, *, value: bool) -> None:
        self.value = value

    def __repr__(self) -> str:
        return f"key {self.value}"


TRUE_KEY: Final = _BoolKey(value=True)
FALSE_KEY: Final = _BoolKey(value=False)

TYPES: Final[dict[type, CelType]] = {
    type(None): CelType("null_type"),
    bool: CelType("bool"),
    int: CelType("int"),
    UInt: CelType("uint"),
    float: CelType("double"),
    str: CelType("string"),
    bytes: CelType("bytes"),
    list: CelType("list"),
    dict: CelType("map"),
    Timestamp: CelType("google.protobuf.Timestamp"),
    Duration: CelType("google.protobuf.Duration"),
    CelType: CelType("type"),
}
TYPE_NAMES: Final = {cel_type.name: cel_type for cel_type in TYPES.values()}

_NUMBERS: Final = frozenset({int, UInt, float})
_PLAIN: Final = frozenset(TYPES) - {list, dict}
_FIXED: Final = _PLAIN - {str, bytes}
"""Types whose values take no longer to compare than others of the type."""
_ORDERED: Final = frozenset({bool, int, UInt, float, str, bytes, Timestamp, Duration})


def type_of(value: object) -> CelType:
    """The CEL type of `value`."""
    cel_type = TYPES.get(type(value))
    if cel_type is None:
        raise CelError(f"a value of Python type {type(value).__name__} has no place in CEL")
    return cel_type


def type_name(value: object) -> str:
    """The name of `value`'s CEL type, for error texts."""
    cel_type = TYPES.get(type(value))
    return type(value).__name__ if cel_type is None else cel_type.name


def no_overload(function: str, *args: object) -> CelError:
    """No variant of `function` takes arguments of the types of `args`."""
    return CelError(f"no such overload: {function}({', '.join(map(type_name, args))})")


def is_number(value: object) -> bool:
    """Whether `value` is an int, uint or double."""
    return type(value) in _NUMBERS


def charge(frame: Frame, steps: int) -> None:
    """Take `steps` from what the evaluation may still do.

    Raises:
        BudgetError: nothing is left.
    """
    left = frame[BUDGET] - steps  # type: ignore[operator]  # slots are untyped; this one is an int
    frame[BUDGET] = left
    if left < 0:
        raise BudgetError("the evaluation takes more steps than it may")


def charge_comparison(left: Any, right: Any, frame: Frame) -> None:
    """Charge for comparing two texts, unless they are short or of different length."""
    if len(left) == len(right) and len(left) > LONG:
        charge(frame, len(left) >> 6)


def equal(left: object, right: object, frame: Frame) -> bool:
    """CEL's `==`, which is defined for values of any two types."""
    kind, other = type(left), type(right)
    if kind is other:
        if kind in _PLAIN:
            if kind is str or kind is bytes:
                charge_comparison(left, right, frame)
            return left == right
        if kind is list:
            return _equal_lists(left, right, frame)  # type: ignore[arg-type]  # both are lists
        if kind is dict:
            return _equal_maps(left, right, frame)  # type: ignore[arg-type]  # both are dicts
    return kind in _NUMBERS and other in _NUMBERS and _same_number(left, right)


def _same_number(left: object, right: object) -> bool:
    if type(left) is float or type(right) is float:
        return float(left) == float(right)  # type: ignore[arg-type]  # both are numbers
    return left == right


def _equal_lists(left: list[object], right: list[object], frame: Frame) -> bool:
    if len(left) != len(right):
        return False
    charge(frame, 12 + 3 * len(left))
    # No generator, no call for plain elements: deep values would need three times the stack.
    for a, b in zip(left, right, strict=True):
        kind = type(a)
        if kind in _FIXED and kind is type(b):
            if a != b:
                return False
        elif not equal(a, b, frame):
            return False
    return True


def _equal_maps(left: dict[object, object], right: dict[object, object], frame: Frame) -> bool:
    if len(left) != len(right):
        return False
    charge(frame, 12 + 3 * len(left))
    for key, value in left.items():
        if key not in right or not equal(value, right[key], frame):
            return False
    return True


def contains(container: Iterable[object], value: object, frame: Frame) -> bool:
    """Whether a list has an element equal to `value`."""
    items = container if isinstance(container, list) else list(container)
    if type(value) is str:
        charge(frame, (len(items) >> 2) + len(items) * (len(value) >> 6))
        return value in items
    charge(frame, 3 * len(items))
    return any(equal(value, item, frame) for item in items)


def is_less(left: Any, right: Any, frame: Frame) -> bool | None:
    """`left < right`, or None if the two have no order.

    An int or uint meets a double as the nearest double.
    """
    kind, other = type(left), type(right)
    if kind is other:
        if (kind is str or kind is bytes) and min(len(left), len(right)) > LONG:
            charge(frame, min(len(left), len(right)) >> 6)
        return bool(left < right) if kind in _ORDERED else None
    if kind in _NUMBERS and other in _NUMBERS:
        if kind is float or other is float:
            return float(left) < float(right)
        return bool(left < right)
    return None


def map_key(value: object) -> object:
    """How a key of a map literal is stored.

    Raises:
        CelError: the type cannot be a key.
    """
    kind = type(value)
    if kind is bool:
        return TRUE_KEY if value else FALSE_KEY
    if kind is str or kind is int or kind is UInt:
        return value
    raise CelError(f"unsupported key type: {type_name(value)}")


def lookup_key(value: object) -> object:
    """How a key that is looked for is stored; a double finds the int or uint that it equals.

    Raises:
        CelError: the type cannot be a key.
    """
    return value if type(value) is float else map_key(value)


def keys(mapping: dict[object, object]) -> Iterator[object]:
    """The keys of a map as CEL values."""
    return (key.value if type(key) is _BoolKey else key for key in mapping)


def plain_key(key: object) -> object:
    """A stored key as a CEL value."""
    return key.value if type(key) is _BoolKey else key


def normalized(value: object) -> object:
    """JSON data as CEL sees it: all numbers are doubles. Shares what needs no change."""
    kind = type(value)
    if kind is int:
        return float(value)  # type: ignore[arg-type]  # an int
    if kind is dict:
        return {key: normalized(item) for key, item in value.items()}  # type: ignore[attr-defined]
    if kind is list or kind is tuple:
        return [normalized(item) for item in value]  # type: ignore[attr-defined]  # a sequence
    return value
