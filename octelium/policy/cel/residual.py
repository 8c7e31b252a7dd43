"""What remains of a condition when a part of `ctx` is known.

The tree of the expression is evaluated as far as that part leads; what depends on the rest stays.
Only the truth of the expression is kept: where it is true, the residual is, and nowhere else. Data
that is not there counts as it does in conditions: it makes the part of `&&`, `||` and `!` that it
stands in come out so that the whole is not true.

An operand that is not known is assumed not to fail. An error of what is known counts as such where
it stands alone, or below `&&`, `||` and `!`. Of an error and missing data in one chain the first
stands; where the data is not known, the error is taken to.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from octelium.policy.cel.ast import Call, Const, Fold, Ident, ListNode, MapNode, Node, Select
from octelium.policy.cel.compiler import compile_node
from octelium.policy.cel.errors import (
    BudgetError,
    CelError,
    CompileError,
    MissingDataError,
    UnknownDataError,
)
from octelium.policy.cel.folds import is_bind, weight
from octelium.policy.cel.openmap import OpenMap, looks_at_unknown
from octelium.policy.cel.partial import (
    Failed,
    Known,
    Open,
    Result,
    elements_of,
    is_missing,
    lifted,
    literal_of,
    with_values,
)
from octelium.policy.cel.paths import walk
from octelium.policy.cel.program import new_frame
from octelium.policy.cel.reads import analyze
from octelium.policy.cel.trees import (
    FALSE,
    TRUE,
    binds,
    conjunction,
    disjunction,
    is_constant,
    negation,
    substituted,
)
from octelium.policy.cel.unparse import operands
from octelium.policy.cel.values import ABSENT, NOW, no_overload

if TYPE_CHECKING:
    from collections.abc import Sequence

    from octelium.policy.cel.values import Timestamp

_Scope = dict[str, Result]

MAX_UNROLLED: Final = 64
"""Elements of a known list over which a quantifier is written out."""

_MAX_WORK: Final = 5000
"""Nodes that are looked at; loops and bindings are written out, which multiplies them."""
_MAX_INLINED: Final = 64
"""Weight of a tree that is written in place of a variable."""
_MAX_WEIGHT: Final = 1000
"""Weight of a residual."""

_VARIABLES: Final = frozenset({"ctx", "attrs"})


class Residual(NamedTuple):
    """What remains of a condition: trees of which either may be `TRUE` or `FALSE`."""

    holds: Node
    """True where the condition is."""
    fails: Node
    """True where an error of the known part refuses unless `holds` is true; `FALSE` if there is
    none."""


def residual(
    root: Node, ctx: dict[str, Any], attrs: object = ABSENT, *, now: Timestamp | None = None
) -> Residual:
    """Evaluate `root` as far as `ctx`, an `OpenMap`, is known.

    The values of `ctx` and `attrs` are those of `octelium.policy.cel.values`; `now` is what `now()`
    results in, if that is known. An expression that takes too much work, or would become too long,
    remains as it is.
    """
    reducer = _Reducer(ctx, attrs, now)
    try:
        if binds(root, _VARIABLES):
            return reducer.verdict(reducer.opaque(root, {}))
        holds = reducer.truth(root, {}, positive=True)
        fails: Node = FALSE
        if reducer.failed:
            reducer.lenient = True
            fails = reducer.truth(root, {}, positive=True)
    except (_TooLargeError, BudgetError):
        return Residual(root, FALSE)
    if weight(holds) + weight(fails) > _MAX_WEIGHT:
        return Residual(root, FALSE)
    return Residual(holds, fails)


class _TooLargeError(Exception):
    """The residual would take too much work."""


class _Reducer:
    """One evaluation.

    `failed` tells that an error was met which is no missing data. With `lenient`, `truth` takes
    errors for what lets the whole come out true. `preceded` tells that such an error may stand left
    of what is looked at, in a chain around it.
    """

    def __init__(self, ctx: dict[str, Any], attrs: object, now: Timestamp | None) -> None:
        self.ctx = ctx
        self.attrs = attrs
        self.now = now
        self.failed = False
        self.lenient = False
        self.preceded = False
        self._left = _MAX_WORK
        self.frame = new_frame(ctx, attrs)
        self.frame[NOW] = now

    # --- truth

    def truth(self, node: Node, scope: _Scope, *, positive: bool) -> Node:
        """A tree that is true (false, if not `positive`) where `node` is, and nowhere else."""
        match node:
            case Call("!_", None, (operand,)):
                return negation(self.truth(operand, scope, positive=not positive))
            case Call("_&&_" | "_||_" as operator, None):
                parts = [(leaf, scope) for leaf in operands(node, operator)]
                return self._chain(operator, parts, positive=positive)
            case Call("_?_:_", None, (condition, yes, no)):
                return self._choice(condition, yes, no, scope, positive=positive)
            case Fold() if is_bind(node):
                inner = {**scope, node.accumulator: self._bound(node, scope)}
                return self.truth(node.result, inner, positive=positive)
            case Fold():
                unrolled = self._unrolled(node, scope)
                if unrolled is not None:
                    return self._chain(*unrolled, positive=positive)
        result = self.value(node, scope)
        match result:
            case Known(value=bool()):
                return TRUE if result.value else FALSE
            case Known():
                result = Failed(no_overload("condition", result.value), result.node)
            case Open(node=rest):
                return rest
        return self._without(result, positive=positive)

    def _chain(
        self, operator: str, parts: Sequence[tuple[Node, _Scope]], *, positive: bool
    ) -> Node:
        """`&&` or `||` of parts. Of several errors the first stands, so none that comes after
        missing data matters.
        """
        lenient, preceded, failed = self.lenient, self.preceded, self.failed
        results = []
        failing = False
        for node, scope in parts:
            if lenient and not failing:
                value = self.value(node, scope)
                if isinstance(value, Failed):
                    failing = True
                    self.lenient = self.preceded or not is_missing(value)
            self.failed = False
            results.append(self.truth(node, scope, positive=positive))
            self.preceded |= self.failed
            failed |= self.failed
        self.lenient, self.preceded, self.failed = lenient, preceded, failed
        return conjunction(results) if operator == "_&&_" else disjunction(results)

    def _without(self, result: Known | Failed, *, positive: bool) -> Node:
        """What an error counts as."""
        self.failed |= isinstance(result, Known) or not is_missing(result)
        return TRUE if positive == self.lenient else FALSE

    def _choice(
        self, condition: Node, yes: Node, no: Node, scope: _Scope, *, positive: bool
    ) -> Node:
        chosen = self.value(condition, scope)
        match chosen:
            case Known(value=True):
                return self.truth(yes, scope, positive=positive)
            case Known(value=False):
                return self.truth(no, scope, positive=positive)
            case Known():
                return self._without(
                    Failed(no_overload("_?_:_", chosen.value), chosen.node), positive=positive
                )
            case Failed():
                return self._without(chosen, positive=positive)
        then = self.truth(yes, scope, positive=positive)
        other = self.truth(no, scope, positive=positive)
        if is_constant(then, TRUE) and is_constant(other, FALSE):
            return self.truth(condition, scope, positive=positive)
        if is_constant(then, FALSE) and is_constant(other, TRUE):
            return negation(self.truth(condition, scope, positive=not positive))
        return Call("_?_:_", None, (chosen.node, then, other))

    def verdict(self, result: Result) -> Residual:
        """What an expression comes to that was evaluated as a whole."""
        match result:
            case Known(value=bool()):
                return Residual(TRUE if result.value else FALSE, FALSE)
            case Failed(error=MissingDataError()):
                return Residual(FALSE, FALSE)
            case Open(node=node):
                return Residual(node, FALSE)
        return Residual(FALSE, TRUE)

    # --- values

    def value(self, node: Node, scope: _Scope) -> Result:
        """The value of a node as far as it is known."""
        self._left -= 1
        if self._left < 0:
            raise _TooLargeError
        match node:
            case Const():
                return Known(node.value, node)
            case Ident():
                return self._variable(node, scope)
            case Select():
                return self._select(node, scope)
            case ListNode(items=items):
                results = [self.value(item, scope) for item in items]
                return self._made(results, ListNode(tuple(map(lifted, results))))
            case MapNode(entries=entries):
                pairs = [(self.value(k, scope), self.value(v, scope)) for k, v in entries]
                made = MapNode(tuple((lifted(k), lifted(v)) for k, v in pairs))
                return self._made([result for pair in pairs for result in pair], made)
            case Call():
                return self._call(node, scope)
            case Fold():
                return self._fold(node, scope)

    def _variable(self, node: Ident, scope: _Scope) -> Result:
        if node.name in scope:
            return scope[node.name]
        if node.name == "ctx":
            return Known(self.ctx, node)
        if node.name == "attrs":
            if self.attrs is ABSENT:
                return Failed(MissingDataError("attrs has no value here"), node)
            return Known(self.attrs, node)
        return self.opaque(node, scope)

    def _select(self, node: Select, scope: _Scope) -> Result:
        if self._root(node) not in (None, *_VARIABLES, *scope):
            return self.opaque(node, scope)  # the name of a type
        base = self.value(node.operand, scope)
        rest = replace(node, operand=lifted(base, path=True))
        match base:
            case Failed():
                return base
            case Open():
                return Open(rest)
        if not node.test:
            return self._entry(base, node.field, rest)
        try:
            if isinstance(base.value, dict):
                return Known(node.field in base.value, rest)
            walk(base.value, (node.field,))
        except UnknownDataError:
            return Open(rest)
        except CelError as error:
            return Failed(error, rest)
        raise AssertionError(base.value)  # no other value has fields

    def _entry(self, base: Known, key: str, rest: Node) -> Result:
        try:
            return Known(walk(base.value, (key,)), rest)
        except UnknownDataError:
            return Open(rest)
        except CelError as error:
            return Failed(error, rest)

    def _call(self, node: Call, scope: _Scope) -> Result:
        name = node.function
        if name == "now" and node.target is None:
            return Open(node) if self.now is None else Known(self.now, node)
        if name in ("_&&_", "_||_") and node.target is None:
            return self._logic(node, scope)
        if name == "_?_:_":
            condition, yes, no = node.args
            return self._conditional(condition, yes, no, scope)
        if node.target is None or self._is_namespace(node, scope):
            target, arguments = node.target, [self.value(arg, scope) for arg in node.args]
            rest = Call(name, target, tuple(map(lifted, arguments)))
        else:
            first = self.value(node.target, scope)
            others = [self.value(arg, scope) for arg in node.args]
            rest = Call(name, lifted(first), tuple(map(lifted, others)))
            arguments = [first, *others]
        if name in ("_[_]", "@in") and node.target is None:
            looked_up = self._look_up(name, arguments, rest)
            if looked_up is not None:
                return looked_up
        return self._made(arguments, rest)

    def _look_up(self, name: str, arguments: Sequence[Result], rest: Node) -> Result | None:
        """A subscript of, or `in`, a map of which only a part is known."""
        container, key = arguments if name == "_[_]" else reversed(arguments)
        if name == "@in" and isinstance(container, Known) and _is_empty(container.value):
            return key if isinstance(key, Failed) else Known(value=False, node=FALSE)
        if not isinstance(container, Known) or container.whole:
            return None
        assert isinstance(container.value, OpenMap)
        if not isinstance(key, Known) or type(key.value) is not str:
            return key if isinstance(key, Failed) else Open(rest)
        if name == "_[_]":
            return self._entry(container, key.value, rest)
        try:
            return Known(key.value in container.value, rest)
        except UnknownDataError:
            return Open(rest)

    def _is_namespace(self, node: Call, scope: _Scope) -> bool:
        """Whether `math.ceil(x)` and its like only look like a member call."""
        assert node.target is not None
        return self._root(node.target) not in (None, *_VARIABLES, *scope)

    def _root(self, node: Node) -> str | None:
        """The first of a chain of names."""
        while isinstance(node, Select) and not node.test:
            node = node.operand
        return node.name if isinstance(node, Ident) else None

    def _logic(self, node: Call, scope: _Scope) -> Result:
        """`&&` and `||` whose value is used in another way than as a condition."""
        decisive = node.function == "_||_"
        results = [self.value(arg, scope) for arg in node.args]
        rest = Call(node.function, None, tuple(map(lifted, results)))
        if any(isinstance(r, Known) and r.value is decisive for r in results):
            return Known(decisive, Const(decisive))
        if any(isinstance(r, Open) for r in results):
            return Open(rest)
        return self._made(results, rest, strict=False)

    def _conditional(self, condition: Node, yes: Node, no: Node, scope: _Scope) -> Result:
        chosen = self.value(condition, scope)
        match chosen:
            case Known(value=bool()):
                return self.value(yes if chosen.value else no, scope)
            case Known():
                return Failed(no_overload("_?_:_", chosen.value), chosen.node)
            case Failed():
                return chosen
        then, other = self.value(yes, scope), self.value(no, scope)
        return Open(Call("_?_:_", None, (chosen.node, lifted(then), lifted(other))))

    def _made(self, parts: Sequence[Result], rest: Node, *, strict: bool = True) -> Result:
        """The result of an operation on `parts`, which stands in `rest` with its operands."""
        if strict:
            for part in parts:
                if isinstance(part, Failed):
                    return part
        if any(isinstance(part, Open) or (isinstance(part, Known) and not part.whole)
               for part in parts):  # fmt: skip
            return Open(rest)
        return self._run(with_values(rest, parts), rest)

    def _run(self, node: Node, rest: Node) -> Result:
        try:
            value = compile_node(node)(self.frame)
        except UnknownDataError:
            return Open(rest)
        except CelError as error:
            return Failed(error, rest)
        except CompileError as error:
            return Failed(CelError(str(error)), rest)
        if value is ABSENT:
            return Failed(MissingDataError("no such key"), rest)
        return Known(value, rest)

    # --- loops

    def _fold(self, node: Fold, scope: _Scope) -> Result:
        if is_bind(node):
            inner = {**scope, node.accumulator: self._bound(node, scope)}
            return self.value(node.result, inner)
        items = self.value(node.range, scope)
        if isinstance(items, Failed):
            return items
        return self.opaque(node, scope)

    def _bound(self, node: Fold, scope: _Scope) -> Result:
        """The value of the variable of a binding, which is written where the variable stands."""
        result = self.value(node.init, scope)
        if not isinstance(result, Known) and weight(result.node) > _MAX_INLINED:
            raise _TooLargeError
        return result

    def opaque(self, node: Node, scope: _Scope) -> Result:
        """A node that is either known as a whole or not at all."""
        filled = substituted(node, {name: literal_of(result) for name, result in scope.items()})
        rest = substituted(node, {name: lifted(result) for name, result in scope.items()})
        if looks_at_unknown(analyze(filled).paths, self.ctx):
            return Open(rest)
        return self._run(filled, rest)

    def _unrolled(self, node: Fold, scope: _Scope) -> tuple[str, list[tuple[Node, _Scope]]] | None:
        """`all` and `exists` over a known list, element by element."""
        accumulator = Ident(node.accumulator)
        match node.step:
            case Call("_&&_" | "_||_" as operator, None, (left, predicate)) if left == accumulator:
                items = self.value(node.range, scope)
                if not isinstance(items, Known) or not items.whole:
                    return None
                elements = elements_of(items)
                if elements is None or len(elements) > MAX_UNROLLED:
                    return None
                return operator, [(predicate, {**scope, node.variable: e}) for e in elements]
        return None


def _is_empty(value: object) -> bool:
    """Whether a value is a list or a map without any element."""
    return type(value) in (list, dict) and not value
