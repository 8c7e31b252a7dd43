"""The closures that evaluations are made of.

A step takes the frame and returns whether the search may end; one that iterates calls what follows
for each member. A getter gives a value or `UNDEFINED`. A frame is a list: the evaluation, what the
clause has found, then the variables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from octelium.policy.rego.functions.objects import lookup
from octelium.policy.rego.needed import UNDEFINED, RegoBudgetError, RegoError
from octelium.policy.rego.values import FALSE, Array, Meter, Object, Set, ordered, sized

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from octelium.policy.rego import tree
    from octelium.policy.rego.tree import RulePath

Frame = list[Any]

if TYPE_CHECKING:
    Getter = Callable[[Frame], Any]
    Run = Callable[[Frame], bool]
    Step = Callable[[Run], Run]
    """Makes a run of the run that follows."""
    Matcher = Callable[[Frame, Any], bool]

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


def chain(steps: Sequence[Step], last: Run) -> Run:
    """One run of steps, with `last` behind them."""
    run = last
    for step in reversed(steps):
        run = step(run)
    return run


def succeed(_: Frame) -> bool:
    """The end of a chain of which it only counts whether it is reached."""
    return True


# --- steps


def testing(value: Getter) -> Step:
    """A value that must be defined and not false."""

    def step(following: Run) -> Run:
        def run(frame: Frame) -> bool:
            found = value(frame)
            if found is UNDEFINED or found is FALSE:
                return False
            return following(frame)

        return run

    return step


def matching(value: Getter, pattern: Matcher) -> Step:
    """A value that must match."""

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


def scanning(source: Getter, pattern: Matcher, slot: int, cost: list[int]) -> Step:
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


def iterating(source: Getter, first: Matcher | None, second: Matcher, cost: list[int]) -> Step:
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


def everything(source: Getter, key: int | None, value: int, body: Run, cost: list[int]) -> Step:
    """A body that must hold for each member; other values than collections have none."""

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


def negating(inner: Run) -> Step:
    """What must not be reached."""

    def step(following: Run) -> Run:
        def run(frame: Frame) -> bool:
            return not inner(frame) and following(frame)

        return run

    return step


def replacing(
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


def binding(slot: int) -> Matcher:
    """Give a variable the value."""

    def match(frame: Frame, value: Any) -> bool:
        frame[slot] = value
        return True

    return match


def comparing(getter: Getter) -> Matcher:
    """Equal to another value."""

    def match(frame: Frame, value: Any) -> bool:
        return bool(getter(frame) == value)

    return match


def matching_array(patterns: list[Matcher]) -> Matcher:
    """An array whose elements match, one by one."""

    def match(frame: Frame, value: Any) -> bool:
        if type(value) is not Array or len(value) != len(patterns):
            return False
        return all(pattern(frame, item) for pattern, item in zip(patterns, value, strict=True))

    return match


def matching_object(keys: list[Getter], patterns: list[Matcher]) -> Matcher:
    """An object with just these keys, whose values match."""

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


def read_input(frame: Frame) -> Any:
    """The input document."""
    return frame[EVALUATION].document


def read_slot(slot: int) -> Getter:
    """The value of a variable."""
    return lambda frame: frame[slot]


def following_path(source: Getter, path: list[Getter]) -> Getter:
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


def calling_builtin(term: tree.BuiltinCall, args: list[Getter]) -> Getter:
    """A call of a function of the language."""
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
            return sized(function(meter, *values))
        except RegoBudgetError:
            raise
        except RegoError as error:
            raise RegoError(f"line {line}: {name}: {error}") from None

    return call


def calling_own(path: RulePath, args: list[Getter]) -> Getter:
    """A call of a function of the module."""

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
        return UNDEFINED if any(item is UNDEFINED for item in made) else sized(made)

    return make


def _set(_: list[Getter], items: list[Getter]) -> Getter:
    def make(frame: Frame) -> Any:
        made = [item(frame) for item in items]
        return UNDEFINED if any(item is UNDEFINED for item in made) else sized(Set(made))

    return make


def _object(keys: list[Getter], items: list[Getter]) -> Getter:
    def make(frame: Frame) -> Any:
        names = [key(frame) for key in keys]
        values = [item(frame) for item in items]
        if any(each is UNDEFINED for each in (*names, *values)):
            return UNDEFINED
        return sized(Object(zip(names, values, strict=True)))

    return make


COLLECTIONS: Final = {"array": _array, "set": _set, "object": _object}


# --- comprehensions


def collected(body: Run, slot: int, kind: type) -> Getter:
    """What a body adds to a collection of a kind, which stands in a slot."""

    def collect(frame: Frame) -> Any:
        frame[slot] = kind()
        body(frame)
        return sized(frame[slot])

    return collect


def appending(slot: int, value: Getter) -> Run:
    """Add an element to the array in a slot."""

    def run(frame: Frame) -> bool:
        found = value(frame)
        if found is not UNDEFINED:
            frame[slot].append(found)
        return False

    return run


def adding(slot: int, value: Getter) -> Run:
    """Add an element to the set in a slot."""

    def run(frame: Frame) -> bool:
        found = value(frame)
        if found is not UNDEFINED:
            frame[slot].add(found)
        return False

    return run


def putting(slot: int, key: Getter, value: Getter) -> Run:
    """Add a member to the object in a slot."""

    def run(frame: Frame) -> bool:
        name, found = key(frame), value(frame)
        if name is not UNDEFINED and found is not UNDEFINED:
            known = frame[slot].setdefault(name, found)
            if known != found:
                raise RegoError("an object gets two values for one key")
        return False

    return run


def collected_object(body: Run, slot: int, line: int) -> Getter:
    """As `collected`, for objects."""

    def collect(frame: Frame) -> Any:
        frame[slot] = Object()
        try:
            body(frame)
            return sized(frame[slot])
        except RegoBudgetError:
            raise
        except RegoError as error:
            text = str(error)
            raise RegoError(text if text.startswith("line") else f"line {line}: {text}") from None

    return collect
