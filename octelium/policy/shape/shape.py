"""What may stand at a place of `ctx`, as CEL sees it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable


class Kind(Enum):
    """CEL's types, with `DYN` for what may be of any; each value says it in words."""

    DYN = "a value of any type"
    NULL = "null"
    BOOL = "a boolean"
    INT = "an integer"
    UINT = "an unsigned integer"
    DOUBLE = "a number"
    STRING = "a text"
    BYTES = "bytes"
    TIMESTAMP = "an instant"
    DURATION = "a duration"
    TYPE = "a type"
    LIST = "a list"
    MAP = "a map"


class Meaning(Enum):
    """What a text of the JSON form stands for; the value is the CEL function that reads it."""

    NUMBER = "int"
    INSTANT = "timestamp"
    DATA = "base64.decode"


class Members(Protocol):
    """The members of an object of a known form."""

    def get(self, name: str) -> Shape | None:
        """What may stand at a member; None if there is no such member."""

    def names(self) -> Iterable[str]:
        """The members that there may be."""

    def elsewhere(self, name: str) -> str:
        """Why a member of the schema cannot be there; empty if the schema has none either."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The values that a place may hold."""

    kind: Kind
    item: Shape | None = None
    """Elements of a list, values of a map; None if they may be anything."""
    members: Members | None = field(default=None, compare=False)
    """For an object of a known form. A map without them may have any key."""
    values: tuple[str, ...] = ()
    """The names of an enum; the empty tuple for other texts."""
    zero: str = ""
    """The name among `values` that stands for what is not set."""
    meaning: Meaning | None = None
    sparse: bool = False
    """The type's default never stands here: in its place the field is absent."""

    @property
    def is_open(self) -> bool:
        """Whether nothing is known of the values."""
        return self.kind is Kind.DYN

    @property
    def words(self) -> str:
        """The type, for people: `a text`, `a list`."""
        return "an object" if self.members is not None else self.kind.value

    def as_sparse(self) -> Shape:
        """The same where defaults are left out."""
        return replace(self, sparse=True)


OPEN: Final = Shape(Kind.DYN)
BOOL: Final = Shape(Kind.BOOL)
INT: Final = Shape(Kind.INT)
UINT: Final = Shape(Kind.UINT)
DOUBLE: Final = Shape(Kind.DOUBLE)
STRING: Final = Shape(Kind.STRING)
BYTES: Final = Shape(Kind.BYTES)
TIMESTAMP: Final = Shape(Kind.TIMESTAMP)
DURATION: Final = Shape(Kind.DURATION)
NULL: Final = Shape(Kind.NULL)
TYPE: Final = Shape(Kind.TYPE)
OPEN_MAP: Final = Shape(Kind.MAP)
"""An object of which no member is known, such as `attrs`."""
OPEN_LIST: Final = Shape(Kind.LIST)

NUMBERS: Final = frozenset({Kind.INT, Kind.UINT, Kind.DOUBLE})
"""Kinds that compare with each other."""


def list_of(item: Shape) -> Shape:
    """A list of such elements."""
    return Shape(Kind.LIST, item=item)


def map_of(item: Shape) -> Shape:
    """An object with any keys and such values."""
    return Shape(Kind.MAP, item=item)


def joined(one: Shape, other: Shape) -> Shape:
    """What either of two may hold."""
    if one == other and one.members is other.members:
        return one
    if one.kind is other.kind and one.kind not in (Kind.LIST, Kind.MAP):
        return Shape(one.kind)
    return OPEN
