"""What an expression can come to wherever it stands, and what is wrong on the way.

A walk over the tree with the shape of `ctx` in place of its data. It may think more possible than
is, never less: what it calls impossible cannot happen.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Final

from octelium.policy.cel.ast import Call, Const, Fold, Ident, ListNode, MapNode, Node, Select
from octelium.policy.cel.folds import is_bind
from octelium.policy.cel.functions import FUNCTIONS
from octelium.policy.cel.values import TYPE_NAMES
from octelium.policy.lint.call import call
from octelium.policy.lint.comparison import Comparison
from octelium.policy.lint.finding import Notes
from octelium.policy.lint.guard import guards
from octelium.policy.lint.inferred import (
    UNKNOWN,
    Can,
    Inferred,
    both,
    decided,
    either,
    failed,
    swapped,
    valued,
)
from octelium.policy.lint.operation import SIGNS, operation
from octelium.policy.lint.wording import described, shape_of, shortened, text_of
from octelium.policy.shape.shape import (
    OPEN,
    OPEN_MAP,
    STRING,
    TYPE,
    Kind,
    Shape,
    joined,
    list_of,
)
from octelium.schema.suggestion import closest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from octelium.policy.shape.shape import Members

    Scope = Mapping[str, Inferred]

_MOST_MEMBERS: Final = 12
"""Members of an object that a remedy lists."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an expression can come to, and what is likely wrong with it."""

    inferred: Inferred
    problems: tuple[tuple[str, str], ...]
    """Problems and remedies."""
    blames: tuple[tuple[str, str], ...]
    """Members of `ctx` that are read and are not there at this place, with the reasons."""


def infer(root: Node, ctx: Shape, *, has_attrs: bool) -> Outcome:
    """Look through an expression whose `ctx` has a shape. `has_attrs`: there is `attrs` too."""
    notes = Notes()
    scope = {"ctx": valued(ctx), **({"attrs": UNKNOWN} if has_attrs else {})}
    inferred = _Inference(notes, root).of(root, scope)
    return Outcome(inferred, tuple(notes.problems.items()), tuple(notes.blames.items()))


