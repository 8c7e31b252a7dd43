"""What the parts of an expression came to.

An explanation shows an expression piece by piece: paths, comparisons, calls, the operands of logic.
Each piece is evaluated anew, on a copy of the frame with a budget of its own, so that looking never
changes what is looked at. Literals say nothing new and are left out, as are the rounds of loops;
of `all` and `exists` the element that decides is shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from octelium.policy.cel.ast import Call, Const, Fold, Ident, ListNode, MapNode, Node, Select
from octelium.policy.cel.compiler import POLICY_SCOPE, Scope, compile_node
from octelium.policy.cel.errors import (
    BudgetError,
    CompileError,
    EvaluationError,
    MissingDataError,
    UnknownDataError,
)
from octelium.policy.cel.folds import is_bind
from octelium.policy.cel.reads import roots
from octelium.policy.cel.unparse import escaped, operands, pieces, quoted, unparse
from octelium.policy.cel.values import BUDGET, Frame, keys

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_PARTS: Final = 64
"""Parts of one expression that are shown."""
MAX_STEPS: Final = 250_000
"""Steps that looking at one expression may take, all parts together."""
MAX_VALUE: Final = 120
"""Characters of a value's text."""
MAX_TEXT: Final = 400
"""Characters of a part's text."""

ABSENT_TEXT: Final = "absent"
UNKNOWN_TEXT: Final = "not known"

_LOGIC: Final = ("_&&_", "_||_")


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of an expression and its value in CEL's notation, or why it has none.

    `depth` tells how far within other pieces it stands, `reads` of which members of `ctx` the value
    may come; an empty name means all of them.
    """

    text: str
    value: str
    error: str
    depth: int
    reads: frozenset[str]


def parts(root: Node, frame: Frame, depth: int = 0) -> list[Part]:
    """The parts of an expression with the values that they have on a frame, which is left alone.

    The expression itself is none of its parts, unless it has no others. There are at most
    `MAX_PARTS`; what would take more than `MAX_STEPS` in all has an error in place of a value.
    """
    looking = _Looking(list(frame))
    looking.below(root, depth, POLICY_SCOPE)
    if not looking.found and not isinstance(root, Const):
        looking.show(root, depth, POLICY_SCOPE)
    return looking.found


def shown(value: object) -> str:
    """A value in CEL's notation on one line, cut after `MAX_VALUE` characters.

    Of a resource no more is shown than its name.
    """
    if _is_resource(value):
        return _brief(value)
    if isinstance(value, list) and value and all(map(_is_resource, value)):
        return cut(f"[{', '.join(map(_brief, value))}]", MAX_VALUE)
    made = ""
    for piece in pieces(value):
        made += piece
        if len(made) > MAX_VALUE:
            break
    return cut(made, MAX_VALUE)


def _is_resource(value: Any) -> bool:
    if not isinstance(value, dict) or not dict.__contains__(value, "kind"):
        return False
    metadata = dict.get(value, "metadata")
    return isinstance(metadata, dict) and "name" in metadata


def _brief(resource: Any) -> str:
    name = quoted(str(resource["metadata"]["name"]))
    return cut(f'{{"metadata": {{"name": {name}, …}}, …}}', MAX_VALUE)


def cut(text: str, most: int) -> str:
    """A text, or its beginning with an ellipsis."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


