"""In which order the statements of a body can be evaluated.

A statement can be evaluated once every variable that it only looks at has a value; others get one
from it. https://www.openpolicyagent.org/docs/policy-language#safety: a body in which some variable
never gets one is refused.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from octelium.policy.rego import tree
from octelium.policy.rego.names import slots_of
from octelium.policy.rego.tokens import RegoSyntaxError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_STATEMENTS: Final = 2000
"""Of one body."""


@dataclass(frozen=True, slots=True)
class _Uses:
    """The variables of one statement."""

    statement: tree.Statement
    needs: frozenset[int]
    """These must have values before."""
    gives: frozenset[int]
    """These have values afterwards."""
    sides: tuple[frozenset[int], frozenset[int]] | None
    """Of two patterns, of which one must be known to match the other."""


def ordered_body(body: tree.Body, bound: frozenset[int]) -> list[tree.Statement]:
    """The statements in an order in which they can be evaluated.

    Raises:
        RegoSyntaxError: there is none.
    """
    body = tuple(part for statement in body for part in _parts(statement))
    if len(body) > MAX_STATEMENTS:
        problem = f"a body has more than {MAX_STATEMENTS} statements"
        raise RegoSyntaxError(body[0].line, problem)
    uses = [_uses(statement) for statement in body]
    known = set(bound)
    ready: list[int] = []
    # By variable, the statements that may go on once it has a value.
    waiting: dict[int, list[int]] = {}

    def consider(index: int) -> None:
        missing = _missing(uses[index], known)
        if missing:
            for slot in missing:
                waiting.setdefault(slot, []).append(index)
        else:
            heapq.heappush(ready, index)

    for index in range(len(body)):
        consider(index)
    found: list[int] = []
    done: set[int] = set()
    while ready:
        index = heapq.heappop(ready)
        if index in done:
            continue
        done.add(index)
        found.append(index)
        for slot in uses[index].gives - known:
            known.add(slot)
            for other in waiting.pop(slot, ()):
                if other not in done:
                    consider(other)
    if len(found) < len(body):
        raise _unsafe(next(each for at, each in enumerate(uses) if at not in done), known)
    return [body[index] for index in found]


def _parts(statement: tree.Statement) -> Iterator[tree.Statement]:
    """A statement that unifies two collections, as one statement for each pair of members."""
    expression = statement.expression
    pairs = None
    if isinstance(expression, tree.Unify):
        pairs = paired(expression.left, expression.right)
    if pairs is None:
        yield statement
        return
    for left, right in pairs:
        part = tree.Unify(left, right)
        yield from _parts(tree.Statement(part, statement.modifiers, statement.line))


def paired(left: tree.Term, right: tree.Term) -> list[tuple[tree.Term, tree.Term]] | None:
    """The members of two collections that must be equal; None if the two are not of that kind."""
    if not isinstance(left, tree.Collection) or not isinstance(right, tree.Collection):
        return None
    if left.kind != right.kind or left.kind == "set" or len(left.items) != len(right.items):
        return None
    if left.kind == "array":
        return list(zip(left.items, right.items, strict=True))
    ours, theirs = _members(left), _members(right)
    if ours is None or theirs is None or set(ours) != set(theirs):
        return None
    return [(ours[key], theirs[key]) for key in ours]


def _members(term: tree.Collection) -> dict[Any, tree.Term] | None:
    """The members of an object whose keys are constants."""
    found = {}
    for key, item in zip(term.keys, term.items, strict=True):
        if not isinstance(key, tree.Const):
            return None
        found[key.value] = item
    return found


def _missing(uses: _Uses, known: set[int]) -> list[int]:
    """Variables of which one must get a value before the statement can be ready; none if it is."""
    for slot in uses.needs:
        if slot not in known:
            return [slot]
    if uses.sides is None or any(side <= known for side in uses.sides):
        return []
    return [next(iter(side - known)) for side in uses.sides]


def _unsafe(uses: _Uses, known: set[int]) -> RegoSyntaxError:
    wanted = uses.needs if uses.sides is None else uses.needs.union(*uses.sides)
    missing = wanted - known
    names = {local.slot: local.name for local in locals_of(uses.statement)}
    name = next((names[slot] for slot in sorted(missing) if slot in names), "_")
    return RegoSyntaxError(
        uses.statement.line, f"{name} is unsafe: nothing gives it a value before it is needed"
    )


def _uses(statement: tree.Statement) -> _Uses:
    expression = statement.expression
    sides = None
    needs: frozenset[int]
    match expression:
        case tree.Test(term=term):
            needs, gives = needs_of(term), gives_of(term)
        case tree.Iterate(key=key, value=value, domain=domain):
            gives = gives_of(domain) | pattern_slots(value)
            needs = needs_of(domain) | pattern_needs(value)
            if key is not None:
                gives |= pattern_slots(key)
                needs |= pattern_needs(key)
        case tree.Every(domain=domain, free=free):
            gives = gives_of(domain)
            needs = needs_of(domain) | free
        case tree.Not(inner=inner):
            gives = frozenset()
            needs = frozenset(slots_of(inner))
            if isinstance(inner, tree.Every):
                needs = frozenset(slots_of(inner.domain)) | inner.free
        case tree.Unify(left=left, right=right):
            one, other = pattern_slots(left), pattern_slots(right)
            gives = one | other | gives_of(left) | gives_of(right)
            needs = pattern_needs(left) | pattern_needs(right)
            sides = (one - gives_of(right), other - gives_of(left))
    for modifier in statement.modifiers:
        needs |= needs_of(modifier.value) | gives_of(modifier.value)
    return _Uses(statement, needs - _given_by_lookups(expression), gives, sides)


def _given_by_lookups(expression: object) -> frozenset[int]:
    """What look-ups of an expression give a value to before the rest of it is evaluated."""
    match expression:
        case tree.Test(term=term):
            return gives_of(term)
        case tree.Unify(left=left, right=right):
            return gives_of(left) | gives_of(right)
        case tree.Iterate(domain=domain) | tree.Every(domain=domain):
            return gives_of(domain)
    return frozenset()


def needs_of(term: tree.Term | None) -> frozenset[int]:
    """The variables of a term that nothing in it gives a value to."""
    return frozenset(_plain(term)) - gives_of(term)


def _plain(term: tree.Term | None) -> Iterator[int]:
    match term:
        case tree.Local(slot=slot):
            yield slot
        case tree.Lookup(head=head, path=path):
            yield from _plain(head)
            for step in path:
                if not pattern_slots(step):
                    yield from _plain(step)
                else:
                    yield from pattern_needs(step)
        case tree.BuiltinCall(args=args) | tree.FunctionCall(args=args):
            for arg in args:
                yield from _plain(arg)
        case tree.Collection(keys=keys, items=items):
            for item in (*keys, *items):
                yield from _plain(item)
        case tree.Closure(free=free):
            yield from free


def gives_of(term: tree.Term | None) -> frozenset[int]:
    """The variables that look-ups in a term give a value to."""
    return frozenset(_given(term))


def _given(term: tree.Term | None) -> Iterator[int]:
    match term:
        case tree.Lookup(head=head, path=path):
            yield from _given(head)
            for step in path:
                yield from pattern_slots(step)
                yield from _given(step)
        case tree.BuiltinCall(args=args) | tree.FunctionCall(args=args):
            for arg in args:
                yield from _given(arg)
        case tree.Collection(keys=keys, items=items):
            for item in (*keys, *items):
                yield from _given(item)


def pattern_slots(term: tree.Term) -> frozenset[int]:
    """The variables that stand in a pattern for a value, or for a member of it."""
    match term:
        case tree.Local(slot=slot):
            return frozenset({slot})
        case tree.Collection(kind=kind, items=items) if kind != "set":
            return frozenset[int]().union(*map(pattern_slots, items))
    return frozenset()


def pattern_needs(term: tree.Term) -> frozenset[int]:
    """The other variables of a pattern, but for those that look-ups in it give a value to."""
    match term:
        case tree.Local():
            return frozenset()
        case tree.Collection(kind=kind, keys=keys, items=items) if kind != "set":
            inner = frozenset[int]().union(*map(pattern_needs, items))
            return inner.union(*map(needs_of, keys))
    return needs_of(term)


def locals_of(node: object) -> Iterator[tree.Local]:
    """The variables of a statement, for error texts."""
    if isinstance(node, tree.Local):
        yield node
    elif isinstance(node, tuple):
        for item in node:
            yield from locals_of(item)
    elif hasattr(node, "__slots__"):
        for name in type(node).__slots__:
            yield from locals_of(getattr(node, name))
