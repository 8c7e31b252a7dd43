"""Quantities in their canonical form, as the API server writes them.

Kubernetes documentation, "Quantity": no fractional digits, the largest suffix that keeps the value
whole, and the suffixes of powers of two stay with values that came in them.
"""

from __future__ import annotations

import re
from fractions import Fraction

_FORM = re.compile(
    r"^([+-]?)(\d+(?:\.\d*)?|\.\d+)(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E|[eE][+-]?\d+)?$"
)
_BINARY = {"": 0, "Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}


def value(quantity: str | float) -> Fraction:
    """The number that a quantity stands for. Raises ValueError for what is none."""
    return _parsed(str(quantity))[0]


def canonical(quantity: str | float) -> str:
    """The canonical form. Raises ValueError for what is no quantity."""
    number, suffix = _parsed(str(quantity))
    if suffix in _BINARY and suffix:
        if number.denominator == 1 and abs(number) >= 1024:
            whole = int(number)
            power = 0
            while power < 6 and whole and whole % 1024 == 0:
                whole //= 1024
                power += 1
            return f"{whole}{next(name for name, at in _BINARY.items() if at == power)}"
        suffix = ""
    nano = -((-number * 10**9).__floor__()) if number >= 0 else -((number * 10**9).__floor__())
    if number < 0:
        nano = -nano
    if nano == 0:
        return "0"
    exponent = -9
    while exponent < 18 and nano % 1000 == 0:
        nano //= 1000
        exponent += 3
    if suffix[:1] in ("e", "E") and len(suffix) > 1:
        return f"{nano}e{exponent}" if exponent else str(nano)
    return f"{nano}{next(name for name, at in _DECIMAL.items() if at == exponent)}"


def _parsed(text: str) -> tuple[Fraction, str]:
    found = _FORM.match(text)
    if found is None:
        raise ValueError(
            "quantities must match the regular expression"
            " '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
        )
    sign, digits, suffix = found.group(1), found.group(2), found.group(3) or ""
    number = Fraction("0" + digits if digits[0] == "." else digits.rstrip("."))
    if suffix in _BINARY:
        number *= 1024 ** _BINARY[suffix]
    elif suffix in _DECIMAL:
        number *= Fraction(10) ** _DECIMAL[suffix]
    else:
        number *= Fraction(10) ** int(suffix[1:])
    return (-number if sign == "-" else number), suffix
