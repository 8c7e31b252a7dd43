"""From resolved bodies to closures.

A body is a chain of steps. Each takes the frame and returns whether the search may end; a step that
iterates calls the rest of the chain for each member. Terms become closures that give a value or
`UNDEFINED`; look-ups with open variables in them become steps of their own first.

A frame is a list: the evaluation, what the clause has found, then the variables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from octelium.policy.rego import tree
from octelium.policy.rego.functions.objects import lookup
from octelium.policy.rego.needed import UNDEFINED, RegoBudgetError, RegoError
from octelium.policy.rego.safety import gives_of, ordered_body, pattern_slots, same_shape
from octelium.policy.rego.tokens import RegoSyntaxError
from octelium.policy.rego.values import FALSE, Array, Meter, Object, Set, ordered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from octelium.policy.rego.tree import RulePath

Frame = list[Any]

if TYPE_CHECKING:
    Getter = Callable[[Frame], Any]
    Run = Callable[[Frame], bool]
    Step = Callable[[Run], Run]
    """Makes a run of the run that follows."""
    Matcher = Callable[[Frame, Any], bool]

_TERMS_PER_STEP: Final = 8

EVALUATION: Final = 0
FOUND: Final = 1


class Evaluation(Protocol):
    """One evaluation of a module, as closures see it."""

    document: Any
    """The input document."""
    meter: Meter

    def rule(self, path: RulePath) -> Any:
        """What the rules at a path define."""

    def call(self, path: RulePath, args: list[Any]) -> Any:
        """What a function of the module results in."""

    def replaced(self, path: tuple[str, ...], value: Any) -> Evaluation:
        """The same with another value in the input, or as the whole of it."""


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
        steps.append(_with(replacements, inner, slot, outer))

    def _expression(self, statement: tree.Statement, bound: set[int], steps: list[Step]) -> None:
        expression = statement.expression
        match expression:
            case tree.Test(term=term):
                steps.append(_test(self._term(term, bound, steps)))
            case tree.Unify(left=left, right=right):
                self._unify(left, right, bound, steps, statement.line)
            case tree.Iterate(key=key, value=value, domain=domain):
                source = self._term(domain, bound, steps)
                first = None if key is None else self._pattern(key, bound, steps)
                second = self._pattern(value, bound, steps)
                steps.append(_iterate(source, first, second, self.cost))
            case tree.Every():
                steps.append(self._every(expression, bound, steps))
            case tree.Not(inner=inner):
                inside: list[Step] = []
                self._expression(tree.Statement(inner, (), statement.line), set(bound), inside)
                steps.append(_not(chain(inside, _succeed)))

    def _every(self, expression: tree.Every, bound: set[int], steps: list[Step]) -> Step:
        source = self._term(expression.domain, bound, steps)
        inner = set(bound)
        key = None if expression.key is None else expression.key.slot
        inner |= {expression.value.slot} | (set() if key is None else {key})
        run = chain(self.body(expression.body, inner), _succeed)
        return _every(source, key, expression.value.slot, run, self.cost)

    # --- unification

    def _unify(
        self, left: tree.Term, right: tree.Term, bound: set[int], steps: list[Step], line: int
    ) -> None:
        if same_shape(left, right):
            assert isinstance(left, tree.Collection)
            assert isinstance(right, tree.Collection)
            self._unify_members(left, right, bound, steps, line)
            return
        if not _is_known(left, bound):
            left, right = right, left
        value = self._term(left, bound, steps)
        steps.append(_match(value, self._pattern(right, bound, steps)))

    def _unify_members(
        self,
        left: tree.Collection,
        right: tree.Collection,
        bound: set[int],
        steps: list[Step],
        line: int,
    ) -> None:
        if len(left.items) != len(right.items):
            steps.append(_test(lambda _: UNDEFINED))
            return
        pairs = list(zip(left.items, right.items, strict=True))
        if left.kind == "object":
            ours, theirs = _members(left), _members(right)
            if ours is None or theirs is None:
                raise RegoSyntaxError(line, "objects can be unified if their keys are constants")
            if set(ours) != set(theirs):
                steps.append(_test(lambda _: UNDEFINED))
                return
            pairs = [(ours[key], theirs[key]) for key in ours]
        pending = pairs
        while pending:
            rest = []
            for one, other in pending:
                if _is_known(one, bound) or _is_known(other, bound):
                    self._unify(one, other, bound, steps, line)
                else:
                    rest.append((one, other))
            if len(rest) == len(pending):
                raise RegoSyntaxError(line, "a variable is unsafe: nothing gives it a value")
            pending = rest

    def _pattern(self, term: tree.Term, bound: set[int], steps: list[Step]) -> Matcher:
        """A closure that compares a value with a pattern, and gives values to its variables."""
        if isinstance(term, tree.Local) and term.slot not in bound:
            bound.add(term.slot)
            return _bind(term.slot)
        if isinstance(term, tree.Collection) and not pattern_slots(term) <= bound:
            if term.kind == "array":
                return _match_array([self._pattern(item, bound, steps) for item in term.items])
            if term.kind == "object":
                keys = [self._term(key, bound, steps) for key in term.keys]
                inner = [self._pattern(item, bound, steps) for item in term.items]
                return _match_object(keys, inner)
        return _compare(self._term(term, bound, steps))

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
                return _input
            case tree.RuleValue(path=path):
                return lambda frame: frame[EVALUATION].rule(path)
            case tree.Lookup():
                return self._lookup(term, bound, steps)
            case tree.BuiltinCall():
                return _call(term, self.terms(term.args, bound, steps))
            case tree.FunctionCall(path=path, args=args):
                return _own_call(path, self.terms(args, bound, steps))
            case tree.Collection(kind=kind, keys=keys, items=items):
                found = self.terms((*keys, *items), bound, steps)
                return _COLLECTIONS[kind](found[: len(keys)], found[len(keys) :])
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
            steps.append(_scan(_follow(source, path), pattern, slot, self.cost))
            source, path = _slot(slot), []
        return _follow(source, path)

    def _closure(self, term: tree.Closure, bound: set[int]) -> Getter:
        inner = set(bound)
        steps = self.body(term.body, inner)
        key = None if term.key is None else self._term(term.key, inner, steps)
        value = self._term(term.value, inner, steps)
        slot = self.fresh()
        if key is not None:
            return _object_of(chain(steps, _put(slot, key, value)), slot, term.line)
        if term.kind == "set":
            return _collected(chain(steps, _add(slot, value)), slot, Set)
        return _collected(chain(steps, _append(slot, value)), slot, Array)

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


def chain(steps: Sequence[Step], last: Run) -> Run:
    """One run of steps, with `last` behind them."""
    run = last
    for step in reversed(steps):
        run = step(run)
    return run


def _succeed(_: Frame) -> bool:
    return True


def _members(term: tree.Collection) -> dict[Any, tree.Term] | None:
    """The members of an object whose keys are constants."""
    found = {}
    for key, item in zip(term.keys, term.items, strict=True):
        if not isinstance(key, tree.Const):
            return None
        found[key.value] = item
    return found


# --- steps


def _test(value: Getter) -> Step:
    def step(following: Run) -> Run:
        def run(frame: Frame) -> bool:
            found = value(frame)
            if found is UNDEFINED or found is FALSE:
                return False
            return following(frame)

        return run

    return step


def _match(value: Getter, pattern: Matcher) -> Step:
    def step(following: Run) -> Run:
        def run(frame: Frame) -> bool:
            found = value(frame)
            return found is not UNDEFINED and pattern(frame, found) and following(frame)

        return run

    return step


def _pairs(value: Any) -> Iterator[tuple[Any, Any]]:
    """The members of a collection, in order; of other values none."""
    kind = type(value)
    if kind is Array:
        yield from enumerate(value)
    elif kind is Object:
        for key in ordered(value):
            yield key, value[key]
    elif kind is Set:
        for item in ordered(value):
            yield item, item


def _scan(source: Getter, pattern: Matcher, slot: int, cost: list[int]) -> Step:
    """Each member whose key matches."""

    def step(following: Run) -> Run:
        def run(frame: Frame) -> bool:
            charge = frame[EVALUATION].meter.charge
            for key, item in _pairs(source(frame)):
                charge(cost[0])
                if pattern(frame, key):
                    frame[slot] = item
                    if following(frame):
                        return True
            return False

        return run

    return step


def _iterate(source: Getter, first: Matcher | None, second: Matcher, cost: list[int]) -> Step:
    """Each member whose key and value match."""

    def step(following: Run) -> Run:
        def run(frame: Frame) -> bool:
            charge = frame[EVALUATION].meter.charge
            for key, item in _pairs(source(frame)):
                charge(cost[0])
                if (
                    (first is None or first(frame, key))
                    and second(frame, item)
                    and following(frame)
                ):
                    return True
            return False

        return run

    return step


def _every(source: Getter, key: int | None, value: int, body: Run, cost: list[int]) -> Step:
    def step(following: Run) -> Run:
        def run(frame: Frame) -> bool:
            domain = source(frame)
            if type(domain) not in (Array, Object, Set):
                return False
            charge = frame[EVALUATION].meter.charge
            for name, item in _pairs(domain):
                charge(cost[0])
                if key is not None:
                    frame[key] = name
                frame[value] = item
                if not body(frame):
                    return False
            return following(frame)

        return run

    return step


def _not(inner: Run) -> Step:
    def step(following: Run) -> Run:
        def run(frame: Frame) -> bool:
            return not inner(frame) and following(frame)

        return run

    return step


def _with(
    replacements: list[tuple[tuple[str, ...], Getter]], inner: list[Step], slot: int, outer: int
) -> Step:
    """`inner` sees another input; what follows sees the former one again."""

    def step(following: Run) -> Run:
        def back(frame: Frame) -> bool:
            frame[EVALUATION] = frame[outer]
            found = following(frame)
            frame[EVALUATION] = frame[slot]
            return found

        body = chain(inner, back)

        def run(frame: Frame) -> bool:
            former = replaced = frame[EVALUATION]
            for path, value in replacements:
                given = value(frame)
                if given is UNDEFINED:
                    return False
                replaced = replaced.replaced(path, given)
            frame[outer], frame[slot] = former, replaced
            frame[EVALUATION] = replaced
            try:
                return body(frame)
            finally:
                frame[EVALUATION] = former

        return run

    return step


# --- patterns


def _bind(slot: int) -> Matcher:
    def match(frame: Frame, value: Any) -> bool:
        frame[slot] = value
        return True

    return match


def _compare(getter: Getter) -> Matcher:
    def match(frame: Frame, value: Any) -> bool:
        return bool(getter(frame) == value)

    return match


def _match_array(patterns: list[Matcher]) -> Matcher:
    def match(frame: Frame, value: Any) -> bool:
        if type(value) is not Array or len(value) != len(patterns):
            return False
        return all(pattern(frame, item) for pattern, item in zip(patterns, value, strict=True))

    return match


def _match_object(keys: list[Getter], patterns: list[Matcher]) -> Matcher:
    def match(frame: Frame, value: Any) -> bool:
        if type(value) is not Object or len(value) != len(patterns):
            return False
        for key, pattern in zip(keys, patterns, strict=True):
            item = value.get(key(frame), UNDEFINED)
            if item is UNDEFINED or not pattern(frame, item):
                return False
        return True

    return match


# --- values


def _input(frame: Frame) -> Any:
    return frame[EVALUATION].document


def _slot(slot: int) -> Getter:
    return lambda frame: frame[slot]


def _follow(source: Getter, path: list[Getter]) -> Getter:
    """A value along a path."""
    if not path:
        return source
    steps = tuple(path)

    def follow(frame: Frame) -> Any:
        value = source(frame)
        for step in steps:
            if value is UNDEFINED:
                return UNDEFINED
            key = step(frame)
            if key is UNDEFINED:
                return UNDEFINED
            value = lookup(value, key, UNDEFINED)
        return value

    return follow


def _call(term: tree.BuiltinCall, args: list[Getter]) -> Getter:
    function, name, line = term.function, term.name, term.line

    def call(frame: Frame) -> Any:
        meter = frame[EVALUATION].meter
        meter.charge(1)
        values = []
        for arg in args:
            value = arg(frame)
            if value is UNDEFINED:
                return UNDEFINED
            values.append(value)
        try:
            return function(meter, *values)
        except RegoBudgetError:
            raise
        except RegoError as error:
            raise RegoError(f"line {line}: {name}: {error}") from None

    return call


def _own_call(path: RulePath, args: list[Getter]) -> Getter:
    def call(frame: Frame) -> Any:
        values = []
        for arg in args:
            value = arg(frame)
            if value is UNDEFINED:
                return UNDEFINED
            values.append(value)
        return frame[EVALUATION].call(path, values)

    return call


def _array(_: list[Getter], items: list[Getter]) -> Getter:
    def make(frame: Frame) -> Any:
        made = Array([item(frame) for item in items])
        return UNDEFINED if any(item is UNDEFINED for item in made) else made

    return make


def _set(_: list[Getter], items: list[Getter]) -> Getter:
    def make(frame: Frame) -> Any:
        made = [item(frame) for item in items]
        return UNDEFINED if any(item is UNDEFINED for item in made) else Set(made)

    return make


def _object(keys: list[Getter], items: list[Getter]) -> Getter:
    def make(frame: Frame) -> Any:
        names = [key(frame) for key in keys]
        values = [item(frame) for item in items]
        if any(each is UNDEFINED for each in (*names, *values)):
            return UNDEFINED
        return Object(zip(names, values, strict=True))

    return make


_COLLECTIONS: Final = {"array": _array, "set": _set, "object": _object}


# --- comprehensions


def _collected(body: Run, slot: int, kind: type) -> Getter:
    def collect(frame: Frame) -> Any:
        frame[slot] = kind()
        body(frame)
        return frame[slot]

    return collect


def _append(slot: int, value: Getter) -> Run:
    def run(frame: Frame) -> bool:
        found = value(frame)
        if found is not UNDEFINED:
            frame[slot].append(found)
        return False

    return run


def _add(slot: int, value: Getter) -> Run:
    def run(frame: Frame) -> bool:
        found = value(frame)
        if found is not UNDEFINED:
            frame[slot].add(found)
        return False

    return run


def _put(slot: int, key: Getter, value: Getter) -> Run:
    def run(frame: Frame) -> bool:
        name, found = key(frame), value(frame)
        if name is not UNDEFINED and found is not UNDEFINED:
            known = frame[slot].setdefault(name, found)
            if known != found:
                raise RegoError("an object gets two values for one key")
        return False

    return run


def _object_of(body: Run, slot: int, line: int) -> Getter:
    def collect(frame: Frame) -> Any:
        frame[slot] = Object()
        try:
            body(frame)
        except RegoBudgetError:
            raise
        except RegoError as error:
            text = str(error)
            raise RegoError(text if text.startswith("line") else f"line {line}: {text}") from None
        return frame[slot]

    return collect
