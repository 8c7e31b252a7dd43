"""`==`, `!=` and `in` between sides that can never be equal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from octelium.policy.cel.ast import Call, Const, ListNode, Node
from octelium.policy.lint.inferred import Can, Inferred, valued
from octelium.policy.lint.wording import (
    absence,
    canonical,
    conversion,
    described,
    shape_of,
    shortened,
    text_of,
)
from octelium.policy.shape.shape import NUMBERS, Kind, Shape
from octelium.schema.suggestion import closest

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from octelium.policy.lint.finding import Notes

_MOST_NAMES: Final = 8
"""Names of an enum that a remedy lists."""

Side = tuple[Node, Inferred]
"""A part and what it can come to."""


class Comparison:
    """Looks at the comparisons of one expression.

    `guarded` tells the paths that the expression asks `has()` for: their absence is accounted for.
    """

    def __init__(self, guarded: Callable[[], Container[Node]], notes: Notes) -> None:
        self._guarded = guarded
        self._notes = notes

    def equality(self, node: Call, left: Inferred, right: Inferred) -> Can:
        """What `==` or `!=` can come to."""
        fails = left.fails | right.fails
        if not (left.has_value and right.has_value):
            return fails
        unequal = node.function == "_!=_"
        same = self._same((node.args[0], left), (node.args[1], right), unequal=unequal)
        if unequal:
            same = _flipped(same)
        return same | fails

    def negation(self, operand: Node, inferred: Inferred) -> None:
        """Report `!x` for an x that is left out where it is false."""
        if inferred.shape.kind is Kind.BOOL and inferred.shape.sparse:
            self._never_false(canonical(operand))

    def membership(self, node: Call, item: Inferred, container: Inferred) -> Can:
        """What `item in container` can come to. A key of an object is looked at elsewhere."""
        fails = item.fails | container.fails
        if not (item.has_value and container.has_value):
            return fails
        element, where = node.args
        match container.shape.kind:
            case Kind.LIST if isinstance(where, ListNode):
                return fails | self._among((element, item), where)
            case Kind.LIST:
                inner = container.shape.item
                if inner is None:
                    return fails | Can.EITHER
                same = self._same((where, valued(inner)), (element, item), element_of=True)
                return fails | (Can.EITHER if same & Can.TRUE else Can.FALSE)
            case Kind.MAP:
                fits = item.shape.kind is Kind.STRING
                return fails | Can.EITHER | (Can.NOTHING if fits else Can.ERROR)
            case Kind.DYN:
                return fails | Can.EITHER | Can.ERROR
        text = text_of(where)
        is_text = container.shape.kind is Kind.STRING
        self._notes.report(
            f"`in` needs a list or a map, and `{text}` is {described(container.shape)}",
            f"write {text}.contains({text_of(element)})" if is_text else "",
        )
        return fails | Can.ERROR

    def _among(self, item: Side, literal: ListNode) -> Can:
        can = Can.FALSE
        for constant in literal.items:
            if isinstance(constant, Const):
                can |= self._same(item, (constant, valued(shape_of(constant)))) & Can.TRUE
            else:
                can |= Can.TRUE
        return can

    def _same(
        self, left: Side, right: Side, *, unequal: bool = False, element_of: bool = False
    ) -> Can:
        """Whether two sides can be equal. With `element_of`, left stands for its elements."""
        one, other = left[1].shape, right[1].shape
        if one.is_open or other.is_open:
            return Can.EITHER
        if one.kind is not other.kind and not {one.kind, other.kind} <= NUMBERS:
            self._report_kinds(left, right, unequal=unequal, element_of=element_of)
            return Can.FALSE
        for side, against in ((left, right), (right, left)):
            if isinstance(against[0], Const | ListNode):
                return self._against(side, against[0], unequal=unequal, element_of=element_of)
        return Can.EITHER

    def _report_kinds(self, left: Side, right: Side, *, unequal: bool, element_of: bool) -> None:
        literal = isinstance(left[0], Const | ListNode)
        if not element_of and (literal or right[1].shape.meaning is not None):
            left, right = right, left
        node, shape, other = canonical(left[0]), left[1].shape, right[1].shape
        path = text_of(node)
        if element_of:
            self._notes.report(f"`{path}` holds {_plural(shape)}, never {other.words}")
        elif other.kind is Kind.NULL:
            # `x != null` is a way of asking whether x is there, and works.
            if not unequal:
                self._notes.report(f"`{path}` is never null", absence(node, path))
        else:
            sense = "always differs from" if unequal else "never equals"
            against = text_of(right[0])
            remedy = conversion(path, shape, other)
            if shape.kind is Kind.LIST and not unequal:
                remedy = f"write {against} in {path}"
            self._notes.report(f"`{path}` is {described(shape)} and {sense} {other.words}", remedy)

    def _against(
        self, side: Side, literal: Const | ListNode, *, unequal: bool, element_of: bool
    ) -> Can:
        """A value of a known shape against a literal of the same type."""
        node, shape = canonical(side[0]), side[1].shape
        value = literal.value if isinstance(literal, Const) else literal.items
        if shape.values and isinstance(value, str) and value not in shape.values:
            self._report_name(node, value, shape, element_of=element_of)
            return Can.FALSE
        if not shape.sparse:
            return Can.EITHER
        if value in (False, 0, "", (), shape.zero):
            if not unequal:
                self._never_default(node, text_of(literal))
            return Can.FALSE
        if value is True:
            if unequal:
                self._never_false(node)
            return Can.TRUE
        return Can.EITHER

    def _report_name(self, node: Node, value: str, shape: Shape, *, element_of: bool) -> None:
        names = [name for name in shape.values if not (shape.sparse and name == shape.zero)]
        found = closest(value, names)
        if found is not None:
            remedy = f'did you mean "{found}"?'
        else:
            more = ", ..." if len(names) > _MOST_NAMES else ""
            remedy = f"it is one of {', '.join(names[:_MOST_NAMES])}{more}"
        verb = "never holds" if element_of else "is never"
        self._notes.report(f'`{text_of(node)}` {verb} "{shortened(value)}"', remedy)

    def _never_default(self, node: Node, value: str) -> None:
        match node:
            case Call("size", target, args):
                # The size of what is left out when it is empty.
                part = canonical(target if target is not None else args[0])
                problem = f"`{text_of(node)}` is never {value}: `{text_of(part)}` is absent instead"
                node = part
            case _:
                problem = f"`{text_of(node)}` is never {value}: it is absent instead"
        # `x != ""` is a way of asking whether x is there, and works.
        if node not in self._guarded():
            self._notes.report(problem, absence(node, text_of(node)))

    def _never_false(self, node: Node) -> None:
        if node not in self._guarded():
            path = text_of(node)
            self._notes.report(
                f"`{path}` is either true or absent, never false", absence(node, path)
            )


def _flipped(can: Can) -> Can:
    return (Can.FALSE if can & Can.TRUE else Can.NOTHING) | (
        Can.TRUE if can & Can.FALSE else Can.NOTHING
    )


def _plural(shape: Shape) -> str:
    return {Kind.STRING: "texts", Kind.DOUBLE: "numbers", Kind.BOOL: "booleans"}.get(
        shape.kind, "objects" if shape.members is not None else "other values"
    )