class _Inference:
    def __init__(self, notes: Notes, root: Node) -> None:
        self._notes = notes
        self._comparison = Comparison(cache(partial(guards, root)), notes)

    def of(self, node: Node, scope: Scope) -> Inferred:
        """What a part can come to."""
        match node:
            case Const(value=bool() as value):
                return decided(Can.TRUE if value else Can.FALSE)
            case Const():
                return valued(shape_of(node))
            case Ident(name=name):
                return self._variable(name, scope)
            case Select(operand=operand, field=field, test=test):
                return self._select(node, self.of(operand, scope), field, test=test)
            case Call():
                return self._call(node, scope)
            case ListNode(items=items):
                return self._list([self.of(item, scope) for item in items])
            case MapNode(entries=entries):
                parts = [self.of(part, scope) for entry in entries for part in entry]
                return _made(OPEN_MAP, parts)
            case Fold():
                return self._fold(node, scope)

    def _variable(self, name: str, scope: Scope) -> Inferred:
        known = scope.get(name)
        if known is not None:
            return known
        if name in TYPE_NAMES:
            return valued(TYPE)
        if name == "attrs":
            self._notes.report(
                "`attrs` has no value here", "only the rules of Policies have it: their spec.attrs"
            )
        return failed(Can.MISSING)

    @staticmethod
    def _list(items: list[Inferred]) -> Inferred:
        shape = OPEN
        for index, item in enumerate(items):
            shape = joined(shape, item.shape) if index else item.shape
        return _made(list_of(shape) if items else Shape(Kind.LIST), items)

    # --- paths

    def _select(self, node: Node, operand: Inferred, name: str, *, test: bool) -> Inferred:
        """`operand.name`, `operand["name"]` or `has(operand.name)`."""
        fails, shape = operand.fails, operand.shape
        if not operand.has_value or shape.kind is Kind.NULL:
            return failed(fails | (Can.MISSING if operand.has_value else Can.NOTHING))
        if shape.is_open:
            return decided(Can.EITHER | Can.FAIL) if test else UNKNOWN
        if shape.kind is not Kind.MAP:
            self._report_no_object(node, shape, name)
            return failed(fails | Can.ERROR)
        if shape.members is None:
            member: Shape | None = shape.item or OPEN
        else:
            member = shape.members.get(name)
        if member is None:
            assert shape.members is not None
            self._no_member(node, shape.members, name)
            return decided(fails | Can.FALSE) if test else failed(fails | Can.MISSING)
        return decided(Can.EITHER | fails) if test else valued(member, fails | Can.MISSING)

    def _no_member(self, node: Node, members: Members, name: str) -> None:
        path, owner = _spelled(node)
        reason = members.elsewhere(name)
        if reason:
            self._notes.blame(path, reason)
            return
        known = sorted(members.names())
        found = closest(name, known)
        remedy = f"did you mean {found}?" if found is not None else ""
        if not remedy and len(known) <= _MOST_MEMBERS:
            remedy = f"it has {', '.join(known)}" if known else ""
        self._notes.report(f"`{owner}` has no member {shortened(name)!r}", remedy)

    def _report_no_object(self, node: Node, shape: Shape, name: str) -> None:
        _, owner = _spelled(node)
        remedy = ""
        if shape.kind is Kind.LIST:
            remedy = f"look at its elements: {owner}.exists(x, x.{shortened(name)} ...)"
        problem = f"`{owner}` is {described(shape)} and has no member {shortened(name)!r}"
        self._notes.report(problem, remedy)

    def _index(self, node: Call, container: Inferred, key: Inferred) -> Inferred:
        position = node.args[1]
        shape = container.shape
        if isinstance(position, Const) and isinstance(position.value, str):
            return self._select(node, container, position.value, test=False)
        fails = container.fails | key.fails
        if not (container.has_value and key.has_value):
            return failed(fails)
        if shape.is_open:
            return UNKNOWN
        if shape.kind in (Kind.LIST, Kind.MAP):
            fails |= Can.FAIL if key.shape.is_open else Can.MISSING
            return valued(shape.item or OPEN, fails)
        self._notes.report(f"`{text_of(node.args[0])}` is {described(shape)} and has no elements")
        return failed(fails | Can.ERROR)

    # --- calls

    def _call(self, node: Call, scope: Scope) -> Inferred:
        if node.target is None and node.function in _SHAPED:
            parts = [self.of(arg, scope) for arg in node.args]
            return self._operator(node, parts)
        name, args = _resolve(node, scope)
        return call(node, name, [(arg, self.of(arg, scope)) for arg in args], self._notes)

    def _operator(self, node: Call, parts: list[Inferred]) -> Inferred:
        match node.function, parts:
            case "_&&_", [left, right]:
                return decided(both(left.can, right.can))
            case "_||_", [left, right]:
                return decided(either(left.can, right.can))
            case "!_", [operand]:
                self._comparison.negation(node.args[0], operand)
                return decided(swapped(operand.can))
            case "_?_:_", [condition, yes, no]:
                return _chosen(condition, yes, no)
            case (("_==_" | "_!=_"), [left, right]):
                return decided(self._comparison.equality(node, left, right))
            case "@in", [item, container]:
                return decided(self._membership(node, item, container))
            case "_[_]", [container, key]:
                return self._index(node, container, key)
            case "-_", [operand]:
                return valued(Shape(operand.shape.kind), operand.fails | Can.ERROR)
        left, right = parts
        return operation(node, left, right, self._notes)

    def _membership(self, node: Call, item: Inferred, container: Inferred) -> Can:
        element = node.args[0]
        if (
            isinstance(element, Const)
            and isinstance(element.value, str)
            and container.shape.members is not None
        ):
            path = Select(node.args[1], element.value, test=True)
            return self._select(path, container, element.value, test=True).can
        return self._comparison.membership(node, item, container)

    # --- macros

    def _fold(self, node: Fold, scope: Scope) -> Inferred:
        if is_bind(node):
            bound = self.of(node.init, scope)
            return self.of(node.result, {**scope, node.accumulator: bound})
        items = self.of(node.range, scope)
        element = self._element(node.range, items)
        if element is None:
            return failed(items.fails | (Can.ERROR if items.has_value else Can.NOTHING))
        inner = {**scope, node.variable: element}
        accumulator = Ident(node.accumulator)
        match node.step:
            case Call("_&&_", None, (left, predicate)) if left == accumulator:
                can = self._predicate(predicate, inner)
                return decided(items.fails | Can.TRUE | (can & ~Can.TRUE))
            case Call("_||_", None, (left, predicate)) if left == accumulator:
                can = self._predicate(predicate, inner)
                return decided(items.fails | Can.FALSE | (can & ~Can.FALSE))
            case Call("_+_", None, (left, ListNode((part,)))) if left == accumulator:
                made = self.of(part, inner)
                return valued(list_of(made.shape), items.fails | made.fails)
            case Call("_?_:_", None, (predicate, Call("_+_", None, (_, added)), _)):
                can = self._predicate(predicate, inner)
                fails = items.fails | (can & Can.FAIL)
                if not isinstance(added, ListNode):
                    return decided(fails | Can.FALSE | (can & Can.TRUE))  # exists_one
                made = self.of(added.items[0], inner)
                return valued(list_of(made.shape), fails | made.fails)
        return UNKNOWN

    def _element(self, node: Node, items: Inferred) -> Inferred | None:
        """What a loop's variable can be; None if there is nothing to loop over."""
        shape = items.shape
        if not items.has_value:
            return None
        if shape.is_open:
            return UNKNOWN
        if shape.kind is Kind.LIST:
            return valued(shape.item) if shape.item is not None else UNKNOWN
        if shape.kind is Kind.MAP:
            return valued(STRING)
        self._notes.report(
            f"`{text_of(node)}` is {described(shape)}, and there is nothing to loop over"
        )
        return None

    def _predicate(self, node: Node, scope: Scope) -> Can:
        can = self.of(node, scope).can
        return can & ~Can.VALUE | Can.ERROR if can & Can.VALUE else can


