from __future__ import annotations

from typing import Any

from octelium.cli.policy.coverage import measure, merge
from octelium.cli.policy.suite import Who
from octelium.schema.documents import parse_documents
from octelium.schema.pb import meta_v1_pb2 as meta
from tests.cli.policy.explanations import V, explanation, result

POLICY = """\
kind: Policy
metadata: {name: ops}
spec:
  rules:
    - {name: reads, effect: ALLOW, condition: {matchAny: true}}
    - {effect: ALLOW, condition: {matchAny: true}}
    - {name: never, effect: DENY, condition: {matchAny: true}}
---
kind: Credential
metadata: {name: key}
spec:
  user: ann
  authorization:
    inlinePolicies:
      - spec: {rules: [{effect: ALLOW, condition: {matchAny: true}}]}
      - {name: second, spec: {rules: [{effect: ALLOW, condition: {matchAny: true}}]}}
---
kind: Secret
metadata: {name: nothing}
spec: {}
"""


def resources() -> list[tuple[Any, Any]]:
    return [(document, document.message) for document in parse_documents(POLICY, "p.yaml")]


def test_rules_of_the_files() -> None:
    coverage = measure([], resources())
    assert [(rule.title, rule.where) for rule in coverage.rules] == [
        ("Policy ops, rule 1 (reads)", "p.yaml:5"),
        ("Policy ops, rule 2", "p.yaml:6"),
        ("Policy ops, rule 3 (never)", "p.yaml:7"),
        ("inline policy 1 of Credential key, rule 1", "p.yaml:15"),
        ("inline policy second of Credential key, rule 1", "p.yaml:16"),
    ]
    assert coverage.never_tried == list(coverage.rules)
    assert coverage.percent == 0


def test_what_the_results_say() -> None:
    results = [
        result(explanation((0, "reads", V.FALSE, False), (1, "", V.TRUE, True))),
        result(explanation((0, "reads", V.ERROR, False), (2, "never", V.NOT_TRIED, False))),
        result(None, "no such User"),
    ]
    coverage = measure(results, resources())
    assert [(rule.tried, rule.true) for rule in coverage.rules[:3]] == [(2, 0), (1, 1), (0, 0)]
    assert [rule.name for rule in coverage.never_true] == ["reads"]
    assert "never" in [rule.name for rule in coverage.never_tried]
    assert coverage.percent == 20


def test_a_session_has_copies_of_the_policies_of_its_credential() -> None:
    told = explanation((0, "", V.TRUE, True))
    told.policies[0].place = "inline policy second of Session ann-supposed"
    told.policies[0].owner.CopyFrom(meta.ObjectReference(kind="Session", name="ann-supposed"))
    coverage = measure([result(told, who=Who("key", credential="key"))], resources())
    assert [rule.title for rule in coverage.rules if rule.true] == [
        "inline policy second of Credential key, rule 1"
    ]
    assert measure([result(told)], resources()).percent == 0


def test_without_files_the_rules_are_those_that_were_met() -> None:
    told = explanation((0, "reads", V.TRUE, True), (1, "", V.NOT_TRIED, False))
    coverage = measure([result(told)], None)
    assert [(rule.title, rule.true) for rule in coverage.rules] == [
        ("Policy ops, rule 1 (reads)", 1),
        ("Policy ops, rule 2", 0),
    ]
    assert coverage.percent == 50


def test_rules_that_are_not_in_the_files_do_not_count() -> None:
    told = explanation((7, "builtin", V.TRUE, True))
    assert len(measure([result(told)], resources()).rules) == 5


def test_no_rules_at_all() -> None:
    assert measure([], []).percent == 100


def test_several_as_one() -> None:
    told = result(explanation((0, "reads", V.TRUE, True)))
    whole = merge([measure([told], resources()), measure([told], resources()), measure([], None)])
    assert len(whole.rules) == 5
    assert (whole.rules[0].tried, whole.rules[0].true) == (2, 2)
