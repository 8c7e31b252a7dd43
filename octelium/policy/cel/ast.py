"""The checked tree of an expression, decoded from what `cel-expr-python` serialises.

That is a `google.protobuf.Any` around `cel.expr.CheckedExpr` or `ParsedExpr`
(https://github.com/google/cel-spec/blob/master/proto/cel/expr/checked.proto and syntax.proto).
Only the tree is taken from it; source positions and types are not needed to evaluate it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from octelium.policy.cel.errors import CompileError
from octelium.policy.cel.values import UInt

MAX_DEPTH = 128
"""Levels of a tree. The parser allows fewer; macros expand to several levels each."""


@dataclass(frozen=True, slots=True)
class Const:
    """A literal of type null, bool, int, uint, double, string or bytes."""

    value: object


@dataclass(frozen=True, slots=True)
class Ident:
    """A variable, or the name of a type."""

    name: str


@dataclass(frozen=True, slots=True)
class Select:
    """`operand.field`, or `has(operand.field)` with `test`."""

    operand: Node
    field: str
    test: bool


@dataclass(frozen=True, slots=True)
class Call:
    """A function or operator; `target` is what stands before the dot of a member call."""

    function: str
    target: Node | None
    args: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class ListNode:
    """A list literal."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class MapNode:
    """A map literal."""

    entries: tuple[tuple[Node, Node], ...]


@dataclass(frozen=True, slots=True)
class Fold:
    """A comprehension: what the macros `all`, `exists`, `map`, … and `cel.bind` expand to."""

    variable: str
    range: Node
    accumulator: str
    init: Node
    condition: Node
    step: Node
    result: Node


Node = Const | Ident | Select | Call | ListNode | MapNode | Fold


def decode(serialized: bytes) -> Node:
    """The tree of a serialised expression.

    Raises:
        CompileError: it constructs a message, uses optional syntax or is nested too deeply.
    """
    envelope = _message(serialized)
    checked = _text(envelope, 1).endswith("CheckedExpr")
    return _expr(_bytes(_message(_bytes(envelope, 2)), 4 if checked else 2), 0)


_Value = int | bytes
_Fields = dict[int, list[_Value]]


def _message(data: bytes) -> _Fields:
    """The fields of a message (https://protobuf.dev/programming-guides/encoding)."""
    message: _Fields = {}
    position, end = 0, len(data)
    while position < end:
        key, position = _varint(data, position)
        kind = key & 7
        value: _Value
        if kind == 0:
            value, position = _varint(data, position)
        else:
            length = _WIDTHS.get(kind, 0)
            if kind == 2:
                length, position = _varint(data, position)
            value = data[position : position + length]
            position += length
        message.setdefault(key >> 3, []).append(value)
    return message


_WIDTHS: Final = {1: 8, 5: 4}
"""Bytes of the fields of fixed width."""


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """A number and the position after it."""
    result = data[position]
    position += 1
    if result < 0x80:
        return result, position
    result &= 0x7F
    shift = 7
    while True:
        byte = data[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, position
        shift += 7


def _bytes(message: _Fields, number: int) -> bytes:
    value = message.get(number, [b""])[-1]
    assert isinstance(value, bytes)
    return value


def _text(message: _Fields, number: int) -> str:
    return _bytes(message, number).decode()


def _int(message: _Fields, number: int) -> int:
    value = message.get(number, [0])[-1]
    assert isinstance(value, int)
    return value


def _all(message: _Fields, number: int, depth: int) -> tuple[Node, ...]:
    return tuple(_expr(value, depth) for value in message.get(number, ()) if type(value) is bytes)


def _expr(data: bytes, depth: int) -> Node:
    if depth > MAX_DEPTH:
        raise CompileError(f"the expression is nested more than {MAX_DEPTH} levels deep")
    expr = _message(data)
    for number, build in _BUILDERS.items():
        if number in expr:
            return build(_message(_bytes(expr, number)), depth + 1)
    raise CompileError("the expression has a part of an unknown form")


def _const(constant: _Fields, _depth: int) -> Node:
    number = next(iter(constant), 1)
    match number:
        case 1:
            return Const(None)
        case 2:
            return Const(bool(_int(constant, 2)))
        case 3:
            value = _int(constant, 3)
            return Const(value - (1 << 64) if value >> 63 else value)
        case 4:
            return Const(UInt(_int(constant, 4)))
        case 5:
            return Const(struct.unpack("<d", _bytes(constant, 5))[0])
        case 6:
            return Const(_text(constant, 6))
        case 7:
            return Const(_bytes(constant, 7))
    raise CompileError("the expression has a constant of an unknown type")


def _ident(ident: _Fields, _depth: int) -> Node:
    return Ident(_text(ident, 1))


def _select(select: _Fields, depth: int) -> Node:
    return Select(_expr(_bytes(select, 1), depth), _text(select, 2), bool(_int(select, 3)))


def _call(call: _Fields, depth: int) -> Node:
    target = _expr(_bytes(call, 1), depth) if 1 in call else None
    return Call(_text(call, 2), target, _all(call, 3, depth))


def _list(items: _Fields, depth: int) -> Node:
    if 2 in items:
        raise CompileError("optional elements of lists are not offered")
    return ListNode(_all(items, 1, depth))


def _map(literal: _Fields, depth: int) -> Node:
    if _text(literal, 1):
        raise CompileError(f"messages such as {_text(literal, 1)} cannot be constructed")
    entries = []
    for data in literal.get(2, ()):
        assert isinstance(data, bytes)
        entry = _message(data)
        if 5 in entry:
            raise CompileError("optional entries of maps are not offered")
        entries.append((_expr(_bytes(entry, 3), depth), _expr(_bytes(entry, 4), depth)))
    return MapNode(tuple(entries))


def _fold(fold: _Fields, depth: int) -> Node:
    if 8 in fold:
        raise CompileError("macros with two variables are not offered")
    return Fold(
        variable=_text(fold, 1),
        range=_expr(_bytes(fold, 2), depth),
        accumulator=_text(fold, 3),
        init=_expr(_bytes(fold, 4), depth),
        condition=_expr(_bytes(fold, 5), depth),
        step=_expr(_bytes(fold, 6), depth),
        result=_expr(_bytes(fold, 7), depth),
    )


_BUILDERS = {3: _const, 4: _ident, 5: _select, 6: _call, 7: _list, 8: _map, 9: _fold}
