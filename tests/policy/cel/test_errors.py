from __future__ import annotations

import pytest

from octelium.policy.cel.errors import (
    BudgetError,
    CelError,
    CompileError,
    EvaluationError,
    MissingDataError,
    MissingPathError,
    UnknownDataError,
)


@pytest.mark.parametrize("kind", [MissingDataError, MissingPathError, UnknownDataError])
def test_what_operators_may_absorb(kind: type[Exception]) -> None:
    assert issubclass(kind, CelError)
    assert issubclass(kind, EvaluationError)


def test_an_exhausted_budget_is_not_absorbed() -> None:
    assert issubclass(BudgetError, EvaluationError)
    assert not issubclass(BudgetError, CelError)


def test_a_text_that_does_not_compile_is_no_failed_evaluation() -> None:
    assert not issubclass(CompileError, EvaluationError)


def test_a_missing_path_names_itself() -> None:
    assert str(MissingPathError("user", "spec", "emial")) == "no such key: user.spec.emial"
