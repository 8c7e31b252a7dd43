"""`&&` and `||`: the deciding value wins over errors on either side.

CEL specification, "Logical operators". Without a deciding value the leftmost error stands, but one
for unknown data goes before others, because the deciding value may still turn up in its place.
Operands made by `predicates` may give `ABSENT` for data that is not there, which counts as that
error and comes out as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.policy.cel.errors import CelError, MissingDataError, UnknownDataError
from octelium.policy.cel.values import ABSENT, Frame, no_overload

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Closure = Callable[[Frame], object]


def combine(operator: str, operands: Sequence[Closure]) -> Closure:
    """One closure for a chain of operands under `_&&_` or `_||_`."""
    decisive = operator == "_||_"
    if len(operands) == 2:
        return _combine_two(operator, *operands, decisive=decisive)

    def run(frame: Frame) -> object:
        failure: object = None
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
                failure = ABSENT if value is ABSENT else no_overload(operator, value)
        return _without_decision(failure, neutral=not decisive)

    return run


def conjunction(operands: Sequence[Closure]) -> Closure:
    """`&&` of which only whether it is true counts.

    Data that is not there decides then as False does, unless another error stands left of it:
    whatever follows, the outcome is that error or False.
    """

    def run(frame: Frame) -> bool:
        failure: CelError | None = None
        for operand in operands:
            try:
                value = operand(frame)
            except MissingDataError:
                value = ABSENT
            except CelError as error:
                if failure is None or isinstance(error, UnknownDataError):
                    failure = error
                continue
            if value is True:
                continue
            if value is False:
                return False
            if failure is None:
                if value is ABSENT:
                    return False
                failure = no_overload("_&&_", value)
        if failure is not None:
            raise failure
        return True

    return run


def _without_decision(failure: object, *, neutral: bool) -> object:
    if isinstance(failure, CelError):
        raise failure
    return neutral if failure is None else failure


def _combine_two(operator: str, left: Closure, right: Closure, *, decisive: bool) -> Closure:
    """The usual number of operands, without a loop."""
    neutral = not decisive

    def rescue(failure: object, frame: Frame) -> object:
        try:
            if right(frame) is decisive:
                return decisive
        except UnknownDataError:
            raise
        except CelError:
            pass  # the left one stands
        return _without_decision(failure, neutral=neutral)

    def run(frame: Frame) -> object:
        try:
            value = left(frame)
        except CelError as error:
            return rescue(error, frame)
        if value is decisive:
            return decisive
        if value is not neutral:
            return rescue(ABSENT if value is ABSENT else no_overload(operator, value), frame)
        value = right(frame)
        if value is decisive or value is neutral or value is ABSENT:
            return value
        raise no_overload(operator, value)

    return run
