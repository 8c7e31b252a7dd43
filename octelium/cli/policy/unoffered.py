"""What CEL's specification tests and Octelium's environment does not have, with the reasons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from octelium.policy.cel.ast import Call, Fold, ListNode, MapNode, Select

if TYPE_CHECKING:
    from collections.abc import Iterator

    from octelium.policy.cel.ast import Node


@dataclass(frozen=True, slots=True)
class Unoffered:
    """A macro that is not there, by its name and the numbers of its arguments."""

    name: str
    arguments: frozenset[int]
    reason: str


_TWO = "a macro with two variables (cel-go's extension TwoVarComprehensions), which Octelium lacks"

UNOFFERED = (
    Unoffered("all", frozenset({3}), _TWO),
    Unoffered("exists", frozenset({3}), _TWO),
    Unoffered("existsOne", frozenset({3}), _TWO),
    Unoffered("transformList", frozenset({3, 4}), _TWO),
    Unoffered("transformMap", frozenset({3, 4}), _TWO),
    Unoffered("transformMapEntry", frozenset({3, 4}), _TWO),
)
"""The whole list. `https://pkg.go.dev/github.com/google/cel-go/ext` describes the extension."""


def unoffered(text: str) -> str:
    """Why an expression cannot work, if it uses something of the list; empty if it does not.

    Raises CompileError for a text that cannot be parsed.
    """
    from octelium.policy.cel.environment import check

    for node in _nodes(check(text, types=False).root):
        if isinstance(node, Call) and node.target is not None:
            for entry in UNOFFERED:
                if node.function == entry.name and len(node.args) in entry.arguments:
                    return f".{entry.name}() with {len(node.args)} arguments: {entry.reason}"
    return ""


def _nodes(root: Node) -> Iterator[Node]:
    waiting: list[Node] = [root]
    while waiting:
        node = waiting.pop()
        yield node
        match node:
            case Select():
                waiting.append(node.operand)
            case Call():
                waiting += node.args if node.target is None else (node.target, *node.args)
            case ListNode():
                waiting += node.items
            case MapNode():
                waiting += (part for entry in node.entries for part in entry)
            case Fold():
                waiting += (node.range, node.init, node.condition, node.step, node.result)
