from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.policy.cel.errors import (
    BudgetError,
    CelError,
    MissingDataError,
    UnknownDataError,
)
from octelium.policy.cel.logic import combine
from octelium.policy.cel.values import ABSENT

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.policy.cel.values import Frame

UNKNOWN = UnknownDataError("later")
FIRST = CelError("first")
SECOND = MissingDataError("second")


def operand(outcome: object) -> Callable[[Frame], object]:
    def run(_frame: Frame) -> object:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return run


def run(operator: str, *outcomes: object) -> bool:
    result = combine(operator, [operand(outcome) for outcome in outcomes])([])
    assert isinstance(result, bool)
    return result


OUTCOMES = st.sampled_from([True, False, FIRST, SECOND, UNKNOWN, "text", 1, None])


@given(st.lists(OUTCOMES, min_size=2, max_size=5))
def test_the_specified_table(outcomes: list[object]) -> None:
    for operator, decisive in (("_&&_", False), ("_||_", True)):
        if any(outcome is decisive for outcome in outcomes):
            assert run(operator, *outcomes) is decisive
        elif all(outcome is (not decisive) for outcome in outcomes):
            assert run(operator, *outcomes) is not decisive
        else:
            with pytest.raises(CelError) as caught:
                run(operator, *outcomes)
            if UNKNOWN in outcomes:
                assert caught.value is UNKNOWN
            else:
                bad = next(
                    outcome
                    for outcome in outcomes
                    if outcome is decisive or not isinstance(outcome, bool)
                )
                if isinstance(bad, Exception):
                    assert caught.value is bad
                else:
                    assert "no such overload" in str(caught.value)


def test_an_exhausted_budget_decides_everything() -> None:
    with pytest.raises(BudgetError):
        run("_||_", BudgetError("enough"), True)
    with pytest.raises(BudgetError):
        run("_||_", FIRST, BudgetError("enough"), True)
    with pytest.raises(BudgetError):
        run("_&&_", FIRST, BudgetError("enough"))


@given(st.lists(st.sampled_from([True, False, FIRST, SECOND, UNKNOWN, 1]), min_size=2, max_size=5))
def test_absent_counts_as_the_error_that_it_stands_for(outcomes: list[object]) -> None:
    for operator in ("_&&_", "_||_"):
        absent = [ABSENT if outcome is SECOND else outcome for outcome in outcomes]
        try:
            expected: object = run(operator, *outcomes)
        except MissingDataError:
            expected = ABSENT
        except CelError as error:
            expected = str(error)
        made = combine(operator, [operand(outcome) for outcome in absent])
        try:
            result = made([])
        except CelError as error:
            result = str(error)
        assert result is expected or (type(result) is str and result == expected)
