"""Single values of the JSON form: each field type reads what may stand for it, strictly."""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Callable
from typing import Any

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor

from octelium.schema import fields
from octelium.schema.suggestion import did_you_mean

Scalar = Callable[[Any], Any]
"""Takes any value; returns what the field is set to, or raises Mismatch."""

_LARGEST_FLOAT = 3.4028234663852886e38
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,19})")


class Mismatch(Exception):  # noqa: N818  (no error of the program)
    """The value is not one of the field's."""

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy


def scalar_of(field: FieldDescriptor) -> Scalar:
    """How a field that holds neither messages nor maps reads its value."""
    if field.type == FieldDescriptor.TYPE_ENUM:
        return _enum(fields.enum_type(field))
    if field.type in fields.INTEGER_RANGES:
        return _integer(*fields.INTEGER_RANGES[field.type])
    return {
        FieldDescriptor.TYPE_STRING: text,
        FieldDescriptor.TYPE_BOOL: _boolean,
        FieldDescriptor.TYPE_BYTES: _bytes,
        FieldDescriptor.TYPE_FLOAT: _float,
        FieldDescriptor.TYPE_DOUBLE: _double,
    }[field.type]


def text(value: Any) -> str:
    """A text that can be written as UTF-8."""
    if isinstance(value, str):
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                raise Mismatch("the text holds half of a surrogate pair") from None
        return value
    remedy = "put it in quotes" if isinstance(value, bool | int | float) else ""
    raise Mismatch(f"expected text, got {describe(value)}", remedy)


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    remedy = "write true or false"
    if isinstance(value, str):
        meant = {"true": "true", "yes": "true", "on": "true", "y": "true", "1": "true"} | {
            "false": "false", "no": "false", "off": "false", "n": "false", "0": "false"
        }  # fmt: skip
        if value.lower() in meant:
            remedy = f"write {meant[value.lower()]}, without quotes"
    raise Mismatch(f"expected true or false, got {describe(value)}", remedy)


def _integer(least: int, most: int) -> Scalar:
    def read_integer(value: Any) -> int:
        number: int
        if isinstance(value, int) and not isinstance(value, bool):
            number = value
        elif (isinstance(value, float) and value.is_integer()) or (
            isinstance(value, str) and _INTEGER.fullmatch(value)
        ):
            number = int(value)
        else:
            raise Mismatch(f"expected a whole number, got {describe(value)}")
        if not least <= number <= most:
            shown = str(number) if abs(number) < 10**30 else "the number"
            raise Mismatch(f"{shown} is outside {least} to {most}")
        return number

    return read_integer


def _enum(descriptor: EnumDescriptor) -> Scalar:
    numbers = {value.name: value.number for value in descriptor.values}
    known = set(numbers.values())

    def read_enum(value: Any) -> int:
        number = numbers.get(value) if isinstance(value, str) else None
        if number is not None:
            return number
        if isinstance(value, int) and not isinstance(value, bool) and value in known:
            return value
        names = [name for name, number in numbers.items() if number != 0]
        choices = f"one of {', '.join(names)}"
        if isinstance(value, str):
            remedy = did_you_mean(value, numbers, otherwise=choices)
            raise Mismatch(f"{clip(value)} is not a known value", remedy)
        raise Mismatch(f"expected {choices}, got {describe(value)}")

    return read_enum


def _bytes(value: Any) -> bytes:
    if isinstance(value, str):
        text = value.replace("-", "+").replace("_", "/").rstrip("=")
        try:
            return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
        except (binascii.Error, ValueError):
            raise Mismatch("the text is not base64", "encode the bytes in base64") from None
    raise Mismatch(f"expected base64 text, got {describe(value)}")


def _double(value: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            raise Mismatch("the number is too large") from None
    if value in ("NaN", "Infinity", "-Infinity"):
        return float(value)
    if isinstance(value, str) and re.fullmatch(
        r"-?\d{1,40}(\.\d{1,40})?([eE][+-]?\d{1,3})?", value
    ):
        return float(value)
    raise Mismatch(f"expected a number, got {describe(value)}")


def _float(value: Any) -> float:
    number = _double(value)
    if math.isfinite(number) and abs(number) > _LARGEST_FLOAT:
        raise Mismatch("the number is too large")
    return number


def free_number(value: Any) -> Any:
    """A number that an object of free form keeps as it is: as a 64-bit floating-point one."""
    if isinstance(value, float):
        if not math.isfinite(value):
            raise Mismatch("not a finite number")
    elif not _is_exact(value):
        raise Mismatch("the number is too large to be kept exactly", "put it in quotes")
    return value


def _is_exact(number: int) -> bool:
    try:
        return int(float(number)) == number
    except OverflowError:
        return False


def clip(shown: str) -> str:
    """A text as it is quoted in a problem."""
    return repr(shown if len(shown) <= 60 else shown[:57] + "...")


def describe(value: Any) -> str:
    """What a value is, in the words of JSON."""
    if value is None:
        return "nothing"
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, int | float):
        small = isinstance(value, float) or abs(value) < 10**30
        return f"the number {value}" if small else "a very large number"
    if isinstance(value, str):
        return f"the text {clip(value)}"
    if isinstance(value, dict):
        return "an object"
    return "a list" if isinstance(value, list) else f"a {type(value).__name__}"
