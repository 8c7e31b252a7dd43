"""Trees and values as CEL text.

The text of a tree parses to the same tree, with the macros that the parser expanded and hardly more
parentheses than precedence asks for (CEL specification, "Syntax"). Characters that cannot be seen
stand as escapes, so that a text shows all that it holds.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final

from octelium.policy.cel.ast import Call, Const, Fold, Ident, ListNode, MapNode, Node, Select
from octelium.policy.cel.folds import is_bind
from octelium.policy.cel.times import format_duration, format_timestamp
from octelium.policy.cel.values import CelType, Duration, Timestamp, UInt, plain_key, type_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_TERNARY, _OR, _AND, _RELATION, _SUM, _PRODUCT, _UNARY, _MEMBER = range(8)

_BINARY: Final = {
    "_==_": ("==", _RELATION),
    "_!=_": ("!=", _RELATION),
    "_<_": ("<", _RELATION),
    "_<=_": ("<=", _RELATION),
    "_>_": (">", _RELATION),
    "_>=_": (">=", _RELATION),
    "@in": ("in", _RELATION),
    "_+_": ("+", _SUM),
    "_-_": ("-", _SUM),
    "_*_": ("*", _PRODUCT),
    "_/_": ("/", _PRODUCT),
    "_%_": ("%", _PRODUCT),
}
_LOGIC: Final = {"_&&_": ("&&", _AND), "_||_": ("||", _OR)}
_UNARY_SIGNS: Final = {"!_": "!", "-_": "-"}
_EXTREMES: Final = {"math.@max": "math.greatest", "math.@min": "math.least"}
"""What the parser makes of two macros of the math extension; three arguments become a list."""

_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_RESERVED: Final = frozenset({"in", "true", "false", "null"})
_ESCAPES: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\", '"': '\\"'}


def unparse(node: Node) -> str:
    """The text of a tree.

    Raises:
        ValueError: the tree holds a loop that no macro makes.
    """
    return _text(node, _TERNARY)


def literal(value: object) -> str:
    """A value in CEL's notation, as an expression that results in it."""
    return "".join(pieces(value))


def pieces(value: object) -> Iterator[str]:
    """The text of `literal` bit by bit, for who wants no more than its beginning."""
    match value:
        case None:
            yield "null"
        case bool():
            yield "true" if value else "false"
        case UInt():
            yield f"{int(value)}u"
        case int():
            yield str(value)
        case float():
            yield _double(value)
        case str():
            yield quoted(value)
        case bytes():
            yield _bytes(value)
        case list():
            yield "["
            for index, item in enumerate(value):
                yield ", " if index else ""
                yield from pieces(item)
            yield "]"
        case dict():
            yield "{"
            for index, (key, item) in enumerate(value.items()):
                yield ", " if index else ""
                yield from pieces(plain_key(key))
                yield ": "
                yield from pieces(item)
            yield "}"
        case Timestamp():
            yield f'timestamp("{format_timestamp(value)}")'
        case Duration():
            yield f'duration("{format_duration(value)}")'
        case CelType():
            yield value.name
        case _:
            yield type_name(value)


def quoted(text: str) -> str:
    """A string literal."""
    return f'"{"".join(_ESCAPES.get(char) or _seen(char) for char in text)}"'


