"""How findings speak of values and of what would bring them together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from octelium.policy.cel.ast import Call, Const, Node, Select
from octelium.policy.cel.unparse import unparse
from octelium.policy.cel.values import UInt
from octelium.policy.shape.shape import (
    BOOL,
    BYTES,
    DOUBLE,
    INT,
    NULL,
    NUMBERS,
    STRING,
    UINT,
    Kind,
    Meaning,
    Shape,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_LONGEST: Final = 120
"""Characters of a part that are shown."""
_MEANINGS: Final = {
    Meaning.NUMBER: "an integer in a text",
    Meaning.INSTANT: "an instant in a text",
    Meaning.DATA: "base64 text",
}
_READS: Final[Mapping[Meaning, frozenset[Kind]]] = {
    Meaning.NUMBER: NUMBERS,
    Meaning.INSTANT: frozenset({Kind.TIMESTAMP, Kind.DURATION}),
    Meaning.DATA: frozenset({Kind.BYTES}),
}
_LITERALS: Final[Mapping[type, Shape]] = {
    type(None): NULL,
    bool: BOOL,
    int: INT,
    UInt: UINT,
    float: DOUBLE,
    str: STRING,
    bytes: BYTES,
}


def text_of(node: Node) -> str:
    """The text of a part; of a long one the beginning."""
    return shortened(unparse(node))


def shortened(text: str) -> str:
    """A text, or the beginning of a long one."""
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def shape_of(literal: Const) -> Shape:
    """The shape of a literal."""
    return _LITERALS[type(literal.value)]


def described(shape: Shape) -> str:
    """What stands at a place, for people."""
    return shape.words if shape.meaning is None else _MEANINGS[shape.meaning]


def conversion(text: str, shape: Shape, wanted: Shape) -> str:
    """What to write to bring the value of `text` to the type of `wanted`; may be empty."""
    if shape.meaning is not None and wanted.kind in _READS[shape.meaning]:
        return f"write {shape.meaning.value}({text})"
    return ""


def absence(node: Node, text: str) -> str:
    """How to ask whether what stands at a node is absent; empty if that cannot be asked."""
    if isinstance(node, Select):
        return f"write !has({text})"
    return ""


def canonical(node: Node) -> Node:
    """The same path with `["name"]` written as `.name`."""
    match node:
        case Call("_[_]", None, (container, Const(value=str(key)))) if key.isidentifier():
            return Select(canonical(container), key, test=False)
        case Select(operand=operand, field=field, test=test):
            return Select(canonical(operand), field, test)
    return node
