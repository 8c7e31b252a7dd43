"""What validation asks about expressions before a resource is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from octelium.policy.cel.errors import CompileError
from octelium.policy.cel.program import compile_program
from octelium.policy.condition import ConditionError, compile_condition
from octelium.policy.groups import expression_of
from octelium.policy.rego.module import CONDITION, CONFIGURATION, Purpose, check_module
from octelium.schema.errors import Invalid, under

if TYPE_CHECKING:
    from octelium.schema.pb import core_v1_pb2 as core

_MAYBE_BOOL: Final = frozenset({"BOOL", "DYN"})


class Checker:
    """Compiles expressions for `octelium.schema.validation`; each method raises Invalid."""

    def check_condition(self, condition: core.Condition, path: str) -> None:
        """Refuse a condition that cannot be compiled, or that can never be true or false."""
        try:
            compile_condition(condition, path)
        except ConditionError as error:
            raise Invalid(error.path, error.problem) from None
        _check_parts(condition, path)

    def check_cel(self, text: str, path: str) -> None:
        """Refuse an expression, of whatever result type, that cannot be compiled."""
        try:
            compile_program(text)
        except CompileError as error:
            raise Invalid(path, str(error)) from None

    def check_groups(self, config: core.Config) -> None:
        """Refuse a Config that does not say which groups an assertion names."""
        expression_of(config)

    def check_rego(self, text: str, path: str) -> None:
        """Refuse a module that cannot compute a configuration."""
        _check_module(text, CONFIGURATION, path)


def _check_module(text: str, purpose: Purpose, path: str) -> None:
    problem = check_module(text, purpose)
    if problem:
        raise Invalid(path, problem)


def _check_parts(condition: core.Condition, path: str) -> None:
    form = condition.WhichOneof("type")
    if form in ("match", "not_"):
        program = compile_program(getattr(condition, form))
        if program.type not in _MAYBE_BOOL:
            raise Invalid(
                under(path, form.removesuffix("_")),
                f"results in a value of type {program.type}",
                "a condition must result in true or false",
            )
    elif form in ("all", "any", "none"):
        for index, part in enumerate(getattr(condition, form).of):
            _check_parts(part, f"{under(path, form)}.of[{index}]")
    elif form == "opa":
        _check_module(condition.opa.inline, CONDITION, f"{under(path, 'opa')}.inline")
