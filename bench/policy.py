"""What a decision costs, beside Google's C++ evaluator on the same Policies."""

from __future__ import annotations

import gc
import time
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from bench import access, whole
from bench.oracle import ARRIVAL, ATTACHED, RULES, Decisions, Oracle, context
from bench.processes import BenchError
from bench.report import Bar, Report
from bench.tools import say
from octelium.octovigil.memo import DEFAULT_LIMIT
from octelium.policy.cel.program import compile_program
from octelium.policy.request import DictRequest
from tests.octovigil.world import World, allow, deny, inline
from tests.security.bombs import CONDITIONS, REQUEST

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SESSIONS: Final = 200
STORED: Final = 10_000
PATHS: Final = 10_000
_MIB: Final = 1 << 20
_METHODS: Final = ("GET", "POST", "PUT", "DELETE", "HEAD")
_HITS: Final = 100
"""Times that each remembered decision is asked for."""

T = TypeVar("T")


def run(rounds: int, seconds: int) -> Report:
    """Every round measures all decisions, so that a busy machine troubles all alike."""
    report = Report(
        f"Decisions: {ATTACHED} attached Policies of 5 CEL rules each, one thread, CPU time"
    )
    say("decisions")
    few, many = Decisions(sessions=SESSIONS), Decisions(stored=STORED, sessions=SESSIONS)
    oracle = Oracle(few)
    paths = Decisions(rules=('ctx.request.http.path.startsWith("/admin{0}")',))
    _agree(few, oracle)
    # As a worker does: what is loaded stays, and need not be looked at again and again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    for _warm in range(2):
        _decisions(Report(""), "", few)
        _decisions(Report(""), "", many)
    for number in range(rounds):
        say(f"round {number + 1} of {rounds}")
        for name, decisions in (("", few), (f", {STORED:,} Policies stored", many)):
            _decisions(report, name, decisions)
        report.add("C++: ctx and 50 evaluations", "time", "µs", _evaluations(oracle))
        report.add("C++: attachments, ctx and 50 evaluations", "time", "µs", _whole(few, oracle))
        _paths(report, paths)
        _compilation(report, number)
    _hostile(report)
    say("whole requests")
    for spent in whole.requests(rounds, seconds):
        report.add("whole request through octelium", "time", "µs", spent)
    say("a preview")
    for name, figures in access.measure().items():
        report.add(f"preview of a change to {name}", "duration", "s", figures.seconds)
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
        plan.table.clear()
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
        report.add(f"mixed methods, {name}", "memo", "MiB", memo.bytes / _MIB)


def _compilation(report: Report, number: int) -> None:
    texts = [f"{text.format(index)} || {number} > 1" for index in range(20) for text in RULES]
    report.add("compiling an expression", "time", "µs", _each(compile_program, texts))


def _hostile(report: Report) -> None:
    """Rules that would take forever, on a request with a large body."""
    for text in CONDITIONS.values():
        world = World()
        world.user(authorization=inline(deny(text, priority=-1), allow()))
        compile_program(text)
        request = DictRequest(REQUEST, token=world.token())
        spent = min(_each(partial(_afresh, world), [request]) for _ in range(3))
        report.add("rules that would take forever", "duration", "s", spent / 1e6)


def _afresh(world: World, request: DictRequest) -> None:
    world.octovigil.memo.clear()
    world.octovigil.settle(world.entry(), request, ARRIVAL)


def _each(act: Callable[[T], object], items: Sequence[T]) -> float:
    """Microseconds of CPU that `act` takes for one of `items`."""
    begun = time.thread_time_ns()
    for item in items:
        act(item)
    return (time.thread_time_ns() - begun) / len(items) / 1000


def _judge(report: Report) -> None:
    def median(row: str) -> float:
        return report.median(row, "time")

    share = median("remembered") / median("whole request through octelium")
    report.bars.append(Bar("remembered, of a whole request", share, 0.1, "times"))
    fresh = median("not remembered")
    report.bars.append(Bar("not remembered", fresh, 150.0, "µs"))
    for row in ("C++: ctx and 50 evaluations", "C++: attachments, ctx and 50 evaluations"):
        report.bars.append(Bar(f"not remembered, of {row}", fresh / median(row), 0.5, "times"))
    for row in ("not remembered", "other values, plan kept", "remembered"):
        ratio = median(f"{row}, {STORED:,} Policies stored") / median(row)
        report.bars.append(Bar(f"{row}: {STORED:,} Policies stored, of {ATTACHED}", ratio, 1.2, ""))
    slower = median(f"mixed methods, {PATHS:,} paths") / median("mixed methods, one path")
    report.bars.append(Bar(f"one path's throughput, of {PATHS:,} paths'", slower, 2.0, "times"))
    memo = report.median(f"mixed methods, {PATHS:,} paths", "memo")
    report.bars.append(Bar(f"memo of {PATHS:,} paths", memo, DEFAULT_LIMIT / _MIB, "MiB"))
    slowest = max(report.values("rules that would take forever", "duration"))
    report.bars.append(Bar("the slowest rule that would take forever", slowest * 1000, 50.0, "ms"))
    preview = report.median("preview of a change to everything", "duration")
    report.bars.append(Bar("preview of a change to everything", preview, 10.0, "s"))
