from __future__ import annotations

from octelium.cli.policy.suite import EXPECTATIONS, WORDS
from octelium.policy.decision import Outcome


def test_every_outcome_can_be_expected_and_told() -> None:
    assert set(EXPECTATIONS.values()) == {outcome.name for outcome in Outcome}
    assert {WORDS[outcome]: outcome for outcome in WORDS} == EXPECTATIONS