_SHAPED: Final = frozenset(
    {"_&&_", "_||_", "!_", "_?_:_", "_==_", "_!=_", "@in", "_[_]", "-_", *SIGNS}
)


def _made(shape: Shape, parts: list[Inferred]) -> Inferred:
    """A literal made of parts."""
    fails = Can.NOTHING
    for part in parts:
        fails |= part.fails
    if not all(part.has_value for part in parts):
        return failed(fails)
    return valued(shape, fails)


def _chosen(condition: Inferred, yes: Inferred, no: Inferred) -> Inferred:
    can = condition.fails | (Can.ERROR if condition.can & Can.VALUE else Can.NOTHING)
    ways = [way for way, wanted in ((yes, Can.TRUE), (no, Can.FALSE)) if condition.can & wanted]
    for way in ways:
        can |= way.can
    shapes = [way.shape for way in ways if way.has_value]
    if not shapes:
        return failed(can)
    return Inferred(shapes[0] if len(shapes) == 1 else joined(*shapes), can)


def _spelled(node: Node) -> tuple[str, str]:
    """The text of a path, and of what it is a member of."""
    match node:
        case Select(operand=operand, field=field):
            return text_of(Select(operand, field, test=False)), text_of(operand)
        case Call("_[_]", None, (container, _)):
            return text_of(node), text_of(container)
    raise AssertionError("only paths have members")


def _resolve(node: Call, scope: Scope) -> tuple[str, tuple[Node, ...]]:
    """Name and arguments; `math.ceil(x)` is no member call although it looks like one."""
    if node.target is None:
        return node.function, node.args
    match node.target:
        case Ident(name=prefix) if prefix not in scope:
            name = f"{prefix}.{node.function}"
            if (name, len(node.args)) in FUNCTIONS:
                return name, node.args
    return node.function, (node.target, *node.args)
