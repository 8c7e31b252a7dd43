"""`&&` and `||`: the deciding value wins over errors on either side.

CEL specification, "Logical operators". Without a deciding value the leftmost error stands, but one
for unknown data goes before others, because the deciding value may still turn up in its place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.policy.cel.errors import CelError, UnknownDataError
from octelium.policy.cel.values import Frame, no_overload

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Closure = Callable[[Frame], object]


def combine(operator: str, operands: Sequence[Closure]) -> Closure:
    """One closure for a chain of operands under `_&&_` or `_||_`."""
    decisive = operator == "_||_"
    if len(operands) == 2:
        return _combine_two(operator, *operands, decisive=decisive)

    def run(frame: Frame) -> bool:
        failure: CelError | None = None
        for operand in operands:
            try:
                value = operand(frame)
            except CelError as error:
                if failure is None or isinstance(error, UnknownDataError):
                    failure = error
                continue
            if value is decisive:
                return decisive
            if type(value) is not bool and failure is None:
                failure = no_overload(operator, value)
        if failure is not None:
            raise failure
        return not decisive

    return run


def _combine_two(operator: str, left: Closure, right: Closure, *, decisive: bool) -> Closure:
    """The usual number of operands, without a loop."""
    neutral = not decisive

    def rescue(failure: CelError, frame: Frame) -> bool:
        try:
            if right(frame) is decisive:
                return decisive
        except UnknownDataError:
            raise
        except CelError:
            raise failure from None
        raise failure

    def run(frame: Frame) -> bool:
        try:
            value = left(frame)
        except CelError as error:
            return rescue(error, frame)
        if value is decisive:
            return decisive
        if value is not neutral:
            return rescue(no_overload(operator, value), frame)
        value = right(frame)
        if value is decisive:
            return decisive
        if value is neutral:
            return neutral
        raise no_overload(operator, value)

    return run
