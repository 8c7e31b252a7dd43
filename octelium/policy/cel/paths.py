"""Paths into maps: `ctx.user.spec.email`.

Straight subscripts come first, in one expression for the usual lengths. What fails is looked at
again to tell data that is not there from a value that has no fields.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from octelium.policy.cel.errors import CelError, MissingPathError
from octelium.policy.cel.values import ABSENT, Frame, type_name

if TYPE_CHECKING:
    from collections.abc import Callable

    Closure = Callable[[Frame], object]


def slot_path(index: int, fields: tuple[str, ...]) -> Closure:
    """A closure that follows `fields` from the variable in slot `index`."""
    return _UNROLLED.get(len(fields), _path_of_any)(index, fields)


def _path_of_two(index: int, fields: tuple[str, ...]) -> Closure:
    first, second = fields

    def select(frame: Any) -> object:
        try:
            return frame[index][first][second]
        except KeyError:
            raise MissingPathError(*fields) from None
        except TypeError:
            return walk(frame[index], fields)

    return select


def _path_of_three(index: int, fields: tuple[str, ...]) -> Closure:
    first, second, third = fields

    def select(frame: Any) -> object:
        try:
            return frame[index][first][second][third]
        except KeyError:
            raise MissingPathError(*fields) from None
        except TypeError:
            return walk(frame[index], fields)

    return select


def _path_of_four(index: int, fields: tuple[str, ...]) -> Closure:
    first, second, third, fourth = fields

    def select(frame: Any) -> object:
        try:
            return frame[index][first][second][third][fourth]
        except KeyError:
            raise MissingPathError(*fields) from None
        except TypeError:
            return walk(frame[index], fields)

    return select


def _path_of_any(index: int, fields: tuple[str, ...]) -> Closure:
    def select(frame: Any) -> object:
        value = frame[index]
        try:
            for field in fields:
                value = value[field]
        except KeyError:
            raise MissingPathError(*fields) from None
        except TypeError:
            return walk(frame[index], fields)
        return value

    return select


_UNROLLED: Final = {2: _path_of_two, 3: _path_of_three, 4: _path_of_four}
"""Paths of these lengths, which policies are full of, need no loop."""


def walk(value: Any, fields: tuple[str, ...]) -> object:
    """Select `fields` one after the other.

    Raises:
        MissingDataError: one is absent, or is looked for in null.
        CelError: one is looked for in a value without fields.
    """
    for position, field in enumerate(fields):
        if isinstance(value, dict):
            if field not in value:
                raise MissingPathError(*fields[: position + 1])
            value = value[field]
        elif value is None or value is ABSENT:
            raise MissingPathError(*fields[: position + 1])
        else:
            raise CelError(f"a value of type {type_name(value)} has no field {field!r}")
    return value
