"""Making new trees of expressions from others."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from octelium.policy.cel.ast import Call, Const, Fold, Ident, ListNode, MapNode, Node, Select
from octelium.policy.cel.unparse import balanced, operands

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TRUE: Final = Const(value=True)
FALSE: Final = Const(value=False)


def conjunction(nodes: Sequence[Node]) -> Node:
    """`&&` of all nodes."""
    return _joined("_&&_", nodes, neutral=TRUE, decisive=FALSE)


def disjunction(nodes: Sequence[Node]) -> Node:
    """`||` of all nodes."""
    return _joined("_||_", nodes, neutral=FALSE, decisive=TRUE)


def _joined(operator: str, nodes: Sequence[Node], *, neutral: Node, decisive: Node) -> Node:
    if any(is_constant(node, decisive) for node in nodes):
        return decisive
    rest = [node for node in nodes if not is_constant(node, neutral)]
    if not rest:
        return neutral
    return balanced(operator, [leaf for node in rest for leaf in operands(node, operator)])


def negation(node: Node) -> Node:
    """`!node`."""
    if is_constant(node, TRUE):
        return FALSE
    if is_constant(node, FALSE):
        return TRUE
    if isinstance(node, Call) and node.function == "!_":
        return node.args[0]
    return Call("!_", None, (node,))


def is_constant(node: Node, constant: Node) -> bool:
    """Whether a node is `TRUE` (`FALSE`), and not a number that equals it."""
    return (
        isinstance(node, Const)
        and isinstance(constant, Const)
        and type(node.value) is bool
        and node.value is constant.value
    )


def substituted(node: Node, scope: Mapping[str, Node]) -> Node:
    """`node` with other trees, which must not use variables of loops, in place of variables."""
    if not scope:
        return node
    match node:
        case Ident(name=name):
            return scope.get(name, node)
        case Const():
            return node
        case Select(operand=operand):
            return replace(node, operand=substituted(operand, scope))
        case ListNode(items=items):
            return ListNode(tuple(substituted(item, scope) for item in items))
        case MapNode(entries=entries):
            return MapNode(
                tuple((substituted(k, scope), substituted(v, scope)) for k, v in entries)
            )
        case Call(function=function, target=target, args=args):
            return Call(
                function,
                None if target is None else substituted(target, scope),
                tuple(substituted(arg, scope) for arg in args),
            )
        case Fold():
            inner = {
                name: tree
                for name, tree in scope.items()
                if name not in (node.variable, node.accumulator)
            }
            return replace(
                node,
                range=substituted(node.range, scope),
                init=substituted(node.init, scope),
                condition=substituted(node.condition, inner),
                step=substituted(node.step, inner),
                result=substituted(node.result, inner),
            )


def binds(node: Node, names: frozenset[str]) -> bool:
    """Whether some loop or binding gives its variable one of `names`."""
    match node:
        case Fold():
            parts = (node.range, node.init, node.condition, node.step, node.result)
            return not names.isdisjoint((node.variable, node.accumulator)) or any(
                binds(part, names) for part in parts
            )
        case Select(operand=operand):
            return binds(operand, names)
        case ListNode(items=items):
            return any(binds(item, names) for item in items)
        case MapNode(entries=entries):
            return any(binds(part, names) for entry in entries for part in entry)
        case Call(target=target, args=args):
            operands = args if target is None else (target, *args)
            return any(binds(part, names) for part in operands)
    return False


def mentions(node: Node, name: str) -> bool:
    """Whether a variable of this name stands in a tree."""
    match node:
        case Ident():
            return node.name == name
        case Fold():
            parts = (node.range, node.init, node.condition, node.step, node.result)
            return any(mentions(part, name) for part in parts)
        case Select(operand=operand):
            return mentions(operand, name)
        case ListNode(items=items):
            return any(mentions(item, name) for item in items)
        case MapNode(entries=entries):
            return any(mentions(part, name) for entry in entries for part in entry)
        case Call(target=target, args=args):
            operands = args if target is None else (target, *args)
            return any(mentions(part, name) for part in operands)
    return False
