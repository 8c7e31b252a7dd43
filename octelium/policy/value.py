"""Fields whose value is computed by an expression: headers, keys, whole configurations."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from octelium.policy.cel.errors import CelError, EvaluationError
from octelium.policy.cel.functions.encoders import encode
from octelium.policy.cel.program import Program, compile_program, new_frame
from octelium.policy.cel.times import format_duration, format_timestamp
from octelium.policy.cel.values import (
    Duration,
    Frame,
    Timestamp,
    charge,
    normalized,
    plain_key,
    type_name,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CompiledValue", "EvaluationError", "compile_value"]

_MAX_DEPTH: Final = 64


class CompiledValue:
    """An expression whose result is used as a value."""

    __slots__ = ("program",)

    def __init__(self, program: Program) -> None:
        self.program = program

    def text(self, ctx: Mapping[str, Any], *, now: float | None = None) -> str:
        """The result for JSON data `ctx`, which must be a string.

        Raises:
            EvaluationError: the evaluation fails or results in something else.
        """
        value = self.program.evaluate(_frame(ctx, now))
        if type(value) is not str:
            raise CelError(f"the result must be a string, not a value of type {type_name(value)}")
        return value

    def json(self, ctx: Mapping[str, Any], *, now: float | None = None) -> object:
        """The result for JSON data `ctx`, in JSON form.

        Raises:
            EvaluationError: the evaluation fails, or its result has no JSON form.
        """
        return self.json_of(_frame(ctx, now))

    def json_of(self, frame: Frame) -> object:
        """As `json`, on a frame."""
        return to_json_value(self.program.evaluate(frame), frame)


def compile_value(text: str) -> CompiledValue:
    """Compile an expression.

    Raises:
        CompileError: it cannot be used.
    """
    return CompiledValue(compile_program(text))


def _frame(ctx: Mapping[str, Any], now: float | None) -> Frame:
    context = normalized(dict(ctx))
    assert isinstance(context, dict)
    return new_frame(context, now=now)


def to_json_value(value: object, frame: Frame, depth: int = 0) -> Any:
    """A CEL value in JSON form: whole doubles become integers, other types protobuf's JSON text.

    Raises:
        EvaluationError: it has no such form, or is too large.
    """
    charge(frame, 1)
    if depth > _MAX_DEPTH:
        raise CelError(f"the value is nested more than {_MAX_DEPTH} levels deep")
    match value:
        case None | bool() | str():
            return value
        case int():
            return int(value)
        case float():
            if not math.isfinite(value):
                raise CelError(f"JSON has no number {value}")
            return int(value) if value.is_integer() else value
        case bytes():
            return encode(frame, value)
        case Timestamp():
            return format_timestamp(value)
        case Duration():
            return format_duration(value)
        case list():
            return [to_json_value(item, frame, depth + 1) for item in value]
        case dict():
            return {
                _key(plain_key(key)): to_json_value(item, frame, depth + 1)
                for key, item in value.items()
            }
    raise CelError(f"a value of type {type_name(value)} has no JSON form")


def _key(key: object) -> str:
    if type(key) is str:
        return key
    raise CelError(f"the key {key!r} is no string")
