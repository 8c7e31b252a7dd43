"""Calls of functions: what they take, what they result in, and what they never work on."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Final

from octelium.policy.lint.inferred import Can, Inferred, failed, valued
from octelium.policy.lint.wording import conversion, described, text_of
from octelium.policy.shape.shape import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    INT,
    NUMBERS,
    OPEN,
    OPEN_MAP,
    STRING,
    TIMESTAMP,
    TYPE,
    UINT,
    Kind,
    Shape,
    list_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from octelium.policy.cel.ast import Call, Node
    from octelium.policy.lint.finding import Notes

_TEXT: Final = frozenset({Kind.STRING})
_WHOLE: Final = frozenset({Kind.INT})
_LIST: Final = frozenset({Kind.LIST})
_INSTANT: Final = frozenset({Kind.TIMESTAMP})
_CLOCK: Final = frozenset({Kind.TIMESTAMP, Kind.DURATION})
_ANY: Final = frozenset(Kind)

Signature = tuple[tuple[frozenset[Kind], ...], Shape]
"""The kinds of the arguments, the target of a member call first, and the result."""

_DATES: Final = (
    "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear", "getFullYear", "getMonth",
)  # fmt: skip

SIGNATURES: Final[Mapping[str, Signature]] = {
    **dict.fromkeys(("contains", "startsWith", "endsWith", "matches"), ((_TEXT, _TEXT), BOOL)),
    **dict.fromkeys(
        ("lowerAscii", "upperAscii", "toLower", "toUpper", "trim", "reverse", "strings.quote"),
        ((_TEXT,), STRING),
    ),
    **dict.fromkeys(("indexOf", "lastIndexOf"), ((_TEXT, _TEXT, _WHOLE), INT)),
    "charAt": ((_TEXT, _WHOLE), STRING),
    "replace": ((_TEXT, _TEXT, _TEXT, _WHOLE), STRING),
    "substring": ((_TEXT, _WHOLE, _WHOLE), STRING),
    "split": ((_TEXT, _TEXT, _WHOLE), list_of(STRING)),
    "format": ((_TEXT, _LIST), STRING),
    "join": ((_LIST, _TEXT), STRING),
    "hasAny": ((_LIST, _LIST), BOOL),
    "hasAll": ((_LIST, _LIST), BOOL),
    **dict.fromkeys(
        ("net.isIP", "net.isIPv4", "net.isIPv6", "net.isPrivateIP"), ((_TEXT,), BOOL)
    ),
    "net.isIPInRange": ((_TEXT, _TEXT), BOOL),
    "json.parse": ((_TEXT,), OPEN_MAP),
    "json.marshal": ((_ANY,), STRING),
    **dict.fromkeys(
        (
            "time.isWeekday", "time.isWeekend", "time.isWeekdayInTZ", "time.isWeekendInTZ",
        ),
        ((_INSTANT, _TEXT), BOOL),
    ),
    **dict.fromkeys(_DATES, ((_INSTANT, _TEXT), INT)),
    **dict.fromkeys(
        ("getHours", "getMinutes", "getSeconds", "getMilliseconds"), ((_CLOCK, _TEXT), INT)
    ),
    "now": ((), TIMESTAMP),
    "timestamp": ((frozenset({Kind.STRING, Kind.INT, Kind.TIMESTAMP}),), TIMESTAMP),
    "duration": ((frozenset({Kind.STRING, Kind.INT, Kind.DURATION}),), DURATION),
    "int": ((NUMBERS | _TEXT | _CLOCK,), INT),
    "uint": ((NUMBERS | _TEXT,), UINT),
    "double": ((NUMBERS | _TEXT,), DOUBLE),
    "bool": ((frozenset({Kind.BOOL, Kind.STRING}),), BOOL),
    "bytes": ((frozenset({Kind.BYTES, Kind.STRING}),), BYTES),
    "string": ((_ANY - {Kind.LIST, Kind.MAP, Kind.NULL, Kind.TYPE},), STRING),
    "size": ((frozenset({Kind.STRING, Kind.BYTES, Kind.LIST, Kind.MAP}),), INT),
    "type": ((_ANY,), TYPE),
    "dyn": ((_ANY,), OPEN),
    "base64.encode": ((frozenset({Kind.BYTES}),), STRING),
    "base64.decode": ((_TEXT,), BYTES),
    **dict.fromkeys(("math.isNaN", "math.isInf", "math.isFinite"), ((NUMBERS,), BOOL)),
    **dict.fromkeys(("math.ceil", "math.floor", "math.round", "math.trunc"), ((NUMBERS,), DOUBLE)),
    "math.sqrt": ((NUMBERS,), DOUBLE),
}  # fmt: skip
"""Functions by name; of those that are not here any argument is fine and nothing is known."""

_FROM_LIST: Final = frozenset({"min", "max"})


def call(node: Call, name: str, args: Sequence[tuple[Node, Inferred]], notes: Notes) -> Inferred:
    """What the call of a function other than an operator can come to."""
    fails = reduce(or_, (inferred.fails for _, inferred in args), Can.NOTHING)
    if not all(inferred.has_value for _, inferred in args):
        return failed(fails)
    signature = SIGNATURES.get(name)
    if signature is None:
        item = args[0][1].shape.item if name in _FROM_LIST and args else None
        return valued(item or OPEN, fails | Can.ERROR)
    wanted, result = signature
    for position, ((_, inferred), kinds) in enumerate(zip(args, wanted, strict=False)):
        shape = inferred.shape
        if not shape.is_open and shape.kind not in kinds:
            notes.report(
                f"`{text_of(node)}` always fails: {name}() does not work on {described(shape)}",
                _remedy(name, args, position, kinds),
            )
            return failed(fails | Can.ERROR)
    if name == "size" and args[0][1].shape.sparse:
        result = result.as_sparse()
    return valued(result, fails | Can.ERROR)


def _remedy(
    name: str,
    args: Sequence[tuple[Node, Inferred]],
    position: int,
    kinds: frozenset[Kind],
) -> str:
    """What to write instead of the argument that does not fit."""
    part, inferred = args[position]
    text, shape = text_of(part), inferred.shape
    if name == "contains" and shape.kind is Kind.LIST and position == 0:
        return f"write {text_of(args[1][0])} in {text}"
    for kind in sorted(kinds, key=lambda kind: kind.name):
        if remedy := conversion(text, shape, Shape(kind)):
            return remedy
    if kinds == _TEXT and shape.kind in NUMBERS | {Kind.BOOL}:
        return f"write string({text})"
    if Kind.INT in kinds and shape.kind is Kind.DOUBLE:
        return f"numbers of ctx are doubles: write int({text})"
    return ""
