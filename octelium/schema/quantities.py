"""Amounts of resources as Kubernetes writes them: `500m`, `512Mi`, `2`.

The grammar and the canonical form are those of "Quantity" in the reference of the Kubernetes API:
no fraction, and the greatest suffix that leaves none. The API server gives every amount back in
canonical form.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Literal

Form = Literal["decimal", "binary", "exponent"]

MAX: Final = 2**63 - 1
"""The greatest amount."""

_MAX_LENGTH: Final = 64
_TEXT: Final = re.compile(
    r"(\+?)([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:([numkMGTPE]|[KMGTPE]i)|[eE]([+-]?[0-9]{1,3}))?"
)
_DECIMAL: Final = ("", "k", "M", "G", "T", "P", "E")
_BINARY: Final = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_FRACTIONS: Final = {"n": 9, "u": 6, "m": 3}


@dataclass(frozen=True, slots=True)
class Quantity:
    """A whole, non-negative amount, and the way in which it was written."""

    value: int
    form: Form = "decimal"

    def __str__(self) -> str:
        """The canonical text."""
        if self.form == "exponent":
            number, power = _reduced(self.value, 1000, MAX.bit_length())
            return f"{number}e{3 * power}" if power else str(number)
        if self.form == "binary":
            number, power = _reduced(self.value, 1024, len(_BINARY) - 1)
            if power:
                return f"{number}{_BINARY[power]}"
        number, power = _reduced(self.value, 1000, len(_DECIMAL) - 1)
        return f"{number}{_DECIMAL[power]}"


def parse_quantity(text: str) -> Quantity:
    """The amount that a text says. Raises ValueError, for people, if it is none that is whole."""
    found = _TEXT.fullmatch(text) if len(text) <= _MAX_LENGTH else None
    if found is None:
        raise ValueError(f"{text[:_MAX_LENGTH]!r} is not an amount")
    _, number, suffix, exponent = found.groups()
    value = Fraction(number)
    form: Form = "decimal"
    if exponent is not None:
        value *= Fraction(10) ** int(exponent)
        form = "exponent"
    elif suffix in _BINARY:
        value *= 1024 ** _BINARY.index(suffix)
        form = "binary"
    elif suffix in _DECIMAL:
        value *= 1000 ** _DECIMAL.index(suffix)
    elif suffix is not None:
        value /= 10 ** _FRACTIONS[suffix]
    if value.denominator != 1:
        raise ValueError(f"{text!r} is not a whole amount")
    if value > MAX:
        raise ValueError(f"{text!r} is more than {MAX}")
    return Quantity(int(value), form)


def millis(thousandths: int) -> str:
    """The canonical text of thousandths: `millis(1500)` is `1500m`, `millis(2000)` is `2`."""
    if thousandths % 1000:
        return f"{thousandths}m"
    return str(Quantity(thousandths // 1000))


def mebibytes(count: int) -> str:
    """The canonical text of so many MiB: `mebibytes(512)` is `512Mi`, `mebibytes(1024)` `1Gi`."""
    return str(Quantity(count * 1024 * 1024, "binary"))


def _reduced(value: int, base: int, most: int) -> tuple[int, int]:
    """A number and a power of the base whose product is the value, the power as great as can be."""
    power = 0
    while value and power < most and value % base == 0:
        value //= base
        power += 1
    return value, power
