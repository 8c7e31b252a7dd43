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
    straight = subscripts(index, fields)

    def select(frame: Frame) -> object:
        try:
            return straight(frame)
        except KeyError:
            raise MissingPathError(*fields) from None
        except TypeError:
            return walk(frame[index], fields)

    return select


def probe(index: int, fields: tuple[str, ...]) -> Closure:
    """As `slot_path`, but data that is not there comes out as `ABSENT`, which costs less."""
    straight = subscripts(index, fields)

    def select(frame: Frame) -> object:
        try:
            return straight(frame)
        except KeyError:
            return ABSENT
        except TypeError:
            return walk(frame[index], fields)

    return select


def subscripts(index: int, fields: tuple[str, ...]) -> Closure:
    """A closure that does nothing but subscribe; it fails as Python's subscripts do."""
    unrolled = _UNROLLED.get(len(fields))
    return _loop(index, fields) if unrolled is None else unrolled(index, *fields)


def _loop(index: int, fields: tuple[str, ...]) -> Closure:
    def select(frame: Any) -> object:
        value = frame[index]
        for field in fields:
            value = value[field]
        return value

    return select


def _two(index: int, a: str, b: str) -> Closure:
    return lambda frame: frame[index][a][b]  # type: ignore[index]  # slots are untyped


def _three(index: int, a: str, b: str, c: str) -> Closure:
    return lambda frame: frame[index][a][b][c]  # type: ignore[index]  # slots are untyped


def _four(index: int, a: str, b: str, c: str, d: str) -> Closure:
    return lambda frame: frame[index][a][b][c][d]  # type: ignore[index]  # slots are untyped


def _five(index: int, a: str, b: str, c: str, d: str, e: str) -> Closure:
    return lambda frame: frame[index][a][b][c][d][e]  # type: ignore[index]  # slots are untyped


_UNROLLED: Final[dict[int, Callable[..., Closure]]] = {2: _two, 3: _three, 4: _four, 5: _five}
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
