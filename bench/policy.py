"""What a decision costs, beside Google's C++ evaluator on the same Policies."""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING, Final, TypeVar

from bench.oracle import ATTACHED, Decisions, Oracle, context
from bench.processes import BenchError
from bench.report import Bar, Report
from bench.tools import say

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SESSIONS: Final = 200
STORED: Final = 10_000
PATHS: Final = 10_000
_METHODS: Final = ("GET", "POST", "PUT", "DELETE", "HEAD")
_HITS: Final = 100
"""Times that each remembered decision is asked for."""

T = TypeVar("T")


def run(rounds: int) -> Report:
    """Every round measures everything, so that a busy machine troubles all alike."""
    report = Report(
        f"Decisions: {ATTACHED} attached Policies of 5 CEL rules each, one thread, CPU time"
    )
    say("Policies")
    few, many = Decisions(sessions=SESSIONS), Decisions(stored=STORED, sessions=SESSIONS)
    oracle = Oracle(few)
    paths = Decisions(rules=('ctx.request.http.path.startsWith("/admin{0}")',))
    _agree(few, oracle)
    # As a worker does: what is loaded stays, and need not be looked at again and again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    for number in range(rounds):
        say(f"round {number + 1} of {rounds}")
        for name, decisions in (("", few), (f", {STORED:,} Policies stored", many)):
            _decisions(report, name, decisions)
        report.add("C++: ctx and 50 evaluations", "time", "µs", _evaluations(oracle))
        report.add("C++: attachments, ctx and 50 evaluations", "time", "µs", _whole(few, oracle))
        _paths(report, paths)
    _judge(report)
    return report


def _agree(decisions: Decisions, oracle: Oracle) -> None:
    """The same answers, before anything counts."""
    for form in (context(), context("/admin3/x"), context("/x", "POST")):
        ours = decisions.decide(decisions.request(form=form)).allowed
        session = decisions.sessions[0]
        ready = oracle.evaluate(oracle.context(session, form))
        if not ours == ready == oracle.decide(session, form) == (form != context("/admin3/x")):
            raise BenchError(f"the evaluators differ on {form['http']}")


# --- what is measured, in microseconds


def _decisions(report: Report, name: str, decisions: Decisions) -> None:
    requests = [decisions.request(number) for number in range(SESSIONS)]
    decisions.forget()
    spent = _each(decisions.decide, requests)
    report.add(f"not remembered{name}", "time", "µs", spent)
    for plan in decisions.octovigil.memo.plans.values():
        plan.forget()
    spent = _each(decisions.decide, requests)
    report.add(f"other values, plan kept{name}", "time", "µs", spent)
    spent = _each(decisions.decide, requests * _HITS)
    report.add(f"remembered{name}", "time", "µs", spent)


def _evaluations(oracle: Oracle) -> float:
    return _each(oracle.evaluate, oracle.contexts)


def _whole(decisions: Decisions, oracle: Oracle) -> float:
    form = context()
    return _each(lambda session: oracle.decide(session, form), decisions.sessions)


def _paths(report: Report, decisions: Decisions) -> None:
    mixed = [
        decisions.request(form=context(f"/articles/{number}", _METHODS[number % 5]))
        for number in range(PATHS)
    ]
    one = [
        decisions.request(form=context("/articles/0", _METHODS[number % 5]))
        for number in range(PATHS)
    ]
    memo = decisions.octovigil.memo
    for name, requests in ((f"{PATHS:,} paths", mixed), ("one path", one)):
        decisions.forget()
        for _ in range(2):  # the second time round as much is remembered as ever will be
            spent = _each(decisions.decide, requests)
        report.add(f"mixed methods, {name}", "time", "µs", spent)
        report.add(f"mixed methods, {name}", "memo", "MiB", memo.bytes / (1 << 20))


def _each(act: Callable[[T], object], items: Sequence[T]) -> float:
    """Microseconds of CPU that `act` takes for one of `items`."""
    begun = time.thread_time_ns()
    for item in items:
        act(item)
    return (time.thread_time_ns() - begun) / len(items) / 1000


def _judge(report: Report) -> None:
    def median(row: str) -> float:
        return report.median(row, "time")

    fresh = median("not remembered")
    report.bars.append(Bar("not remembered", fresh, 150.0, "µs"))
    for row in ("C++: ctx and 50 evaluations", "C++: attachments, ctx and 50 evaluations"):
        report.bars.append(Bar(f"not remembered, of {row}", fresh / median(row), 0.5, "times"))
    for row in ("not remembered", "other values, plan kept", "remembered"):
        ratio = median(f"{row}, {STORED:,} Policies stored") / median(row)
        report.bars.append(Bar(f"{row}: {STORED:,} Policies stored, of {ATTACHED}", ratio, 1.2, ""))
    slower = median(f"mixed methods, {PATHS:,} paths") / median("mixed methods, one path")
    report.bars.append(Bar(f"one path's throughput, of {PATHS:,} paths'", slower, 2.0, "times"))
