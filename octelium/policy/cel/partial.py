"""Results of an evaluation in which not everything is known, and the trees that stand for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from octelium.policy.cel.ast import Call, Const, ListNode, MapNode, Node
from octelium.policy.cel.errors import CelError, MissingDataError
from octelium.policy.cel.openmap import OpenMap
from octelium.policy.cel.times import format_duration, format_timestamp
from octelium.policy.cel.values import Duration, Timestamp, UInt, keys

if TYPE_CHECKING:
    from collections.abc import Sequence

_MAX_LITERAL: Final = 32
"""Elements of a known list that is written as a literal."""

_SCALARS: Final = (type(None), bool, int, UInt, float, str, bytes)


@dataclass(frozen=True, slots=True)
class Known:
    """A value, of which a part may be open; `node` is something that results in it."""

    value: object
    node: Node

    @property
    def whole(self) -> bool:
        """Whether all of it is known."""
        return not isinstance(self.value, OpenMap)


@dataclass(frozen=True, slots=True)
class Failed:
    """An error of `node`."""

    error: CelError
    node: Node


@dataclass(frozen=True, slots=True)
class Open:
    """What `node` results in is not known."""

    node: Node


def is_missing(result: Failed) -> bool:
    """Whether something failed for data that is not there."""
    return isinstance(result.error, MissingDataError)


Result = Known | Failed | Open


def elements_of(items: Known) -> list[Known] | None:
    """What a loop over a known list or map meets; None for what it cannot run over."""
    value = items.value
    if type(value) is list:
        if isinstance(items.node, ListNode):
            return [Known(v, node) for v, node in zip(value, items.node.items, strict=True)]
        return [
            Known(v, Call("_[_]", None, (items.node, Const(index))))
            for index, v in enumerate(value)
        ]
    if type(value) is dict:
        return [Known(key, Const(key)) for key in keys(value)]
    return None


def literal_of(result: Result) -> Node:
    """A known value in place of a variable, whatever its type."""
    return Const(result.value) if isinstance(result, Known) and result.whole else result.node


def lifted(result: Result, *, path: bool = False) -> Node:
    """A result as a part of a larger tree: a literal if it is a short value.

    With `path` it is what a field is selected from, which reads better by its name.
    """
    if not isinstance(result, Known) or isinstance(result.node, Const) or path:
        return result.node
    value = result.value
    if type(value) in _SCALARS:
        return Const(value)
    if type(value) is Timestamp:
        return Call("timestamp", None, (Const(format_timestamp(value)),))
    if type(value) is Duration:
        return Call("duration", None, (Const(format_duration(value)),))
    if type(value) is not list or len(value) > _MAX_LITERAL:
        return result.node
    if all(type(item) in _SCALARS for item in value):
        return ListNode(tuple(map(Const, value)))
    return result.node


def with_values(rest: Node, parts: Sequence[Result]) -> Node:
    """`rest` with the values of its operands, which are all known, in their places."""
    values = [Const(part.value) if isinstance(part, Known) else part.node for part in parts]
    match rest:
        case ListNode():
            return ListNode(tuple(values))
        case MapNode():
            return MapNode(tuple(zip(values[::2], values[1::2], strict=True)))
        case Call(target=target) if target is not None and len(values) > len(rest.args):
            return Call(rest.function, values[0], tuple(values[1:]))
        case Call():
            return Call(rest.function, rest.target, tuple(values))
    raise AssertionError(rest)
