"""The paths whose absence an expression accounts for by itself."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from octelium.policy.cel.ast import Node, Select
from octelium.policy.lint.wording import canonical

if TYPE_CHECKING:
    from collections.abc import Iterator


def guards(root: Node) -> frozenset[Node]:
    """The paths that `has()` is asked for anywhere in an expression."""
    return frozenset(
        canonical(Select(node.operand, node.field, test=False))
        for node in _nodes(root)
        if isinstance(node, Select) and node.test
    )


def _nodes(node: object) -> Iterator[object]:
    """A node and all below it."""
    if isinstance(node, tuple):
        for part in node:
            yield from _nodes(part)
    elif isinstance(node, Node):
        yield node
        for part in fields(node):
            yield from _nodes(getattr(node, part.name))
