"""A compiled expression, ready to be evaluated many times."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from octelium.policy.cel import compiler, environment, predicates
from octelium.policy.cel.errors import CelError, CompileError, EvaluationError, MissingDataError
from octelium.policy.cel.folds import Slot
from octelium.policy.cel.reads import Path, Reads, analyze
from octelium.policy.cel.values import (
    ABSENT,
    LOCALS,
    MAX_SLOTS,
    SECOND,
    Frame,
    Timestamp,
    type_name,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Closure = Callable[[Frame], object]

MAX_STEPS: Final = 150_000
"""Steps of loops and of work on large values in one decision. Each takes 0.05 to 0.15 µs, so the
worst decision takes some 20 ms."""


class Program:
    """One expression over `ctx` and `attrs`.

    `reads` are the paths below `ctx` that the result can depend on; with `volatile` it depends on
    the time of day too. `type` is the checker's name of the result's type, or `DYN`.
    """

    __slots__ = ("_run", "reads", "test", "text", "type", "volatile")

    def __init__(
        self,
        text: str,
        reads: Reads,
        result_type: str,
        *,
        run: Closure | None = None,
        test: Closure | None = None,
    ) -> None:
        """Without `run` it is compiled when a value is asked for first: most are conditions."""
        self.text = text
        self.reads: frozenset[Path] = reads.paths
        self.volatile = reads.volatile
        self.type = result_type
        self._run = run
        self.test = _as_condition(test or self.run)
        """Evaluate a condition on a frame. Data that is not there makes it false.

        Raises:
            EvaluationError: it fails otherwise, costs too much, or results in anything but a bool.
        """

    @property
    def run(self) -> Closure:
        """Evaluates on a frame; raises EvaluationError."""
        if self._run is None:
            self._run = compiler.compile_node(environment.check(self.text).root)
        return self._run

    def evaluate(self, frame: Frame) -> object:
        """The value of an expression of any type, in terms of `values`.

        Raises:
            EvaluationError: it fails; `MissingDataError` if data is not there.
        """
        try:
            return self.run(frame)
        except EvaluationError:
            raise
        except Exception as error:
            raise _unexpected(error) from error

    def __repr__(self) -> str:
        return f"Program({self.text!r})"


def _as_condition(evaluate: Closure) -> Callable[[Frame], bool]:
    def test(frame: Frame) -> bool:
        try:
            value = evaluate(frame)
        except MissingDataError:
            return False
        except EvaluationError:
            raise
        except Exception as error:
            raise _unexpected(error) from error
        if value is True:
            return True
        if value is False or value is ABSENT:
            return False
        raise CelError(f"a condition must come out true or false, not as {type_name(value)}")

    return test


def _unexpected(error: Exception) -> EvaluationError:
    return EvaluationError(f"evaluation failed: {type(error).__name__}: {error}")


@lru_cache(maxsize=4096)
def compile_program(text: str) -> Program:
    """Compile an expression; equal texts share one program.

    Raises:
        CompileError: the text cannot be used; the error says where and why.
    """
    checked = environment.check(text)
    test = predicates.compile_test(checked.root)
    return Program(text, analyze(checked.root), checked.type, test=test)


def evaluate_once(
    text: str, variables: Mapping[str, object], *, check: bool = True, now: float | None = None
) -> object:
    """Evaluate an expression over variables of any names, which may be qualified (`a.b`).

    Values are those of `octelium.policy.cel.values`. Without `check` a wrong type, name or
    function counts only where the evaluation meets it.

    Raises:
        CompileError: the text cannot be used.
        EvaluationError: the evaluation failed.
    """
    checked = environment.check(text, tuple(variables), types=check)
    if len(variables) > MAX_SLOTS // 2:
        raise CompileError(f"more than {MAX_SLOTS // 2} variables")
    frame = new_frame({}, now=now)
    slots: dict[str, Slot] = {}
    for index, (name, value) in enumerate(variables.items(), start=LOCALS):
        slots[name] = Slot(index, lazy=False)
        frame[index] = value
    scope = compiler.Scope(slots, LOCALS + len(slots), lenient=not check)
    run = compiler.compile_node(checked.root, scope)
    return Program(text, analyze(checked.root), checked.type, run=run).evaluate(frame)


def new_frame(ctx: dict[str, Any], attrs: object = ABSENT, *, now: float | None = None) -> Frame:
    """A frame for evaluations on one context, which together may take `MAX_STEPS`.

    `ctx` and `attrs` hold JSON data whose numbers are floats (`values.normalized`). `now` is what
    `now()` results in, in Unix seconds; the time of the call by default.
    """
    ns = time.time_ns() if now is None else int(now * SECOND)
    return [ctx, attrs, MAX_STEPS, Timestamp(ns), None, *_EMPTY]


_EMPTY: Final = [None] * MAX_SLOTS

assert len(new_frame({})) == LOCALS + MAX_SLOTS
