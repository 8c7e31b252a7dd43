"""Ordering and arithmetic between operands that do not go together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from octelium.policy.cel.ast import Call, Const, Node
from octelium.policy.lint.inferred import Can, Inferred, decided, failed, valued
from octelium.policy.lint.wording import conversion, described, text_of
from octelium.policy.shape.shape import NUMBERS, OPEN, Kind, Meaning, Shape

if TYPE_CHECKING:
    from octelium.policy.lint.finding import Notes

_ORDERINGS: Final = {"_<_": "<", "_<=_": "<=", "_>_": ">", "_>=_": ">="}
_ARITHMETIC: Final = {"_+_": "+", "_-_": "-", "_*_": "*", "_/_": "/", "_%_": "%"}
SIGNS: Final = {**_ORDERINGS, **_ARITHMETIC}
"""The operators that `operation` knows, by the names of their functions."""

_ORDERED: Final = frozenset(
    {Kind.BOOL, Kind.STRING, Kind.BYTES, Kind.TIMESTAMP, Kind.DURATION} | NUMBERS
)
_RESULTS: Final = {
    ("+", Kind.STRING, Kind.STRING): Kind.STRING,
    ("+", Kind.BYTES, Kind.BYTES): Kind.BYTES,
    ("+", Kind.LIST, Kind.LIST): Kind.LIST,
    ("+", Kind.DURATION, Kind.DURATION): Kind.DURATION,
    ("+", Kind.TIMESTAMP, Kind.DURATION): Kind.TIMESTAMP,
    ("+", Kind.DURATION, Kind.TIMESTAMP): Kind.TIMESTAMP,
    ("-", Kind.TIMESTAMP, Kind.DURATION): Kind.TIMESTAMP,
    ("-", Kind.TIMESTAMP, Kind.TIMESTAMP): Kind.DURATION,
    ("-", Kind.DURATION, Kind.DURATION): Kind.DURATION,
    **{(sign, kind, kind): kind for sign in "+-*/%" for kind in (Kind.INT, Kind.UINT)},
    **{(sign, Kind.DOUBLE, Kind.DOUBLE): Kind.DOUBLE for sign in "+-*/"},
}


def operation(node: Call, left: Inferred, right: Inferred, notes: Notes) -> Inferred:
    """What an operator of two sides can come to."""
    fails = left.fails | right.fails
    if not (left.has_value and right.has_value):
        return failed(fails)
    one, other = left.shape, right.shape
    if node.function in _ORDERINGS:
        if one.is_open or other.is_open:
            return decided(Can.EITHER | Can.ERROR | fails)
        if (one.kind is other.kind and one.kind in _ORDERED) or {one.kind, other.kind} <= NUMBERS:
            _report_texts(node, one, other, notes)
            return decided(Can.EITHER | fails)
    else:
        if one.is_open or other.is_open:
            return valued(OPEN, fails | Can.ERROR)
        result = _RESULTS.get((SIGNS[node.function], one.kind, other.kind))
        if result is not None:
            item = one.item if one.item == other.item else None
            return valued(Shape(result, item=item), fails | Can.ERROR)
    _report(node, one, other, notes)
    return failed(fails | Can.ERROR)


def _report_texts(node: Call, one: Shape, other: Shape, notes: Notes) -> None:
    """Texts have an order, but not the one of what they stand for."""
    for part, shape in zip(node.args, (one, other), strict=True):
        if shape.meaning in (Meaning.NUMBER, Meaning.INSTANT):
            path = text_of(part)
            notes.report(
                f"`{path}` is {described(shape)}, and texts are ordered by their characters",
                f"write {shape.meaning.value}({path})",
            )


def _report(node: Call, one: Shape, other: Shape, notes: Notes) -> None:
    sign = SIGNS[node.function]
    left, right = (node.args[0], one), (node.args[1], other)
    notes.report(
        f"`{text_of(node)}` always fails: `{sign}` does not work on {described(one)} and "
        f"{described(other)}",
        _remedy(sign, left, right) or _remedy(sign, right, left),
    )


def _remedy(sign: str, side: tuple[Node, Shape], against: tuple[Node, Shape]) -> str:
    """What to write in place of `side` so that it goes with the other operand."""
    (node, shape), (_, wanted) = side, against
    if sign != "%" and wanted.kind is Kind.DOUBLE:
        if isinstance(node, Const) and type(node.value) is int:
            number = repr(float(node.value))
            return f"numbers of ctx are doubles: write {number}, and compare the result with those"
        if shape.kind is Kind.INT:
            return f"numbers of ctx are doubles: write double({text_of(node)})"
    text = text_of(node)
    if sign == "%" and shape.kind is Kind.DOUBLE:
        return f"numbers of ctx are doubles: write int({text})"
    if sign == "+" and wanted.kind is Kind.STRING and shape.kind in NUMBERS | {Kind.BOOL}:
        return f"write string({text})"
    return conversion(text, shape, wanted)
