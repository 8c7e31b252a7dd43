"""Rows of a table: what they hold, how they are shown, sorted and filtered."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

from octelium.cli.ages import length
from octelium.tui import inert
from octelium.tui.lines import Tone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    Value = str | int | float


class Form(Enum):
    """What a column's values are: TEXT, NUMBER, or Unix seconds shown as a length of time.

    AGE counts from them, UNTIL to them; 0 stands for an instant that is not set, and in a PORT for
    none.
    """

    TEXT = "text"
    NUMBER = "number"
    PORT = "port"
    AGE = "age"
    UNTIL = "until"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its title, what it takes of a resource, and how it is given room.

    `rank` 0 is always shown; where there is little room, the highest goes first.
    """

    title: str
    value: Callable[[Any], Value]
    form: Form = Form.TEXT
    rank: int = 1
    least: int = 4
    most: int = 40
    is_name: bool = False
    """Whether the middle is cut where there is no room."""


@dataclass(slots=True)
class Row:
    """One line of a table. `uid` identifies it; `values` are inert where they are texts."""

    uid: str
    name: str
    values: tuple[Value, ...]
    tone: Tone = Tone.PLAIN
    _haystack: str = field(default="", repr=False)

    def haystack(self) -> str:
        """What a filter looks through."""
        if not self._haystack:
            texts = [self.name, *(value for value in self.values if isinstance(value, str))]
            self._haystack = "\n".join(texts).lower()
        return self._haystack


class Model(Protocol):
    """What a table shows."""

    @property
    def columns(self) -> Sequence[Column]:
        """The columns."""

    def __len__(self) -> int: ...

    def at(self, index: int) -> Row:
        """The row at a place."""

    def place(self, uid: str) -> int | None:
        """Where a row is, if it is there."""


def shown(column: Column, value: Value, now: float) -> str:
    """A value as a table shows it; `now` in Unix seconds."""
    if isinstance(value, str):
        return value or "-"
    if column.form is Form.AGE:
        return length(now - value) if value else "-"
    if column.form is Form.UNTIL:
        if not value:
            return "never"
        return length(value - now) if value > now else "expired"
    if column.form is Form.PORT and not value:
        return "-"
    return str(value)


def made(item: Any, columns: Iterable[Column], tone: Tone = Tone.PLAIN) -> Row:
    """The row of a resource."""
    values = []
    for column in columns:
        value = column.value(item)
        values.append(inert.cell(value) if isinstance(value, str) else value)
    return Row(item.metadata.uid or item.metadata.name, item.metadata.name, tuple(values), tone)


class Filter:
    """Words that a row must have, in any case: `ann`, `!ann` (must not have), `user:ann`."""

    def __init__(self, text: str, columns: Sequence[Column]) -> None:
        titles = {column.title.lower(): index for index, column in enumerate(columns)}
        self._terms: list[tuple[bool, int | None, str]] = []
        for word in text.lower().split():
            wanted = not word.startswith("!")
            term = word if wanted else word[1:]
            title, colon, rest = term.partition(":")
            place = titles.get(title) if colon else None
            if place is not None:
                term = rest
            if term:
                self._terms.append((wanted, place, term))

    def __bool__(self) -> bool:
        return bool(self._terms)

    def keeps(self, row: Row) -> bool:
        """Whether a row is shown."""
        for wanted, place, term in self._terms:
            text = row.haystack() if place is None else str(row.values[place]).lower()
            if (term in text) is not wanted:
                return False
        return True


class Rows:
    """Rows of resources: filtered and sorted, each known by its uid."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = tuple(columns)
        self._all: dict[str, Row] = {}
        self._order: list[Row] = []
        self._places: dict[str, int] | None = None
        self._filter = Filter("", columns)
        self.sorted_by = 0
        self.reverse = False

    @property
    def columns(self) -> Sequence[Column]:
        """The columns."""
        return self._columns

    @property
    def total(self) -> int:
        """How many there are, the hidden ones included."""
        return len(self._all)

    def __len__(self) -> int:
        return len(self._order)

    def at(self, index: int) -> Row:
        """The row at a place. Raises IndexError."""
        return self._order[index]

    def place(self, uid: str) -> int | None:
        """Where a row is shown."""
        if self._places is None:
            self._places = {row.uid: index for index, row in enumerate(self._order)}
        return self._places.get(uid)

    def get(self, uid: str) -> Row | None:
        """The row of a uid, shown or not."""
        return self._all.get(uid)

    def replace(self, rows: Iterable[Row]) -> None:
        """Take these in place of all."""
        self._all = {row.uid: row for row in rows}
        self._arrange()

    def change(self, put: Iterable[Row], removed: Iterable[str]) -> None:
        """Add or exchange rows, and remove those of some uids."""
        for uid in removed:
            self._all.pop(uid, None)
        for row in put:
            self._all[row.uid] = row
        self._arrange()

    def filter(self, text: str) -> None:
        """Show only the rows that `Filter` keeps."""
        self._filter = Filter(text, self._columns)
        self._arrange()

    def sort(self, column: int, *, reverse: bool = False) -> None:
        """Show the rows in the order of a column; equal ones by name."""
        self.sorted_by, self.reverse = column, reverse
        self._arrange()

    def _arrange(self) -> None:
        rows: Iterable[Row] = self._all.values()
        if self._filter:
            rows = filter(self._filter.keeps, rows)
        column = self.sorted_by
        if self._columns[column].form is Form.TEXT:
            self._order = sorted(rows, key=lambda row: (str(row.values[column]).lower(), row.name))
        else:
            self._order = sorted(rows, key=lambda row: (row.values[column], row.name))
        if self.reverse:
            self._order.reverse()
        self._places = None
