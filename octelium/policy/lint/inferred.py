"""What an evaluation can come to, as far as the form of `ctx` tells."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Flag
from typing import Final

from octelium.policy.shape.shape import BOOL, OPEN, Kind, Shape


class Can(Flag):
    """Outcomes that are possible."""

    NOTHING = 0
    TRUE = 1
    FALSE = 2
    VALUE = 4
    """A value that is no boolean."""
    MISSING = 8
    """Nothing stands where the expression looks."""
    ERROR = 16

    EITHER = TRUE | FALSE
    RESULT = TRUE | FALSE | VALUE
    FAIL = MISSING | ERROR
    ANYTHING = RESULT | FAIL


@dataclass(frozen=True, slots=True)
class Inferred:
    """The shape of the value of a part, if it has one, and all outcomes that are possible."""

    shape: Shape
    can: Can

    @property
    def fails(self) -> Can:
        """The ways in which it can come to no value."""
        return self.can & Can.FAIL

    @property
    def has_value(self) -> bool:
        """Whether it can come to a value at all."""
        return bool(self.can & Can.RESULT)


UNKNOWN: Final = Inferred(OPEN, Can.ANYTHING)


def valued(shape: Shape, fails: Can = Can.NOTHING) -> Inferred:
    """Any value of a shape; a boolean that is left out when false is never false."""
    if shape.kind is Kind.BOOL:
        return Inferred(shape, fails | (Can.TRUE if shape.sparse else Can.EITHER))
    return Inferred(shape, fails | (Can.RESULT if shape.is_open else Can.VALUE))


def decided(can: Can) -> Inferred:
    """A boolean, or a failure on the way to one."""
    return Inferred(BOOL, can)


def failed(can: Can) -> Inferred:
    """No value at all."""
    return Inferred(OPEN, can & Can.FAIL)


def both(left: Can, right: Can) -> Can:
    """`left && right`."""
    can = (left | right) & Can.FAIL
    if (left | right) & Can.VALUE:
        can |= Can.ERROR
    if left & right & Can.TRUE:
        can |= Can.TRUE
    return can | ((left | right) & Can.FALSE)


def either(left: Can, right: Can) -> Can:
    """`left || right`."""
    return swapped(both(swapped(left), swapped(right)))


def swapped(can: Can) -> Can:
    """`!can`."""
    out = can & Can.FAIL
    if can & Can.VALUE:
        out |= Can.ERROR
    if can & Can.TRUE:
        out |= Can.FALSE
    if can & Can.FALSE:
        out |= Can.TRUE
    return out
