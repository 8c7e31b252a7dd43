"""From resolved bodies to closures.

Bodies become chains of steps, terms become getters (`steps`); look-ups with open variables in them
become steps of their own first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from octelium.policy.rego import steps as made
from octelium.policy.rego import tree
from octelium.policy.rego.safety import gives_of, ordered_body, pattern_slots
from octelium.policy.rego.tokens import RegoSyntaxError
from octelium.policy.rego.values import Array, Set

if TYPE_CHECKING:
    from collections.abc import Sequence

    from octelium.policy.rego.steps import Getter, Matcher, Step

_TERMS_PER_STEP: Final = 8


class Compiler:
    """Compiles one clause; `slots` is the number of variables it has so far."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self._terms = 0
        self.cost = [1]
        """What an iteration is charged, which depends on how much text is evaluated in each."""

    def fresh(self) -> int:
        """A slot that nothing else uses."""
        slot = self.slots
        self.slots += 1
        return slot

    # --- bodies

    def body(self, body: tree.Body, bound: set[int]) -> list[Step]:
        """The steps of a body. `bound` are the variables with values; those of the body join."""
        steps: list[Step] = []
        for statement in ordered_body(body, frozenset(bound)):
            self._statement(statement, bound, steps)
        return steps

    def _statement(self, statement: tree.Statement, bound: set[int], steps: list[Step]) -> None:
        if not statement.modifiers:
            self._expression(statement, bound, steps)
            return
        slot, outer = self.fresh(), self.fresh()
        replacements = [
            (each.path, self._term(each.value, bound, steps)) for each in statement.modifiers
        ]
        inner: list[Step] = []
        self._expression(statement, bound, inner)
        steps.append(made.replacing(replacements, inner, slot, outer))

    def _expression(self, statement: tree.Statement, bound: set[int], steps: list[Step]) -> None:
        expression = statement.expression
        match expression:
            case tree.Test(term=term):
                steps.append(made.testing(self._term(term, bound, steps)))
            case tree.Unify(left=left, right=right):
                self._unify(left, right, bound, steps)
            case tree.Iterate(key=key, value=value, domain=domain):
                source = self._term(domain, bound, steps)
                first = None if key is None else self._pattern(key, bound, steps)
                second = self._pattern(value, bound, steps)
                steps.append(made.iterating(source, first, second, self.cost))
            case tree.Every():
                steps.append(self._every(expression, bound, steps))
            case tree.Not(inner=inner):
                inside: list[Step] = []
                self._expression(tree.Statement(inner, (), statement.line), set(bound), inside)
                steps.append(made.negating(made.chain(inside, made.succeed)))

    def _every(self, expression: tree.Every, bound: set[int], steps: list[Step]) -> Step:
        source = self._term(expression.domain, bound, steps)
        inner = set(bound)
        key = None if expression.key is None else expression.key.slot
        inner |= {expression.value.slot} | (set() if key is None else {key})
        run = made.chain(self.body(expression.body, inner), made.succeed)
        return made.everything(source, key, expression.value.slot, run, self.cost)

    # --- unification

    def _unify(self, left: tree.Term, right: tree.Term, bound: set[int], steps: list[Step]) -> None:
        if not _is_known(left, bound):
            left, right = right, left
        value = self._term(left, bound, steps)
        steps.append(made.matching(value, self._pattern(right, bound, steps)))

    def _pattern(self, term: tree.Term, bound: set[int], steps: list[Step]) -> Matcher:
        """A closure that compares a value with a pattern, and gives values to its variables."""
        if isinstance(term, tree.Local) and term.slot not in bound:
            bound.add(term.slot)
            return made.binding(term.slot)
        if isinstance(term, tree.Collection) and not pattern_slots(term) <= bound:
            if term.kind == "array":
                return made.matching_array(
                    [self._pattern(item, bound, steps) for item in term.items]
                )
            if term.kind == "object":
                keys = [self._term(key, bound, steps) for key in term.keys]
                inner = [self._pattern(item, bound, steps) for item in term.items]
                return made.matching_object(keys, inner)
        return made.comparing(self._term(term, bound, steps))

    # --- terms

    def _term(self, term: tree.Term, bound: set[int], steps: list[Step]) -> Getter:
        """A closure for the value of a term; steps that it needs before join `steps`."""
        self._terms += 1
        self.cost[0] = 1 + self._terms // _TERMS_PER_STEP
        match term:
            case tree.Const(value=value):
                return lambda _: value
            case tree.Local(slot=slot, name=name, line=line):
                if slot not in bound:
                    raise RegoSyntaxError(line, f"{name} is unsafe: nothing gives it a value")
                return lambda frame: frame[slot]
            case tree.Input():
                return made.read_input
            case tree.RuleValue(path=path):
                return lambda frame: frame[made.EVALUATION].rule(path)
            case tree.Lookup():
                return self._lookup(term, bound, steps)
            case tree.BuiltinCall():
                return made.calling_builtin(term, self.terms(term.args, bound, steps))
            case tree.FunctionCall(path=path, args=args):
                return made.calling_own(path, self.terms(args, bound, steps))
            case tree.Collection(kind=kind, keys=keys, items=items):
                found = self.terms((*keys, *items), bound, steps)
                return made.COLLECTIONS[kind](found[: len(keys)], found[len(keys) :])
            case tree.Closure():
                return self._closure(term, bound)

    def _lookup(self, term: tree.Lookup, bound: set[int], steps: list[Step]) -> Getter:
        source = self._term(term.head, bound, steps)
        path: list[Getter] = []
        for step in term.path:
            if pattern_slots(step) <= bound:
                path.append(self._term(step, bound, steps))
                continue
            pattern = self._pattern(step, bound, steps)
            slot = self.fresh()
            steps.append(made.scanning(made.following_path(source, path), pattern, slot, self.cost))
            source, path = made.read_slot(slot), []
        return made.following_path(source, path)

    def _closure(self, term: tree.Closure, bound: set[int]) -> Getter:
        inner = set(bound)
        steps = self.body(term.body, inner)
        key = None if term.key is None else self._term(term.key, inner, steps)
        value = self._term(term.value, inner, steps)
        slot = self.fresh()
        if key is not None:
            return made.collected_object(
                made.chain(steps, made.putting(slot, key, value)), slot, term.line
            )
        if term.kind == "set":
            return made.collected(made.chain(steps, made.adding(slot, value)), slot, Set)
        return made.collected(made.chain(steps, made.appending(slot, value)), slot, Array)

    def terms(self, terms: Sequence[tree.Term], bound: set[int], steps: list[Step]) -> list[Getter]:
        """Closures for terms; those that give values to variables are looked at first."""
        order = sorted(range(len(terms)), key=lambda index: not gives_of(terms[index]))
        found = {index: self._term(terms[index], bound, steps) for index in order}
        return [found[index] for index in range(len(terms))]

    def arguments(self, patterns: Sequence[tree.Term], bound: set[int]) -> list[Matcher]:
        """Closures that take the arguments of a function.

        Raises:
            RegoSyntaxError: a pattern needs more than constants and variables.
        """
        steps: list[Step] = []
        found = [self._pattern(pattern, bound, steps) for pattern in patterns]
        assert not steps, "patterns of arguments look nothing up"
        return found


def _is_known(term: tree.Term, bound: set[int]) -> bool:
    """Whether a pattern has no variable without a value once its look-ups are made."""
    return pattern_slots(term) <= bound | gives_of(term)
