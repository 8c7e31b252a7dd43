"""Entries of the logs as rows, and the window of a log that is held."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from octelium.cli import authlines, loglines
from octelium.tui import inert
from octelium.tui.lines import Tone
from octelium.tui.rows import Column, Filter, Row

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from octelium.client.accesslog import Entry
    from octelium.schema.pb import ext_v1_pb2 as ext

MOST: Final = 10_000
"""Entries that are held of one log."""
_CLOCK: Final = slice(11, 19)
"""Of an instant as RFC 3339 writes it: the time of day."""


def _column(title: str, rank: int, least: int, most: int) -> Column:
    return Column(title, lambda item: item, rank=rank, least=least, most=most)


ACCESS: Final = (
    _column("TIME", 3, 8, 8),
    _column("WHO", 0, 6, 24),
    _column("SERVICE", 1, 12, 28),
    _column("REQUEST", 0, 20, 100),
    _column("STATUS", 4, 6, 9),
    _column("DECISION", 0, 8, 8),
    _column("WHY", 1, 12, 80),
)
AUTHENTICATION: Final = (
    _column("TIME", 3, 8, 8),
    _column("WHO", 0, 8, 32),
    _column("BY", 1, 10, 40),
    _column("FROM", 2, 9, 45),
    _column("OUTCOME", 0, 9, 9),
    _column("WHY", 1, 10, 100),
)


def access_row(entry: Entry) -> Row:
    """The row of one entry of the access log."""
    cells = list(loglines.cells(entry))
    time, _who, _service, _request, status, decision, _why = cells
    cells[0] = time[_CLOCK]
    tone = Tone.PLAIN
    if decision == "denied":
        tone = Tone.BAD
    elif status.startswith("5"):
        tone = Tone.WARN
    values = tuple(inert.cell(text) for text in cells)
    return Row(entry.id, inert.cell(entry.id), values, tone)


def attempt_row(entry: ext.AuthenticationLogEntry) -> Row:
    """The row of one entry of the authentication log."""
    cells = list(authlines.cells(entry))
    tone = {"refused": Tone.BAD, "failed": Tone.WARN}.get(entry.outcome, Tone.PLAIN)
    cells[0] = cells[0][_CLOCK]
    return Row(entry.id, inert.cell(entry.id), tuple(inert.cell(text) for text in cells), tone)


class Journal:
    """The last entries of a log, oldest first; those that pass the filter are shown.

    Rows are counted from the beginning of the journal, so that one's place is found at once.
    """

    def __init__(self, columns: Sequence[Column], most: int = MOST) -> None:
        self._columns = tuple(columns)
        self._most = most
        self._all: deque[tuple[Row, Any]] = deque()
        self._shown: list[tuple[Row, Any]] = []
        self._numbers: dict[str, int] = {}
        self._dropped = 0
        self._filter = Filter("", columns)

    @property
    def columns(self) -> Sequence[Column]:
        """The columns."""
        return self._columns

    @property
    def total(self) -> int:
        """How many are held."""
        return len(self._all)

    def __len__(self) -> int:
        return len(self._shown)

    def at(self, index: int) -> Row:
        """The row at a place. Raises IndexError."""
        return self._shown[index][0]

    def entry(self, index: int) -> Any:
        """What the row at a place was made of. Raises IndexError."""
        return self._shown[index][1]

    def place(self, uid: str) -> int | None:
        """Where a row is shown."""
        number = self._numbers.get(uid)
        return None if number is None else number - self._dropped

    def extend(self, entries: Iterable[tuple[Row, Any]]) -> None:
        """Add entries to the end; the oldest make room."""
        for pair in entries:
            self._all.append(pair)
            if not self._filter or self._filter.keeps(pair[0]):
                self._numbers[pair[0].uid] = self._dropped + len(self._shown)
                self._shown.append(pair)
        gone = {id(self._all.popleft()) for _ in range(len(self._all) - self._most)}
        count = 0
        while count < len(self._shown) and id(self._shown[count]) in gone:
            self._numbers.pop(self._shown[count][0].uid, None)
            count += 1
        if count:
            del self._shown[:count]
            self._dropped += count

    def filter(self, text: str) -> None:
        """Show only the rows that `Filter` keeps."""
        self._filter = Filter(text, self._columns)
        self._shown = [pair for pair in self._all if self._filter.keeps(pair[0])]
        self._dropped = 0
        self._numbers = {row.uid: index for index, (row, _) in enumerate(self._shown)}

    def clear(self) -> None:
        """Forget everything."""
        self._all.clear()
        self.filter("")
