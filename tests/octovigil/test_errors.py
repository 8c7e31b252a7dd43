from __future__ import annotations

from octelium.octovigil.errors import DecisionError
from octelium.policy.cel.errors import EvaluationError


def test_no_operator_absorbs_a_failed_decision() -> None:
    assert not issubclass(DecisionError, EvaluationError)
