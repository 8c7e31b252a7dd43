"""Results of tests, for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from octelium.cli.inert import inert
from octelium.cli.policy.narrated import show_explanation
from octelium.cli.policy.runner import deciding_names
from octelium.cli.policy.suite import WORDS
from octelium.policy.narration import text
from octelium.schema.pb import ext_v1_pb2 as ext

if TYPE_CHECKING:
    from collections.abc import Sequence

    from octelium.cli.policy.coverage import Coverage, RuleUse
    from octelium.cli.policy.runner import CaseResult
    from octelium.cli.terminal import Terminal

_INDENT = " " * 8


def describe(result: CaseResult) -> str:
    """Why a case did not pass: what was expected, what came, and what led to it."""
    if result.explanation is None:
        return result.problem
    return f"{result.problem}\n\n{text(result.explanation)}".rstrip("\n")


def essence(explanation: ext.Explanation) -> ext.Explanation:
    """An explanation without the steps that were taken and the notes, which are all alike."""
    brief = ext.Explanation()
    brief.CopyFrom(explanation)
    del brief.notes[:]
    del brief.steps[:]
    brief.steps.extend(step for step in explanation.steps if step.verdict != ext.Verdict__.TRUE)
    return brief


def show_report(
    terminal: Terminal,
    results: Sequence[CaseResult],
    coverage: Coverage,
    *,
    verbose: bool,
    rules: bool,
) -> None:
    """Failures with what led to them, a summary, with `rules` the coverage.

    With `verbose` also the cases that passed, and all of each explanation.
    """
    for result in results:
        if result.ok and not verbose:
            continue
        word, colour = ("passed", "green") if result.ok else ("FAILED", "red")
        terminal.show(f"{terminal.style(word, colour)}  {inert(result.case.name)}")
        if not result.ok:
            terminal.show(f"{_INDENT}{inert(result.case.source)}:{result.case.line}")
            terminal.show(f"{_INDENT}{inert(result.problem)}")
            if result.explanation is not None:
                terminal.show("")
                shown = result.explanation if verbose else essence(result.explanation)
                show_explanation(terminal, shown, _INDENT)
            terminal.show("")
    passed = sum(result.ok for result in results)
    failed = len(results) - passed
    total = f"{len(results)} case{'' if len(results) == 1 else 's'}"
    verdict = f"{passed} passed, {failed} failed"
    terminal.show(f"{total}: {terminal.style(verdict, 'red' if failed else 'green')}")
    if rules:
        _show_coverage(terminal, coverage)


def _show_coverage(terminal: Terminal, coverage: Coverage) -> None:
    true = sum(bool(rule.true) for rule in coverage.rules)
    terminal.show(
        f"{len(coverage.rules)} rules: {true} true in some case ({coverage.percent:.0f} %)"
    )
    for title, rules in (
        ("Never tried", coverage.never_tried),
        ("Tried, never true", coverage.never_true),
    ):
        if rules:
            terminal.show(f"{title}:")
            for rule in rules:
                where = f"  {terminal.style(inert(rule.where), 'dim')}" if rule.where else ""
                terminal.show(f"  {inert(rule.title)}{where}")


def plain_report(results: Sequence[CaseResult], coverage: Coverage) -> dict[str, Any]:
    """Everything as plain data; fields may be added, none changes its meaning."""
    passed = sum(result.ok for result in results)
    return {
        "passed": passed,
        "failed": len(results) - passed,
        "cases": [_plain(result) for result in results],
        "coverage": {
            "percent": round(coverage.percent, 1),
            "rules": [_plain_rule(rule) for rule in coverage.rules],
        },
    }


def _plain(result: CaseResult) -> dict[str, Any]:
    case, explanation = result.case, result.explanation
    form: dict[str, Any] = {
        "name": case.name,
        "file": inert(case.source),
        "line": case.line,
        "ok": result.ok,
        "expected": case.expect,
    }
    if explanation is not None:
        names = deciding_names(explanation)
        form |= {"got": WORDS.get(explanation.outcome, explanation.outcome)}
        form |= {"rule": names[0]} if names else {}
        form |= {"config": explanation.config} if explanation.config else {}
    if not result.ok:
        form["problem"] = describe(result)
    return form


def _plain_rule(rule: RuleUse) -> dict[str, Any]:
    policy, index = rule.place
    form: dict[str, Any] = {"policy": policy, "index": index}
    form |= {"name": rule.name} if rule.name else {}
    form |= {"where": inert(rule.where)} if rule.where else {}
    return form | {"tried": rule.tried, "true": rule.true}
