"""Conditions: `matchAny`, `match`, `not`, `all`, `any`, `none`, `opa`.

One type serves rules, enforcement rules, triggers, dynamic configuration and plugins; only the
context differs. Data that an expression looks for and that is not there makes that expression
false, before `not` negates it. Any other failure is an error, and whoever asked must refuse.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from octelium.policy.cel.errors import CompileError, EvaluationError
from octelium.policy.cel.program import compile_program, new_frame
from octelium.policy.cel.reads import Path, minimal
from octelium.policy.cel.values import ABSENT, Frame, normalized
from octelium.policy.context import REQUEST, within_request
from octelium.policy.rego.module import CONDITION, compile_module
from octelium.schema.errors import under

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from octelium.schema.pb import core_v1_pb2 as core

    Test = Callable[[Frame], bool]

__all__ = ["CompileError", "CompiledCondition", "EvaluationError", "compile_condition"]

MAX_DEPTH: Final = 16
"""Levels of conditions within conditions."""


class ConditionError(CompileError):
    """A condition that cannot be used. `path` leads to the faulty part in JSON names."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}" if path else problem)
        self.path = path
        self.problem = problem


@dataclass(frozen=True, slots=True)
class CompiledCondition:
    """A condition that can be evaluated many times.

    `reads` are the paths below `ctx` that the result can depend on (the empty path: on all of it);
    with `volatile` it depends on the time of day too.
    """

    test: Test
    """Evaluate on a frame of `cel.program.new_frame`. Raises EvaluationError."""
    reads: frozenset[Path]
    volatile: bool
    whole: bool = field(init=False)
    """The condition looks at `ctx` as a whole, and not just along fixed paths."""
    request: frozenset[Path] = field(init=False)
    """Those of `reads` that lead into `ctx.request`, from there."""
    only_request: bool = field(init=False)
    """The condition looks at nothing but `ctx.request`, and does look at it."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "whole", () in self.reads)
        request = within_request(self.reads)
        object.__setattr__(self, "request", request)
        only_request = bool(request) and all(path[:1] == (REQUEST,) for path in self.reads)
        object.__setattr__(self, "only_request", only_request)

    def evaluate(
        self,
        ctx: Mapping[str, Any],
        attrs: Mapping[str, Any] | None = None,
        *,
        now: float | None = None,
    ) -> bool:
        """Evaluate on JSON data. Without `attrs`, expressions that use them find nothing there.

        Raises:
            EvaluationError: the condition came to no result.
        """
        context = normalized(dict(ctx))
        assert isinstance(context, dict)
        given = ABSENT if attrs is None else normalized(dict(attrs))
        return self.test(new_frame(context, given, now=now))


def compile_condition(condition: core.Condition, path: str = "") -> CompiledCondition:
    """Compile a condition; `path` is where it stands, for error texts. An empty one never holds.

    Raises:
        ConditionError: an expression or module is wrong, or the condition is nested too deeply.
    """
    return _compile(condition, path, 1)


def _compile(condition: core.Condition, path: str, depth: int) -> CompiledCondition:
    if depth > MAX_DEPTH:
        raise ConditionError(path, f"conditions are nested more than {MAX_DEPTH} levels deep")
    form = condition.WhichOneof("type")
    match form:
        case "match_any":
            return _constant(value=condition.match_any)
        case "match":
            return _expression(condition.match, under(path, "match"))
        case "not_":
            inner = _expression(condition.not_, under(path, "not"))
            return CompiledCondition(partial(_not, inner.test), inner.reads, inner.volatile)
        case "all" | "any" | "none":
            parts = [
                _compile(part, f"{under(path, form)}.of[{index}]", depth + 1)
                for index, part in enumerate(getattr(condition, form).of)
            ]
            if not parts:
                return _constant(value=False)
            tests = [part.test for part in parts]
            reads = frozenset[Path]().union(*(part.reads for part in parts))
            volatile = any(part.volatile for part in parts)
            return CompiledCondition(partial(_FORMS[form], tests), minimal(reads), volatile)
        case "opa":
            return _module(condition.opa.inline, f"{under(path, 'opa')}.inline")
    return _constant(value=False)


def _expression(text: str, path: str) -> CompiledCondition:
    try:
        program = compile_program(text)
    except CompileError as error:
        raise ConditionError(path, str(error)) from None
    return CompiledCondition(program.test, program.reads, program.volatile)


def _module(text: str, path: str) -> CompiledCondition:
    try:
        module = compile_module(text, CONDITION)
    except CompileError as error:
        raise ConditionError(path, str(error)) from None
    return CompiledCondition(module.test, module.reads, module.volatile)


def _constant(*, value: bool) -> CompiledCondition:
    return CompiledCondition(_always if value else _never, frozenset(), volatile=False)


def _always(_frame: Frame) -> bool:
    return True


def _never(_frame: Frame) -> bool:
    return False


def _not(test: Test, frame: Frame) -> bool:
    return not test(frame)


def _all(tests: Sequence[Test], frame: Frame) -> bool:
    for test in tests:  # noqa: SIM110 - a generator costs three times as much
        if not test(frame):
            return False
    return True


def _any(tests: Sequence[Test], frame: Frame) -> bool:
    for test in tests:  # noqa: SIM110 - a generator costs three times as much
        if test(frame):
            return True
    return False


def _none(tests: Sequence[Test], frame: Frame) -> bool:
    return not _any(tests, frame)


_FORMS: Final = {"all": _all, "any": _any, "none": _none}
