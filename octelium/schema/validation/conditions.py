"""The shape of conditions. Their expressions are compiled by the ExpressionChecker."""

from __future__ import annotations

from octelium.schema.errors import Invalid
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.validation.rules import Validator, rule

MAX_DEPTH = 16
MAX_CEL = 10_000
MAX_REGO = 20_000
_MAX_OF = 100


@rule(core.Condition)
def check_condition(condition: core.Condition, path: str, validator: Validator) -> None:
    """A condition chooses one of its forms, and so do those that it is made of."""
    _check_shape(condition, path, 1)
    validator.expressions.check_condition(condition, path)


def _check_shape(condition: core.Condition, path: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise Invalid(path, f"conditions are nested more than {MAX_DEPTH} levels deep")
    form = condition.WhichOneof("type")
    if form is None:
        forms = "matchAny, match, not, all, any, none or opa"
        raise Invalid(path, "the condition is empty", f"give it one of {forms}")
    if form == "match":
        _check_text(condition.match, f"{path}.match", MAX_CEL)
    elif form == "not_":
        _check_text(condition.not_, f"{path}.not", MAX_CEL)
    elif form == "opa":
        if condition.opa.WhichOneof("type") is None:
            raise Invalid(f"{path}.opa", "the module is missing", "write {inline: ...}")
        _check_text(condition.opa.inline, f"{path}.opa.inline", MAX_REGO)
    elif form != "match_any":
        children = getattr(condition, form).of
        if not 1 <= len(children) <= _MAX_OF:
            raise Invalid(
                f"{path}.{form}.of",
                f"has {len(children)} conditions",
                f"1 to {_MAX_OF} are allowed",
            )
        for index, child in enumerate(children):
            _check_shape(child, f"{path}.{form}.of[{index}]", depth + 1)


def _check_text(text: str, path: str, most: int) -> None:
    if not text.strip():
        raise Invalid(path, "the expression is empty")
    if len(text) > most:
        raise Invalid(path, f"is {len(text)} characters long", f"at most {most} are allowed")
