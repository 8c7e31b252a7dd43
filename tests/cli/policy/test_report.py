from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.cli.policy.coverage import measure
from octelium.cli.policy.report import describe, essence, plain_report, show_report
from octelium.cli.terminal import Terminal
from tests.cli.policy.explanations import V, explanation, result

if TYPE_CHECKING:
    import pytest

    from octelium.cli.policy.runner import CaseResult

PASSED = result(explanation((0, "reads", V.FALSE, False), (1, "", V.TRUE, True)), name="one")
FAILED = result(explanation(outcome="DENIED"), "expected allow, got deny", name="two\x1b[31m")
IMPOSSIBLE = result(None, "there is no User anna", name="three")


def shown(
    capsys: pytest.CaptureFixture[str],
    *results: CaseResult,
    verbose: bool = False,
    rules: bool = False,
) -> str:
    show_report(Terminal({}), results, measure(results, None), verbose=verbose, rules=rules)
    return capsys.readouterr().out


def test_what_passed_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, PASSED) == "1 case: 1 passed, 0 failed\n"
    assert shown(capsys, PASSED, PASSED, verbose=True).startswith(
        "passed  one\npassed  one\n2 cases"
    )


def test_what_failed_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, PASSED, FAILED, IMPOSSIBLE)
    assert text.startswith(
        "FAILED  two\\x1b[31m\n"
        "        w.test.yaml:3\n"
        "        expected allow, got deny\n"
        "\n"
        "        It is DENIED.\n"
    )
    assert "FAILED  three\n        w.test.yaml:3\n        there is no User anna\n\n" in text
    assert text.endswith("3 cases: 1 passed, 2 failed\n")
    assert "Session is active" not in text
    assert "Session is active" in shown(capsys, FAILED, verbose=True)


def test_rules(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(capsys, PASSED, rules=True).splitlines()
    assert lines[1:] == [
        "2 rules: 1 true in some case (50 %)",
        "Tried, never true:",
        "  Policy ops, rule 1 (reads)",
    ]


def test_the_essence_leaves_the_original_alone() -> None:
    told = explanation()
    assert [step.name for step in essence(told).steps] == ["Policies"]
    assert (len(told.steps), len(told.notes)) == (2, 1)


def test_descriptions() -> None:
    assert describe(IMPOSSIBLE) == "there is no User anna"
    assert describe(FAILED).startswith("expected allow, got deny\n\nIt is DENIED.\n")


def test_plain_data() -> None:
    form = plain_report([PASSED, FAILED, IMPOSSIBLE], measure([PASSED], None))
    assert (form["passed"], form["failed"]) == (1, 2)
    assert form["cases"][0] == {
        "name": "one",
        "file": "w.test.yaml",
        "line": 3,
        "ok": True,
        "expected": "allow",
        "got": "allow",
        "rule": "Policy ops, rule 2",
        "config": "default",
    }
    assert (form["cases"][1]["got"], form["cases"][1]["ok"]) == ("deny", False)
    assert form["cases"][1]["problem"] == describe(FAILED)
    assert "got" not in form["cases"][2]
    assert form["coverage"] == {
        "percent": 50.0,
        "rules": [
            {"policy": "Policy ops", "index": 0, "name": "reads", "tried": 1, "true": 0},
            {"policy": "Policy ops", "index": 1, "tried": 1, "true": 1},
        ],
    }
