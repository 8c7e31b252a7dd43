"""Expressions that are asked for nothing but their truth, as all conditions are.

Data that is not there is usual in conditions, and an error that most of them absorb. So a
predicate may result in `ABSENT` in place of that error: an exception costs as much as a whole
comparison. What has no form of its own here is evaluated as any other expression is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from octelium.policy.cel.ast import Call, Const, Node, Select
from octelium.policy.cel.compiler import (
    POLICY_SCOPE,
    Scope,
    compile_node,
    is_in,
    operands,
    path_in,
    texts_of,
)
from octelium.policy.cel.errors import CelError
from octelium.policy.cel.functions import FUNCTIONS
from octelium.policy.cel.logic import combine, conjunction
from octelium.policy.cel.paths import probe, subscripts, walk
from octelium.policy.cel.values import ABSENT, Frame, equal, no_overload, type_name

if TYPE_CHECKING:
    from collections.abc import Callable

    Closure = Callable[[Frame], object]


_TEXT_TESTS: Final = frozenset({"startsWith", "endsWith", "contains"})


def compile_test(node: Node, scope: Scope = POLICY_SCOPE) -> Closure:
    """A closure for whether `node` is true; False where it is false or data is not there.

    It raises as that of `compile_node` does, and may result in `ABSENT` or in what is no truth.

    Raises:
        CompileError: as `compile_node`.
    """
    if isinstance(node, Call) and node.function == "_&&_" and node.target is None:
        return conjunction([compile_predicate(leaf, scope) for leaf in operands(node, "_&&_")])
    return compile_predicate(node, scope)


def compile_predicate(node: Node, scope: Scope = POLICY_SCOPE) -> Closure:
    """A closure for the truth of `node`: True, False, `ABSENT`, or what is no truth at all.

    It raises as that of `compile_node` does, save that `ABSENT` may stand for MissingDataError.

    Raises:
        CompileError: as `compile_node`.
    """
    made: Closure | None = None
    match node:
        case Select(test=True):
            made = _has(node, scope)
        case Call(function="_&&_" | "_||_", target=None):
            leaves = operands(node, node.function)
            made = combine(node.function, [compile_predicate(leaf, scope) for leaf in leaves])
        case Call(function="!_", target=None, args=(operand,)):
            made = _not(compile_predicate(operand, scope))
        case Call(function="_==_", target=None):
            made = _compares(node, scope, same=True)
        case Call(function="_!=_", target=None):
            made = _compares(node, scope, same=False)
        case Call(function="@in", target=None):
            made = _in(node, scope)
        case Call():
            made = _text_test(node, scope)
    return compile_node(node, scope) if made is None else made


def _not(value: Closure) -> Closure:
    def negated(frame: Frame) -> object:
        result = value(frame)
        if result is True:
            return False
        if result is False:
            return True
        if result is ABSENT:
            return ABSENT
        raise no_overload("!_", result)

    return negated


def _has(node: Select, scope: Scope) -> Closure | None:
    """`has(ctx.a.b.c)`, which is no data either where there is no `ctx.a.b`."""
    path = path_in(node.operand, scope)
    if path is None:
        return None
    straight, field = subscripts(*path), node.field
    index, fields = path

    def has(frame: Frame) -> object:
        try:
            value = straight(frame)
        except KeyError:
            return ABSENT
        except TypeError:
            value = walk(frame[index], fields)
        if isinstance(value, dict):
            return field in value
        if value is None or value is ABSENT:
            return ABSENT
        raise CelError(f"a value of type {type_name(value)} has no field {field!r}")

    return has


def _text_test(node: Call, scope: Scope) -> Closure | None:
    """`ctx.a.b.startsWith("text")`, `endsWith` and `contains`."""
    if node.function not in _TEXT_TESTS or node.target is None or len(node.args) != 1:
        return None
    path, part = path_in(node.target, scope), node.args[0]
    if path is None or not isinstance(part, Const):
        return None
    function, find, value = FUNCTIONS[node.function, 2], probe(*path), part.value

    def test(frame: Frame) -> object:
        found = find(frame)
        return ABSENT if found is ABSENT else function(frame, found, value)

    return test


def _compares(node: Call, scope: Scope, *, same: bool) -> Closure | None:
    """`ctx.a.b == "text"`, either way round, and `!=`."""
    left, right = node.args
    if isinstance(left, Const):
        left, right = right, left
    path = path_in(left, scope)
    if path is None or not isinstance(right, Const):
        return None
    index, fields = path
    if type(right.value) is not str:
        return _compares_value(probe(index, fields), right.value, same=same)
    straight, text = subscripts(index, fields), right.value

    def compares(frame: Frame) -> object:
        try:
            return (straight(frame) == text) is same
        except KeyError:
            return ABSENT
        except TypeError:
            return (walk(frame[index], fields) == text) is same

    return compares


def _compares_value(find: Closure, expected: object, *, same: bool) -> Closure:
    def compares(frame: Frame) -> object:
        value = find(frame)
        return ABSENT if value is ABSENT else equal(value, expected, frame) is same

    return compares


def _in(node: Call, scope: Scope) -> Closure | None:
    """`ctx.a.b in ["text", "other text"]`, or anything `in ctx.a.b`."""
    value, container = node.args
    path = path_in(container, scope)
    if path is not None:
        candidate, where = compile_node(value, scope), probe(*path)

        def inside(frame: Frame) -> object:
            wanted, found = candidate(frame), where(frame)
            return ABSENT if found is ABSENT else is_in(wanted, found, frame)

        return inside
    path, texts = path_in(value, scope), texts_of(container)
    if path is None or texts is None:
        return None
    find = probe(*path)

    def among(frame: Frame) -> object:
        found = find(frame)
        return ABSENT if found is ABSENT else type(found) is str and found in texts

    return among
