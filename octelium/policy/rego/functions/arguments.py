"""Checks of arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from octelium.policy.rego.needed import RegoError
from octelium.policy.rego.values import LONG, MAX_INT, Array, Boolean, Object, Set, type_name

if TYPE_CHECKING:
    from octelium.policy.rego.values import Meter

Functions = dict[str, tuple[Callable[..., Any], int]]
"""Functions by name, each with the number of its arguments."""

MAX_TEXT = 4 * 1024 * 1024
"""Characters that a function may make."""
MAX_ITEMS = 100_000
"""Elements that a function may make."""


def wrong(position: int, wanted: str, value: object) -> RegoError:
    """An argument, counted from 1, has the wrong type."""
    return RegoError(f"argument {position} must be {wanted}, not {type_name(value)}")


def text(value: Any, position: int = 1) -> str:
    """A string."""
    if type(value) is not str:
        raise wrong(position, "string", value)
    return value


def num(value: Any, position: int = 1) -> int | float:
    """A number."""
    if type(value) is not int and type(value) is not float:
        raise wrong(position, "number", value)
    return value


def integer(value: Any, position: int = 1) -> int:
    """A whole number."""
    if type(value) is float and value.is_integer() and abs(value) < MAX_INT:
        return int(value)
    if type(value) is not int:
        raise (
            wrong(position, "integer", value)
            if type(value) is not float
            else RegoError(f"argument {position} must be a whole number")
        )
    return value


def truth(value: Any, position: int = 1) -> bool:
    """A boolean."""
    if type(value) is not Boolean:
        raise wrong(position, "boolean", value)
    return bool(value)


def array(value: Any, position: int = 1) -> Array:
    """An array."""
    if type(value) is not Array:
        raise wrong(position, "array", value)
    return value


def mapping(value: Any, position: int = 1) -> Object:
    """An object."""
    if type(value) is not Object:
        raise wrong(position, "object", value)
    return value


def aset(value: Any, position: int = 1) -> Set:
    """A set."""
    if type(value) is not Set:
        raise wrong(position, "set", value)
    return value


def members(value: Any, position: int = 1) -> Array | Set:
    """An array or set."""
    if type(value) is not Array and type(value) is not Set:
        raise wrong(position, "array or set", value)
    return value


def texts(value: Any, position: int = 1) -> list[str]:
    """The elements of an array or set of strings."""
    found = list(members(value, position))
    for item in found:
        if type(item) is not str:
            raise wrong(position, "array or set of strings, with no", item)
    return found


def made(result: str, meter: Meter) -> str:
    """A text that was made, charged."""
    if len(result) > LONG:
        if len(result) > MAX_TEXT:
            raise RegoError(f"the result has more than {MAX_TEXT} characters")
        meter.charge(len(result) >> 5)
    return result