class _Looking:
    """One look at an expression."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.found: list[Part] = []
        self._known: set[str] = set()
        self._locals: dict[Scope, dict[str, frozenset[str]]] = {POLICY_SCOPE: {}}
        self.frame[BUDGET] = MAX_STEPS

    # --- which parts there are

    def show(self, node: Node, depth: int, scope: Scope) -> None:
        """A part, followed by what it is made of."""
        match node:
            case Const() | Call("timestamp" | "duration", None, (Const(),)):
                return
            case ListNode() | MapNode():
                self.below(node, depth, scope)
                return
        text = cut(unparse(node), MAX_TEXT)
        if not isinstance(node, Call | Fold):
            # The same path has the same value everywhere, unless it begins at a loop's variable.
            if text in self._known:
                return
            if scope is POLICY_SCOPE:
                self._known.add(text)
        self._add(text, *self._value(node, scope), depth, self._reads(node, scope))
        self.below(node, depth + 1, scope)

    def below(self, node: Node, depth: int, scope: Scope) -> None:
        """What a node is made of."""
        if len(self.found) >= MAX_PARTS:
            return
        match node:
            case Call(function=("_&&_" | "_||_") as operator, target=None):
                self._all(operands(node, operator), depth, scope)
            case Call("_?_:_", None, (condition, yes, no)):
                self.show(condition, depth, scope)
                chosen, problem = self._evaluate(condition, scope)
                if not problem and isinstance(chosen, bool):
                    self.show(yes if chosen else no, depth, scope)
            case Call():
                target = node.target
                if target is not None and not _is_library(target, scope):
                    self.show(target, depth, scope)
                self._all(node.args, depth, scope)
            case Select(operand=operand, test=True):
                self._container(operand, depth, scope)
            case Select(operand=operand):
                self._base(operand, depth, scope)
            case ListNode(items=items):
                self._all(items, depth, scope)
            case MapNode(entries=entries):
                self._all([node for entry in entries for node in entry], depth, scope)
            case Fold():
                self._fold(node, depth, scope)

    def _all(self, nodes: Iterable[Node], depth: int, scope: Scope) -> None:
        for node in nodes:
            if len(self.found) < MAX_PARTS:
                self.show(node, depth, scope)

    def _base(self, node: Node, depth: int, scope: Scope) -> None:
        """What a path begins with, unless that is a variable."""
        while isinstance(node, Select) and not node.test:
            node = node.operand
        if not isinstance(node, Ident):
            self.show(node, depth, scope)

    def _container(self, node: Node, depth: int, scope: Scope) -> None:
        """Where `has` looks, if nothing stands there."""
        _, problem = self._evaluate(node, scope)
        if problem:
            self.show(node, depth, scope)
        else:
            self._base(node, depth, scope)

    def _fold(self, node: Fold, depth: int, scope: Scope) -> None:
        if is_bind(node):
            self.show(node.init, depth, scope)
            inner, slot = scope.bind(node.accumulator, lazy=True)
            self._enter(scope, inner, node.accumulator, self._reads(node.init, scope))
            try:
                self.frame[slot.index] = compile_node(node.init, scope)(self.frame)
            except EvaluationError as error:
                self.frame[slot.index] = error
            self.show(node.result, depth, inner)
            return
        self.show(node.range, depth, scope)
        match node.step:
            case Call(function=("_&&_" | "_||_") as operator, args=(_, predicate)):
                self._deciding(node, predicate, operator == "_||_", depth, scope)

    def _deciding(
        self, node: Fold, predicate: Node, decisive: object, depth: int, scope: Scope
    ) -> None:
        """The first element for which `all` is false, or `exists` true."""
        items, problem = self._evaluate(node.range, scope)
        if problem or not isinstance(items, list | dict):
            return
        inner, slot = scope.bind(node.variable)
        # Which element it is, the predicate tells: it comes of what that reads too.
        reads = self._reads(node, scope)
        self._enter(scope, inner, node.variable, reads)
        for element in items if isinstance(items, list) else keys(items):
            self.frame[slot.index] = element
            result, problem = self._evaluate(predicate, inner)
            if not problem and result is decisive:
                self._add(node.variable, shown(element), "", depth, reads)
                self.below(predicate, depth + 1, inner)
                return
            if self._spent():
                return

    # --- their values

    def _add(self, text: str, value: str, error: str, depth: int, reads: frozenset[str]) -> None:
        if len(self.found) < MAX_PARTS:
            self.found.append(Part(text, value, error, depth, reads))

    def _reads(self, node: Node, scope: Scope) -> frozenset[str]:
        return roots(node, self._locals[scope])

    def _enter(self, outer: Scope, inner: Scope, name: str, reads: frozenset[str]) -> None:
        self._locals[inner] = {**self._locals[outer], name: reads}

    def _value(self, node: Node, scope: Scope) -> tuple[str, str]:
        value, problem = self._evaluate(node, scope)
        return ("", problem) if problem else (shown(value), "")

    def _spent(self) -> bool:
        left: Any = self.frame[BUDGET]
        return bool(left < 0)

    def _evaluate(self, node: Node, scope: Scope) -> tuple[object, str]:
        """The value of a node, or why it has none."""
        if self._spent():
            return None, "not looked at: the expression is too costly"
        try:
            return compile_node(node, scope)(self.frame), ""
        except MissingDataError:
            return None, ABSENT_TEXT
        except UnknownDataError:
            return None, UNKNOWN_TEXT
        except BudgetError as error:
            self.frame[BUDGET] = -1
            return None, str(error)
        except (EvaluationError, CompileError) as error:
            return None, cut(escaped(str(error)), MAX_VALUE)
        except Exception as error:  # noqa: BLE001 - evaluation may meet anything; show what
            return None, cut(escaped(f"evaluation failed: {type(error).__name__}"), MAX_VALUE)


def _is_library(node: Node, scope: Scope) -> bool:
    """Whether a call's target is the name of a library, as in `math.ceil(x)`."""
    while isinstance(node, Select):
        node = node.operand
    return isinstance(node, Ident) and scope.find(node.name) is None
