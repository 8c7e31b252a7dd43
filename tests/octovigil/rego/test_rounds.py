from __future__ import annotations

from typing import Any

import pytest

from octelium.octovigil.rego.rounds import MAX_ROUNDS, obtain
from octelium.policy.rego.module import CONDITION, compile_module
from octelium.policy.rego.needed import (
    RegoError,
    RegoNeeded,
    RegoResults,
    RegoUnavailableError,
)

MODULE = compile_module("package octelium.condition\nmatch if true", CONDITION)


class Evaluating:
    """Answers with what was asked for."""

    async def evaluate(self, needed: RegoNeeded, deadline: float) -> object:
        if needed.document == b"bad":
            raise RegoError("bad")
        return needed.document


def demand(document: bytes, results: RegoResults) -> RegoNeeded:
    return RegoNeeded(MODULE, document, results)


async def test_attempts_go_on_until_nothing_is_missing() -> None:
    wanted = [b"a", b"b", b"bad", b"c"]

    def attempt(results: RegoResults) -> list[Any]:
        for document in wanted:
            if (MODULE, document) not in results.known:
                raise demand(document, results)
        return [results.known[MODULE, document] for document in wanted]

    first = demand(b"a", RegoResults(0))
    found = await obtain(Evaluating(), first, attempt)
    assert found[:2] == [b"a", b"b"]
    assert isinstance(found[2], RegoError)
    assert found[3] == b"c"
    assert not first.results.transient


async def test_without_an_evaluator_results_are_errors() -> None:
    first = demand(b"a", RegoResults(0))
    known = await obtain(None, first, lambda results: results.known)
    assert isinstance(known[MODULE, b"a"], RegoUnavailableError)
    assert first.results.transient


async def test_rounds_are_bounded() -> None:
    asked = 0

    def attempt(results: RegoResults) -> None:
        nonlocal asked
        asked += 1
        raise demand(b"%d" % asked, results)

    with pytest.raises(RegoError, match="more than"):
        await obtain(Evaluating(), demand(b"", RegoResults(0)), attempt)
    assert asked == MAX_ROUNDS


async def test_failures_of_an_attempt_are_its_own() -> None:
    def attempt(_results: RegoResults) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await obtain(Evaluating(), demand(b"", RegoResults(0)), attempt)