def escaped(text: str) -> str:
    """A text with whatever cannot be seen in it as escapes, for display."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_seen, text))


def _seen(char: str) -> str:
    if char.isprintable():
        return char
    code = ord(char)
    if char in _ESCAPES:
        return _ESCAPES[char]
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _double(value: float) -> str:
    if math.isnan(value):
        return 'double("NaN")'
    if math.isinf(value):
        return 'double("Infinity")' if value > 0 else 'double("-Infinity")'
    return repr(value)


def _bytes(value: bytes) -> str:
    shown = (
        chr(byte) if 0x20 <= byte < 0x7F and byte not in b'"\\' else f"\\x{byte:02x}"
        for byte in value
    )
    return f'b"{"".join(shown)}"'


def _text(node: Node, least: int) -> str:
    """The text of a node, in parentheses if it binds less than `least` asks."""
    text, binding = _bare(node)
    return f"({text})" if binding < least else text


def _bare(node: Node) -> tuple[str, int]:
    """The text of a node and how closely it binds."""
    match node:
        case Const(value=float() as value) if math.isinf(value):
            return ("1e999" if value > 0 else "-1e999"), _MEMBER if value > 0 else _UNARY
        case Const(value=value):
            text = literal(value)
            return text, _UNARY if text.startswith("-") else _MEMBER
        case Ident(name=name):
            return name, _MEMBER
        case Select(operand=operand, field=field, test=test):
            text = f"{_text(operand, _MEMBER)}.{_field(field)}"
            return (f"has({text})" if test else text), _MEMBER
        case Call():
            return _call(node)
        case ListNode(items=items):
            return f"[{_list(items)}]", _MEMBER
        case MapNode(entries=entries):
            pairs = (f"{_text(key, _OR)}: {_text(value, _TERNARY)}" for key, value in entries)
            return f"{{{', '.join(pairs)}}}", _MEMBER
        case Fold():
            return _macro(node), _MEMBER


def _field(name: str) -> str:
    if _IDENTIFIER.fullmatch(name) and name not in _RESERVED:
        return name
    return f"`{name}`"


def _list(nodes: Sequence[Node]) -> str:
    return ", ".join(_text(node, _TERNARY) for node in nodes)


def _call(node: Call) -> tuple[str, int]:
    name, args = node.function, node.args
    if node.target is not None:
        return f"{_text(node.target, _MEMBER)}.{name}({_list(args)})", _MEMBER
    if name in _LOGIC:
        return _logic(node)
    if name in _BINARY:
        sign, binding = _BINARY[name]
        # `a < b == c` is syntax, but nobody reads it.
        least = binding + (binding == _RELATION)
        return f"{_text(args[0], least)} {sign} {_text(args[1], binding + 1)}", binding
    if name in _UNARY_SIGNS:
        return _UNARY_SIGNS[name] + _negated(args[0]), _UNARY
    if name == "_?_:_":
        condition, yes, no = args
        text = f"{_text(condition, _OR)} ? {_text(yes, _OR)} : {_text(no, _TERNARY)}"
        return text, _TERNARY
    if name == "_[_]":
        return f"{_text(args[0], _MEMBER)}[{_text(args[1], _TERNARY)}]", _MEMBER
    if name in _EXTREMES:
        name = _EXTREMES[name]
        match args:
            case (ListNode(items=items),) if len(items) > 2:
                args = items
    return f"{name}({_list(args)})", _MEMBER


def _negated(node: Node) -> str:
    """What stands after `!` or `-`: another sign, or a number, would be taken together with it."""
    text, binding = _bare(node)
    number = isinstance(node, Const) and isinstance(node.value, int | float)
    return f"({text})" if binding <= _UNARY or number else text


def operands(node: Node, operator: str) -> list[Node]:
    """The leaves of a tree of one logical operator, from left to right."""
    if isinstance(node, Call) and node.function == operator and node.target is None:
        return [leaf for arg in node.args for leaf in operands(arg, operator)]
    return [node]


def _logic(node: Call) -> tuple[str, int]:
    sign, binding = _LOGIC[node.function]
    leaves = operands(node, node.function)
    if balanced(node.function, leaves) == node:
        return f" {sign} ".join(_text(leaf, binding + 1) for leaf in leaves), binding
    return f" {sign} ".join(_text(arg, binding + 1) for arg in node.args), binding


def balanced(operator: str, leaves: Sequence[Node]) -> Node:
    """The tree that the parser makes of a chain of one or more operands."""
    if len(leaves) == 1:
        return leaves[0]

    def tree(low: int, high: int) -> Node:
        middle = (low + high + 1) // 2
        left = leaves[middle] if middle == low else tree(low, middle - 1)
        right = leaves[middle + 1] if middle == high else tree(middle + 1, high)
        return Call(operator, None, (left, right))

    return tree(0, len(leaves) - 2)


def _macro(node: Fold) -> str:
    if is_bind(node):
        values = _list((node.init, node.result))
        return f"cel.bind({node.accumulator}, {values})"
    for recognise in _MACROS:
        found = recognise(node, Ident(node.accumulator))
        if found is not None:
            name, args = found
            target = _text(node.range, _MEMBER)
            return f"{target}.{name}({node.variable}, {_list(args)})"
    raise ValueError("the expression loops in a way that no known macro does")


_Found = tuple[str, tuple[Node, ...]] | None


def _quantifier(node: Fold, accumulator: Ident) -> _Found:
    match node.step:
        case Call("_&&_", None, (left, predicate)) if left == accumulator:
            return "all", (predicate,)
        case Call("_||_", None, (left, predicate)) if left == accumulator:
            return "exists", (predicate,)
    return None


def _exists_one(node: Fold, accumulator: Ident) -> _Found:
    match node.step:
        case Call("_?_:_", None, (predicate, Call("_+_", None, (left, Const(value=1))), other)) if (
            left == other == accumulator
        ):
            return "exists_one", (predicate,)
    return None


def _map(node: Fold, accumulator: Ident) -> _Found:
    match node.step:
        case Call("_+_", None, (left, ListNode((element,)))) if left == accumulator:
            return "map", (element,)
        case Call(
            "_?_:_", None, (predicate, Call("_+_", None, (left, ListNode((element,)))), other)
        ) if left == other == accumulator:
            if element == Ident(node.variable):
                return "filter", (predicate,)
            return "map", (predicate, element)
    return None


_MACROS: Final[tuple[Callable[[Fold, Ident], _Found], ...]] = (_quantifier, _exists_one, _map)
