"""Whether a combination of conditions is true for every request, for none, or for some.

Conditions on the same value exclude or imply each other: no method is both `GET` and `POST`. So
for each place that they read, all cases are gone through that the conditions tell apart: the texts
that they compare with, the prefixes that they look for, anything else, and nothing at all. What is
compared in other ways, such as by an expression over two places, may come out either way.
"""

from __future__ import annotations

import itertools
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from octelium.octovigil.access.formula import FALSE, TRUE, Atom, Formula
from octelium.policy.cel.ast import Call, Const, Ident, ListNode, Node, Select
from octelium.policy.cel.compiler import compile_node
from octelium.policy.cel.errors import EvaluationError
from octelium.policy.cel.program import new_frame

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from octelium.policy.cel.reads import Path

MAX_CASES: Final = 1024
"""Cases of one combination beyond which it may come out either way."""

_ACROSS: Final = 8
_OTHER: Final = "\U0010fffd"
"""A text that no condition looks for."""

_Case = frozenset[Atom]
"""The atoms that are true in a case."""


class Verdict(Enum):
    """How often a combination is true."""

    ALWAYS = "always"
    NEVER = "never"
    SOMETIMES = "sometimes"


class Domains:
    """Gives verdicts, and remembers them."""

    def __init__(self) -> None:
        self._verdicts: dict[Formula, Verdict] = {}
        self._same: dict[tuple[Formula, Formula], bool] = {}
        self._cases: dict[frozenset[Atom], Sequence[_Case]] = {}

    def verdict(self, formula: Formula) -> Verdict:
        """Whether `formula` is always true, never, or perhaps."""
        if formula is TRUE:
            return Verdict.ALWAYS
        if formula is FALSE:
            return Verdict.NEVER
        known = self._verdicts.get(formula)
        if known is None:
            known = self._verdicts[formula] = self._find(formula)
        return known

    def _find(self, formula: Formula) -> Verdict:
        seen: set[bool] = set()
        for true in self._walk(formula.atoms):
            if true is None:
                return Verdict.SOMETIMES
            seen.add(formula.holds(true))
            if len(seen) == 2:
                return Verdict.SOMETIMES
        return Verdict.ALWAYS if True in seen else Verdict.NEVER

    def same(self, one: Formula, two: Formula) -> bool:
        """Whether two combinations are true in the same cases; False if there are too many."""
        if one is two:
            return True
        known = self._same.get((one, two))
        if known is None:
            known = self._same[one, two] = all(
                true is not None and one.holds(true) is two.holds(true)
                for true in self._walk(one.atoms | two.atoms)
            )
        return known

    def _walk(self, atoms: frozenset[Atom]) -> Iterator[_Case | None]:
        """The cases that some atoms tell apart; None at the end if there are too many for all."""
        choices = [self._cases_of(group) for group in _components(atoms)]
        size = 1
        for cases in choices:
            size *= len(cases)
        # Going across all choices at once usually shows what there is to see.
        rows = (itertools.islice(itertools.cycle(cases), _ACROSS) for cases in choices)
        across = zip(*rows, strict=False)  # a component with too many cases has none
        whole = itertools.product(*choices) if 0 < size <= MAX_CASES else ()
        for combination in itertools.chain(across, whole):
            yield frozenset[Atom]().union(*combination)
        if not 0 < size <= MAX_CASES:
            yield None

    def _cases_of(self, atoms: frozenset[Atom]) -> Sequence[_Case]:
        """All cases of a component; none if there are too many of them."""
        known = self._cases.get(atoms)
        if known is None:
            known = self._cases[atoms] = list(dict.fromkeys(_cases(atoms)))
        return known


def _components(atoms: Iterable[Atom]) -> list[frozenset[Atom]]:
    """Atoms that read at, above or below common places belong together."""
    groups: list[tuple[set[Atom], set[Path]]] = []
    for atom in sorted(atoms, key=lambda each: each.text):
        members, paths = {atom}, set(atom.expected or ())
        rest = []
        for other in groups:
            if any(_touch(one, two) for one in paths for two in other[1]):
                members |= other[0]
                paths |= other[1]
            else:
                rest.append(other)
        groups = [*rest, (members, paths)]
    return [frozenset(members) for members, _ in groups]


