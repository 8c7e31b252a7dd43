"""Conditions and computed values, looked through for what the compiler cannot see."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from octelium.policy.cel.environment import check
from octelium.policy.cel.errors import CompileError
from octelium.policy.lint.finding import Finding
from octelium.policy.lint.inference import Outcome, infer
from octelium.policy.lint.inferred import Can
from octelium.policy.lint.wording import described
from octelium.policy.shape.request import MEMBER, listed
from octelium.schema.errors import under

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from octelium.policy.shape.contexts import Context
    from octelium.policy.shape.shape import Kind
    from octelium.schema.pb import core_v1_pb2 as core

_HOLDS: Final = Can.TRUE
_NOT: Final = Can.FALSE
_FAILS: Final = Can.ERROR


@lru_cache(maxsize=4096)
def outcome_of(text: str, context: Context) -> Outcome | None:
    """What an expression can come to in a context; None if it cannot be compiled."""
    try:
        root = check(text).root
    except CompileError:
        return None
    return infer(root, context.shape, has_attrs=context.has_attrs)


def lint_condition(condition: core.Condition, context: Context, path: str = "") -> list[Finding]:
    """What is likely wrong with a condition that stands at `path`. Rego is not looked into."""
    anywhere = _Review(context.anywhere)
    usual = anywhere.condition(condition, path)
    if context.attachments is not None:
        there = _Review(context)
        can = there.condition(condition, path)
        if usual & _HOLDS and not can & _HOLDS:
            return [*anywhere.findings, there.blamed(path, "this can never be true")]
        if usual != _HOLDS and can == _HOLDS:
            return [*anywhere.findings, there.blamed(path, "this is always true")]
    return anywhere.findings


def lint_value(
    text: str, context: Context, path: str = "", *, kind: Kind | None = None, wanted: str = ""
) -> list[Finding]:
    """What is likely wrong with an expression whose value is used.

    `kind` is the type that it must have (None: any), `wanted` what must then be written.
    """
    anywhere = _Review(context.anywhere)
    usual = anywhere.expression(text, path)
    if usual is None or not usual.inferred.has_value:
        return anywhere.findings
    shape = usual.inferred.shape
    if kind is not None and not shape.is_open and shape.kind is not kind:
        problem = f"this results in {described(shape)}, and {kind.value} is needed"
        return [*anywhere.findings, Finding(path, problem, wanted)]
    if context.attachments is not None:
        there = _Review(context)
        outcome = there.expression(text, path)
        if outcome is not None and not outcome.inferred.has_value:
            return [*anywhere.findings, there.blamed(path, "this never comes to a value")]
    return anywhere.findings


class _Review:
    """What is found in one condition or value."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.findings: list[Finding] = []
        self._blames: dict[str, str] = {}

    def expression(self, text: str, path: str) -> Outcome | None:
        """What an expression can come to; None if it cannot be compiled."""
        outcome = outcome_of(text, self._context)
        if outcome is not None:
            self.findings += (Finding(path, *problem) for problem in outcome.problems)
            self._blames.update(outcome.blames)
        return outcome

    def condition(self, condition: core.Condition, path: str) -> Can:
        """Whether a condition can hold (TRUE), not hold (FALSE) and fail (ERROR)."""
        form = condition.WhichOneof("type")
        match form:
            case "match_any":
                return _HOLDS if condition.match_any else _NOT
            case "match":
                return self._match(condition.match, under(path, "match"))
            case "not_":
                can = self._match(condition.not_, under(path, "not"))
                return _swapped(can)
            case "all" | "any" | "none":
                cans = [
                    self.condition(part, f"{under(path, form)}.of[{index}]")
                    for index, part in enumerate(getattr(condition, form).of)
                ]
                return _COMBINED[form](cans) if cans else _NOT
            case "opa":
                return Can.EITHER | _FAILS
        return _NOT

    def _match(self, text: str, path: str) -> Can:
        outcome = self.expression(text, path)
        if outcome is None:
            return Can.EITHER | _FAILS
        can = outcome.inferred.can
        holds = can & (_HOLDS | _NOT | _FAILS)
        if can & Can.MISSING:
            holds |= _NOT
        return holds | _FAILS if can & Can.VALUE else holds

    def blamed(self, path: str, problem: str) -> Finding:
        """A finding that follows from members which are not there."""
        reasons = "; ".join(f"`{member}`: {reason}" for member, reason in self._blames.items())
        where = ""
        modes = self._context.modes
        if modes and any(member.startswith("ctx.request") for member in self._blames):
            where = f" where it is attached (mode {listed(modes)})"
        return Finding(path, f"{problem}{where}: {reasons}", self._instead())

    def _instead(self) -> str:
        """The members that requests have at this place."""
        modes = self._context.modes or frozenset()
        members = sorted({f"ctx.request.{MEMBER[mode]}" for mode in modes if mode in MEMBER})
        blamed = any(member.startswith("ctx.request.") for member in self._blames)
        return f"such requests have {' or '.join(members)}" if blamed and members else ""


def _swapped(can: Can) -> Can:
    out = can & _FAILS
    if can & _HOLDS:
        out |= _NOT
    return out | _HOLDS if can & _NOT else out


def _all(cans: Sequence[Can]) -> Can:
    """Every child holds; stops at the first that does not."""
    out = Can.NOTHING
    for can in cans:
        out |= can & (_NOT | _FAILS)
        if not can & _HOLDS:
            return out
    return out | _HOLDS


def _any(cans: Sequence[Can]) -> Can:
    return _swapped(_all([_swapped(can) for can in cans]))


def _none(cans: Sequence[Can]) -> Can:
    return _swapped(_any(cans))


_COMBINED: Final[dict[str, Callable[[Sequence[Can]], Can]]] = {
    "all": _all,
    "any": _any,
    "none": _none,
}
