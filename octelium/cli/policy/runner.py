"""Runs the tests of Policies: asks for each decision, and compares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from octelium.cli.policy.suite import EXPECTATIONS, WORDS
from octelium.schema.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from octelium.cli.policy.suite import PolicyCase
    from octelium.schema.pb import ext_v1_pb2 as ext


class Explainer(Protocol):
    """Where decisions come from: files, or a Cluster."""

    def explain(self, case: PolicyCase) -> ext.Explanation:
        """The decision of a case and what led to it.

        Raises Invalid for a question that cannot be asked: it names what does not exist.
        """


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What came of a case. `problem` is empty for one that passed.

    `explanation` is None, and `impossible` set, if there was nothing to decide.
    """

    case: PolicyCase
    problem: str
    explanation: ext.Explanation | None
    seconds: float
    impossible: bool = False

    @property
    def ok(self) -> bool:
        """Whether everything came out as expected."""
        return not self.problem


def run_cases(
    cases: Iterable[PolicyCase], explainer: Explainer, clock: Callable[[], float]
) -> Iterator[CaseResult]:
    """The results of cases, as they come; `clock` measures seconds."""
    for case in cases:
        begun = clock()
        try:
            explanation = explainer.explain(case)
        except Invalid as fault:
            yield CaseResult(case, str(fault), None, clock() - begun, impossible=True)
            continue
        yield CaseResult(case, mismatch(case, explanation), explanation, clock() - begun)


def mismatch(case: PolicyCase, explanation: ext.Explanation) -> str:
    """What is not as the case expects it; empty if all is."""
    if explanation.outcome != EXPECTATIONS[case.expect]:
        got = WORDS.get(explanation.outcome, explanation.outcome)
        return f"expected {case.expect}, got {got}"
    if case.rule:
        names = deciding_names(explanation)
        if case.rule not in names:
            got = f"{names[0]} did" if names else "none did"
            return f"expected rule {case.rule} to decide, but {got}"
    if case.config and explanation.config != case.config:
        got = explanation.config or "a computed one"
        return f"expected configuration {case.config}, got {got}"
    return ""


def deciding_names(explanation: ext.Explanation) -> list[str]:
    """What the rule that decided may be called, its whole place first; empty if none did."""
    for rule in explanation.rules:
        if rule.decided and rule.policy < len(explanation.policies):
            policy = explanation.policies[rule.policy]
            place = rule_place(policy.place, rule.index, rule.name)
            bare = rule_place(policy.place, rule.index)
            return [place, bare, *([rule.name] if rule.name else [])]
    return []


def rule_place(policy: str, index: int, name: str = "") -> str:
    """Where a rule stands, as decisions say it: `Policy ops, rule 1 (reads)` has `index` 0."""
    return f"{policy}, rule {index + 1}" + (f" ({name})" if name else "")
