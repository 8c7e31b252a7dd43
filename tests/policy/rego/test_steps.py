from __future__ import annotations

from typing import Any

import pytest

from octelium.policy.rego import steps
from octelium.policy.rego.needed import UNDEFINED, RegoBudgetError, RegoError
from octelium.policy.rego.values import FALSE, TRUE, Array, Meter, Object, Set


class Evaluation:
    """As much of one as steps look at."""

    def __init__(self, left: int = 1000) -> None:
        self.document: Any = Object({"a": 1})
        self.meter = Meter(left)

    def replaced(self, path: tuple[str, ...], value: Any) -> Evaluation:
        other = Evaluation()
        other.document = (path, value)
        return other


def frame(*values: Any, left: int = 1000) -> list[Any]:
    return [Evaluation(left), UNDEFINED, *values, None, None, None]


def test_chains_end_where_something_does_not_hold() -> None:
    seen: list[int] = []

    def last(given: list[Any]) -> bool:
        seen.append(given[2])
        return False

    for value, reached in ((TRUE, True), (0, True), (FALSE, False), (UNDEFINED, False)):
        run = steps.chain([steps.testing(lambda given: given[2])], last)
        seen.clear()
        run(frame(value))
        assert bool(seen) is reached


def test_iterations_stop_when_told_to() -> None:
    seen: list[Any] = []

    def last(given: list[Any]) -> bool:
        seen.append(given[2])
        return len(seen) == 2

    for items in (Array([5, 6, 7]), Set([7, 6, 5]), Object({"x": 5, "y": 6, "z": 7})):
        seen.clear()
        step = steps.iterating(lambda _, items=items: items, None, steps.binding(2), [1])
        assert steps.chain([step], last)(frame(None))
        assert seen == [5, 6]
    for other in (1, "abc", None, TRUE, UNDEFINED):
        step = steps.iterating(lambda _, other=other: other, None, steps.binding(2), [1])
        assert not steps.chain([step], steps.succeed)(frame(None))


def test_iterations_are_charged() -> None:
    items = Array(range(50))
    for step in (
        steps.iterating(lambda _: items, None, steps.binding(2), [3]),
        steps.scanning(lambda _: items, steps.binding(2), 3, [3]),
        steps.everything(lambda _: items, None, 2, steps.succeed, [3]),
    ):
        run = steps.chain([step], lambda _: False)
        run(frame(None, None, left=150))
        with pytest.raises(RegoBudgetError):
            run(frame(None, None, left=149))


def test_every() -> None:
    def holds(domain: Any) -> bool:
        step = steps.everything(lambda _: domain, 3, 2, lambda given: given[2] > 1, [1])
        return steps.chain([step], steps.succeed)(frame(None, None))

    assert holds(Array())
    assert holds(Set([2, 3]))
    assert not holds(Array([2, 1]))
    assert not holds(5)
    assert not holds(UNDEFINED)


def test_another_input_is_there_for_one_statement_only() -> None:
    seen: list[Any] = []
    look = steps.matching(steps.read_input, steps.binding(2))

    def last(given: list[Any]) -> bool:
        seen.append((given[2], steps.read_input(given)))
        return True

    step = steps.replacing([(("x",), lambda _: 5)], [look], 3, 4)
    given = frame(None, None, None)
    assert steps.chain([step], last)(given)
    assert seen == [((("x",), 5), Object({"a": 1}))]
    assert given[steps.EVALUATION].document == Object({"a": 1})
    undefined = steps.replacing([((), lambda _: UNDEFINED)], [look], 3, 4)
    assert not steps.chain([undefined], last)(given)

    def fails(_: list[Any]) -> bool:
        raise RegoError("why")

    with pytest.raises(RegoError):
        steps.chain([step], fails)(given)
    assert given[steps.EVALUATION].document == Object({"a": 1})


def test_patterns() -> None:
    pair = steps.matching_array([steps.binding(2), steps.comparing(lambda _: 1)])
    given = frame(None)
    assert pair(given, Array([5, 1]))
    assert given[2] == 5
    for wrong in (Array([5, 2]), Array([5]), Array([5, 1, 1]), Set([5, 1]), 5):
        assert not pair(given, wrong)
    member = steps.matching_object([lambda _: "k"], [steps.binding(2)])
    assert member(given, Object({"k": 7}))
    assert given[2] == 7
    for other in (Object({"l": 7}), Object({"k": 7, "l": 8}), Array([7])):
        assert not member(given, other)


def test_what_is_collected() -> None:
    def twice(last: steps.Run) -> steps.Run:
        def run(given: list[Any]) -> bool:
            for value in (1, UNDEFINED, 1):
                given[3] = value
                last(given)
            return False

        return run

    def value(given: list[Any]) -> Any:
        return given[3]

    given = frame(None, None)
    assert steps.collected(twice(steps.appending(2, value)), 2, Array)(given) == Array([1, 1])
    assert steps.collected(twice(steps.adding(2, value)), 2, Set)(given) == Set([1])
    same = steps.putting(2, lambda _: "k", value)
    assert steps.collected_object(twice(same), 2, 5)(given) == Object({"k": 1})
    given[4] = 0

    def counting(inner: list[Any]) -> Any:
        inner[4] += 1
        return inner[4]

    differs = steps.putting(2, lambda _: "k", counting)
    with pytest.raises(RegoError, match="line 5: an object gets two values"):
        steps.collected_object(twice(differs), 2, 5)(given)
