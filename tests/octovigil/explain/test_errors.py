from __future__ import annotations

from octelium.octovigil.explain.errors import ExplanationError


def test_a_disagreement_is_no_fault_of_the_asker() -> None:
    assert not issubclass(ExplanationError, ValueError)
