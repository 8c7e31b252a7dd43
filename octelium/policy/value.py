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
    plain_key,
    type_name,
)
from octelium.policy.observation import observe
from octelium.policy.request import DictRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CompiledValue", "EvaluationError", "compile_value"]

_MAX_DEPTH: Final = 64


class CompiledValue:
    """An expression whose result is used as a value."""

    __slots__ = ("_paths", "program")

    def __init__(self, program: Program) -> None:
        self.program = program
        self._paths = sorted(program.reads)

    def text(self, ctx: Mapping[str, Any], *, now: float | None = None) -> str:
        """The result for JSON data `ctx`, which must be a string.

        Raises:
            EvaluationError: the evaluation fails or results in something else.
        """
        value = self.program.evaluate(self._frame(ctx, now))
        if type(value) is not str:
            raise CelError(f"the result must be a string, not a value of type {type_name(value)}")
        return value

    def json(self, ctx: Mapping[str, Any], *, now: float | None = None) -> object:
        """The result for JSON data `ctx`, in JSON form.

        Raises:
            EvaluationError: the evaluation fails, or its result has no JSON form.
        """
        return self.json_of(self._frame(ctx, now))

    def json_of(self, frame: Frame) -> object:
        """As `json`, on a frame."""
        return to_json_value(self.program.evaluate(frame), frame)

    def _frame(self, ctx: Mapping[str, Any], now: float | None) -> Frame:
        """A frame on as much of `ctx` as the expression can look at."""
        seen = observe(DictRequest(ctx), self._paths)
        assert seen is not None
        return new_frame(seen, now=now)


def compile_value(text: str) -> CompiledValue:
    """Compile an expression.

    Raises:
        CompileError: it cannot be used.
    """
    return CompiledValue(compile_program(text))


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
