from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import pytest

from octelium.cli.policy.runner import deciding_names, mismatch, rule_place, run_cases
from octelium.schema.errors import Invalid
from octelium.schema.pb import ext_v1_pb2 as ext
from tests.cli.policy.explanations import V, case, explanation

if TYPE_CHECKING:
    from octelium.cli.policy.suite import PolicyCase

ALLOWED = explanation((0, "reads", V.FALSE, False), (1, "writes", V.TRUE, True))


class _Told:
    def explain(self, case: PolicyCase) -> ext.Explanation:
        if case.service == "nothing":
            raise Invalid("service", "there is no such Service")
        return ALLOWED


def test_every_case_gets_its_result() -> None:
    ticks = count()
    cases = [case(), case(expect="deny"), case(service="nothing")]
    first, second, third = run_cases(cases, _Told(), lambda: next(ticks))
    assert (first.ok, first.explanation, first.seconds) == (True, ALLOWED, 1)
    assert (second.ok, second.problem, second.impossible) == (
        False,
        "expected deny, got allow",
        False,
    )
    assert (third.ok, third.problem) == (False, "service: there is no such Service")
    assert third.impossible
    assert third.explanation is None


@pytest.mark.parametrize(
    ("expect", "outcome"),
    [
        ("allow", "ALLOWED"),
        ("deny", "DENIED"),
        ("unauthenticated", "UNAUTHENTICATED"),
        ("bad-request", "BAD_REQUEST"),
        ("error", "ERROR"),
    ],
)
def test_decisions(expect: str, outcome: str) -> None:
    assert mismatch(case(expect=expect), explanation(outcome=outcome)) == ""
    for other in {"ALLOWED", "DENIED", "UNAUTHENTICATED", "BAD_REQUEST", "ERROR"} - {outcome}:
        assert mismatch(case(expect=expect), explanation(outcome=other)).startswith("expected")
    assert mismatch(case(expect=expect), explanation(outcome="DEPENDS")).endswith("got DEPENDS")


@pytest.mark.parametrize("rule", ["writes", "Policy ops, rule 2", "Policy ops, rule 2 (writes)"])
def test_the_rule_that_decided(rule: str) -> None:
    assert mismatch(case(rule=rule), ALLOWED) == ""
    assert "none did" in mismatch(case(rule=rule), explanation())


def test_another_rule_decided() -> None:
    assert mismatch(case(rule="reads"), ALLOWED) == (
        "expected rule reads to decide, but Policy ops, rule 2 (writes) did"
    )


def test_rules_without_names() -> None:
    told = explanation((2, "", V.TRUE, True))
    assert deciding_names(told) == ["Policy ops, rule 3", "Policy ops, rule 3"]
    assert rule_place("Policy ops", 2) == "Policy ops, rule 3"


def test_a_rule_of_a_policy_that_is_not_told() -> None:
    told = ext.Explanation(outcome="ALLOWED", rules=[ext.ExplainedRule(decided=True, name="x")])
    assert deciding_names(told) == []
    assert mismatch(case(rule="x"), told) != ""


def test_the_configuration() -> None:
    assert mismatch(case(config="default"), ALLOWED) == ""
    assert mismatch(case(config="blue"), ALLOWED) == "expected configuration blue, got default"
    told = explanation()
    told.config = ""
    assert mismatch(case(config="blue"), told).endswith("a computed one")