def _touch(one: Path, two: Path) -> bool:
    shorter = min(len(one), len(two))
    return one[:shorter] == two[:shorter]


def _cases(atoms: frozenset[Atom]) -> Iterator[_Case]:
    ordered = sorted(atoms, key=lambda atom: atom.text)
    expectations = {item for atom in atoms for item in (atom.expected or {}).items()}
    if len(expectations) != 1 or any(atom.expected is None for atom in atoms):
        yield from _any_of(frozenset(), ordered)
        return
    ((path, expected),) = expectations
    exact: list[Atom] = []
    values: list[object] = list(expected.values)
    others: list[object] = [] if values else [_OTHER]
    for atom in ordered:
        test = _unwrapped(atom.node)
        constants, prefix = _compared(test), _prefix(test)
        if constants is None and prefix is None:
            continue
        exact.append(atom)
        if not expected.values:
            values += [prefix] if constants is None else constants
            others += [] if prefix is None else [prefix + _OTHER]
    inexact = [atom for atom in ordered if atom not in exact]
    tests = {atom: compile_node(atom.node) for atom in ordered}

    def true(candidates: Iterable[Atom], ctx: dict[str, Any]) -> _Case:
        return frozenset(atom for atom in candidates if _is_true(tests[atom], ctx))

    for value in others:
        yield from _any_of(true(exact, _nested(path, value)), inexact)
    for value in values:
        yield true(ordered, _nested(path, value))
    for depth in range(expected.certain, len(path)):
        yield true(ordered, _nested(path[:depth], {}) if depth else {})


def _any_of(given: _Case, atoms: Sequence[Atom]) -> Iterator[_Case]:
    """`given` and each selection of `atoms`; nothing if there are too many."""
    if 1 << len(atoms) <= MAX_CASES:
        for count in range(len(atoms) + 1):
            for chosen in itertools.combinations(atoms, count):
                yield given.union(chosen)


def _is_true(test: Any, ctx: dict[str, Any]) -> bool:
    try:
        return test(new_frame(ctx)) is True
    except EvaluationError:
        return False


def _nested(path: Path, value: object) -> dict[str, Any]:
    for key in reversed(path):
        value = {key: value}
    assert isinstance(value, dict)
    return value


def _unwrapped(node: Node) -> Node:
    """What `x == false` tests."""
    match node:
        case Call("_==_", None, (operand, Const(value=False))) if not _is_place(operand):
            return operand
    return node


def _compared(node: Node) -> list[object] | None:
    """What a place is compared with, if that is all that is done with it."""
    match node:
        case Call("_==_" | "_!=_", None, (left, right)):
            if isinstance(left, Const):
                left, right = right, left
            if _is_place(left) and isinstance(right, Const):
                return [right.value]
        case Call("@in", None, (value, ListNode(items=items))) if _is_place(value):
            if all(isinstance(item, Const) for item in items):
                return [item.value for item in items if isinstance(item, Const)]
        case Call("@in", None, (Const(value=str()), container)) if _is_place(container):
            return []
        case Select(operand=operand, test=True) if _is_place(operand):
            return []
        case Select() | Call("_[_]"):
            return [True, False] if _is_place(node) else None
    return None


def _prefix(node: Node) -> str | None:
    """The prefix that a place is tested for."""
    match node:
        case Call("startsWith", target, (Const(value=str() as prefix),)) if target is not None:
            return prefix if _is_place(target) else None
    return None


def _is_place(node: Node) -> bool:
    """Whether a node leads along fixed names from `ctx`."""
    while True:
        match node:
            case Ident(name="ctx"):
                return True
            case Select(operand=operand, test=False):
                node = operand
            case Call("_[_]", None, (container, Const(value=str()))):
                node = container
            case _:
                return False
