"""Explanations and cases for tests of what is made of them."""

from __future__ import annotations

from typing import Any

from octelium.cli.policy.runner import CaseResult
from octelium.cli.policy.suite import PolicyCase, Who
from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.schema.pb import meta_v1_pb2 as meta

V = ext.Verdict__


def case(**fields: Any) -> PolicyCase:
    """A case that expects User ann to be allowed."""
    given: dict[str, Any] = {
        "source": "w.test.yaml",
        "line": 3,
        "name": "it works",
        "who": Who("ann", user="ann"),
        "service": "wiki",
        "request": None,
        "at": None,
        "expect": "allow",
        **fields,
    }
    return PolicyCase(**given)


def explanation(
    *rules: tuple[int, str, ext.Verdict__.Verdict.ValueType, bool], outcome: str = "ALLOWED"
) -> ext.Explanation:
    """One of Policy `ops`, with rules: index, name, verdict, whether it decided."""
    return ext.Explanation(
        outcome=outcome,
        summary=f"It is {outcome}.",
        config="default",
        steps=[
            ext.ExplainedStep(name="Session is active", verdict=V.TRUE),
            ext.ExplainedStep(name="Policies", verdict=V.FALSE, detail="no rule"),
        ],
        policies=[
            ext.ExplainedPolicy(
                place="Policy ops",
                owner=meta.ObjectReference(kind="Service", name="wiki.default"),
                applies=True,
            )
        ],
        rules=[
            ext.ExplainedRule(
                policy=0, index=index, name=name, effect="ALLOW", verdict=verdict, decided=decided
            )
            for index, name, verdict, decided in rules
        ],
        notes=["It is only a thought."],
    )


def result(told: ext.Explanation | None, problem: str = "", **fields: Any) -> CaseResult:
    """What came of a case."""
    return CaseResult(case(**fields), problem, told, 0.25, impossible=told is None)
