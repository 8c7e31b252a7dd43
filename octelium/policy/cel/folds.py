"""Loops and bindings: `all`, `exists`, `exists_one`, `map`, `filter` and `cel.bind`.

The parser expands these macros to one general form, a fold (CEL specification, "Macros"). They are
the only folds it makes, so each is recognised and gets a loop of its own. Every step of a loop is
charged by the size of its body.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from octelium.policy.cel.ast import (
    Call,
    Const,
    Fold,
    Ident,
    ListNode,
    MapNode,
    Node,
    Select,
)
from octelium.policy.cel.errors import CelError, CompileError, MissingDataError, UnknownDataError
from octelium.policy.cel.values import ABSENT, Frame, charge, keys, no_overload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Closure = Callable[[Frame], object]


_TURN: Final = 8
"""Steps of one turn of a loop, which may end in an error that is absorbed."""


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a variable's value stands in the frame."""

    index: int
    lazy: bool
    """The slot may hold an error, which is due when the variable is read."""

    def read_plain(self) -> Closure:
        """A closure that reads the variable."""
        index = self.index
        return lambda frame: frame[index]

    def read(self) -> Closure:
        """A closure that reads a variable which may be an error or absent."""
        index = self.index

        def read(frame: Frame) -> object:
            value = frame[index]
            if isinstance(value, CelError):
                raise value
            if value is ABSENT:
                raise MissingDataError("the variable has no value here")
            return value

        return read


class _Scope(Protocol):
    def bind(self, name: str, *, lazy: bool = False) -> tuple[Any, Slot]: ...


def weight(node: Node) -> int:
    """How much work a tree is: one step for each node, eight for a function, a list or a map."""
    match node:
        case Const() | Ident():
            return 1
        case Select(operand=operand):
            return 1 + weight(operand)
        case Call(function=function, target=target, args=args):
            own = 8 if function[0].isalpha() else 1
            return own + sum(map(weight, args)) + (weight(target) if target is not None else 0)
        case ListNode(items=items):
            return 8 + sum(map(weight, items))
        case MapNode(entries=entries):
            return 8 + sum(weight(key) + weight(value) for key, value in entries)
        case Fold():
            parts = (node.range, node.init, node.condition, node.step, node.result)
            return 1 + sum(map(weight, parts))


def is_bind(node: Fold) -> bool:
    """Whether the fold is `cel.bind`: a loop over nothing, for the sake of its variable."""
    return node.range == ListNode(()) and node.condition == Const(value=False)


def compile_bind(
    node: Fold, scope: _Scope, compile_node: Callable[[Node, Any], Closure]
) -> Closure:
    """`cel.bind(variable, value, result)`; an error of `value` is due where it is used."""
    value = compile_node(node.init, scope)
    inner, slot = scope.bind(node.accumulator, lazy=True)
    result, index = compile_node(node.result, inner), slot.index

    def bind(frame: Frame) -> object:
        try:
            frame[index] = value(frame)
        except CelError as error:
            frame[index] = error
        return result(frame)

    return bind


def compile_fold(
    node: Fold, scope: _Scope, compile_node: Callable[[Node, Any], Closure]
) -> Closure:
    """A loop macro.

    Raises:
        CompileError: the fold is none of the known macros.
    """
    items = compile_node(node.range, scope)
    inner, slot = scope.bind(node.variable)

    def body(part: Node) -> Closure:
        return compile_node(part, inner)

    cost = _TURN + weight(node.step)
    accumulator = Ident(node.accumulator)
    match node.step:
        case Call("_&&_", None, (left, predicate)) if left == accumulator:
            return _quantifier(items, slot.index, body(predicate), cost, decisive=False)
        case Call("_||_", None, (left, predicate)) if left == accumulator:
            return _quantifier(items, slot.index, body(predicate), cost, decisive=True)
        case Call("_?_:_", None, (predicate, Call("_+_", None, (left, Const(value=1))), other)) if (
            left == other == accumulator
        ):
            return _exists_one(items, slot.index, body(predicate), cost)
        case Call("_+_", None, (left, ListNode((element,)))) if left == accumulator:
            return _map(items, slot.index, body(element), cost)
        case Call(
            "_?_:_", None, (predicate, Call("_+_", None, (left, ListNode((element,)))), other)
        ) if left == other == accumulator:
            return _filter(items, slot.index, body(predicate), body(element), cost)
    raise CompileError("the expression loops in a way that no known macro does")


def _elements(value: Any) -> Iterable[object]:
    """What a loop runs over: a list's elements or a map's keys."""
    if type(value) is list:
        return value
    if isinstance(value, dict):
        return keys(value)
    raise no_overload("comprehension", value)


def _quantifier(
    items: Closure, index: int, predicate: Closure, cost: int, *, decisive: bool
) -> Closure:
    """`all` (decided by False) and `exists` (decided by True)."""

    def run(frame: Frame) -> bool:
        failure: CelError | None = None
        for item in _elements(items(frame)):
            charge(frame, cost)
            frame[index] = item
            try:
                value = predicate(frame)
            except CelError as error:
                if failure is None or isinstance(error, UnknownDataError):
                    failure = error
                continue
            if value is decisive:
                return decisive
            if type(value) is not bool and failure is None:
                failure = no_overload("predicate", value)
        if failure is not None:
            raise failure
        return not decisive

    return run


def _exists_one(items: Closure, index: int, predicate: Closure, cost: int) -> Closure:
    def run(frame: Frame) -> bool:
        count = 0
        failure: CelError | None = None
        for item in _elements(items(frame)):
            charge(frame, cost)
            frame[index] = item
            try:
                count += _truth(predicate(frame))
            except CelError as error:
                failure = error
        if failure is not None:
            raise failure
        return count == 1

    return run


def _map(items: Closure, index: int, element: Closure, cost: int) -> Closure:
    def run(frame: Frame) -> list[object]:
        made: list[object] = []
        for item in _elements(items(frame)):
            charge(frame, cost)
            frame[index] = item
            made.append(element(frame))
        return made

    return run


def _filter(items: Closure, index: int, predicate: Closure, element: Closure, cost: int) -> Closure:
    """`filter`, and `map` with a predicate."""

    def run(frame: Frame) -> list[object]:
        made: list[object] = []
        failure: CelError | None = None
        for item in _elements(items(frame)):
            charge(frame, cost)
            frame[index] = item
            try:
                if _truth(predicate(frame)) and failure is None:
                    made.append(element(frame))
            except CelError as error:
                failure = error
        if failure is not None:
            raise failure
        return made

    return run


def _truth(value: object) -> bool:
    if type(value) is bool:
        return value
    raise no_overload("predicate", value)
