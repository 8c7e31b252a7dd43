from __future__ import annotations

from octelium.policy.cel.errors import EvaluationError, UnknownDataError
from octelium.policy.rego.module import CONDITION, compile_module
from octelium.policy.rego.needed import (
    UNDEFINED,
    RegoError,
    RegoNeeded,
    RegoResults,
    RegoUnavailableError,
)

MODULE = compile_module("package octelium.condition\nmatch if true", CONDITION)


def test_answers_are_found_by_module_and_document() -> None:
    results = RegoResults(5)
    needed = RegoNeeded(MODULE, b"{}", results)
    assert needed.key == (MODULE, b"{}")
    needed.answer(UNDEFINED)
    assert results.known == {(MODULE, b"{}"): UNDEFINED}
    assert repr(UNDEFINED) == "UNDEFINED"


def test_what_may_come_out_otherwise_is_transient() -> None:
    results = RegoResults(5)
    needed = RegoNeeded(MODULE, b"{}", results)
    for answer, transient in ((True, False), (RegoError("why"), False)):
        needed.answer(answer)
        assert results.transient is transient
    needed.answer(RegoUnavailableError("busy"))
    assert results.transient


def test_a_demand_is_no_failure_that_anything_takes_for_false() -> None:
    assert issubclass(RegoNeeded, UnknownDataError)
    assert issubclass(RegoError, EvaluationError)
