"""The one table: whatever it shows, only the rows that are seen are drawn."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from octelium.tui import look
from octelium.tui.inert import fitted, shortened
from octelium.tui.layout import GAP, layout
from octelium.tui.rows import Form, shown
from octelium.tui.scrolling import Scrolling

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.style import Style
    from textual import events
    from textual.geometry import Region

    from octelium.tui.rows import Model, Row

_RIGHT = (Form.NUMBER, Form.PORT)
"""Forms that stand on the right."""
_EDGE = 2
"""Columns on the left that mark the selected row, so that colour is not all that does."""


class Table(Scrolling, Widget, can_focus=True):
    """Rows of a model under a header, one of them selected.

    `follows`: the last row stays selected as rows are added. `now` gives Unix seconds.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = set(look.COMPONENTS)
    DEFAULT_CSS = "Table { height: 1fr; width: 1fr; }" + look.tones("Table")

    class Moved(Message):
        """Another row is selected, or none."""

    class Chosen(Message):
        """A row was opened with the mouse."""

    def __init__(self, model: Model, now: Callable[[], float]) -> None:
        super().__init__()
        self.model = model
        self.follows = False
        self.top = 0
        self.cursor = 0
        self.empty = ""
        self.mark: tuple[int, bool] | None = None
        """Index of the column that rows are sorted by, and whether in reverse."""
        self._uid = ""
        self._now = now
        self._wanted = [0] * len(model.columns)
        self._layout: list[tuple[int, int]] = []

    @property
    def selected(self) -> Row | None:
        """The selected row."""
        return self.model.at(self.cursor) if self.cursor < len(self.model) else None

    @property
    def _height(self) -> int:
        return max(1, self.size.height - 1)

    def changed(self) -> None:
        """Draw what the model holds now. The same row stays selected, where it stood."""
        count = len(self.model)
        place = self.model.place(self._uid) if self._uid else None
        if self.follows:
            self._select(count - 1)
        elif place is not None:
            self.top += place - self.cursor
            self._select(place)
        else:
            self._select(min(self.cursor, count - 1))
        self.refresh()

    def choose(self, uid: str) -> None:
        """Select the row of a uid, if it is there."""
        place = self.model.place(uid)
        if place is not None:
            self.follows = False
            self._select(place)
        self.refresh()

    def move(self, by: int) -> None:
        """Select the row that is `by` rows further down."""
        last = len(self.model) - 1
        if by < 0:
            self.follows = False
        self._select(max(0, min(last, self.cursor + by)))
        self.refresh()

    def _select(self, index: int) -> None:
        before = self._uid
        self.cursor = max(0, index)
        row = self.selected
        self._uid = row.uid if row is not None else ""
        lowest = max(0, len(self.model) - self._height)
        self.top = min(self.top, self.cursor, lowest)
        self.top = max(self.top, self.cursor - self._height + 1, 0)
        if self._uid != before and self.is_attached:
            self.post_message(self.Moved())

    # --- drawing

    def render_lines(self, crop: Region) -> list[Strip]:
        """The rows that are seen, in columns that are wide enough for them."""
        self._measure()
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        """The header, or one row."""
        if y == 0:
            return self._header()
        index = self.top + y - 1
        plain = self.get_component_rich_style("tone--plain")
        if index >= len(self.model):
            dim = self.get_component_rich_style("tone--dim")
            told = [] if len(self.model) else wrap(self.empty, max(10, self.size.width - 4))
            text = told[y - 2] if 2 <= y < len(told) + 2 else ""
            return self._strip(f"  {text}", dim)
        row = self.model.at(index)
        is_selected = index == self.cursor
        name = "cursor" if is_selected else look.CLASSES[row.tone]
        style = self.get_component_rich_style(name) if name != "tone--plain" else plain
        return self._strip(self._text(row, is_selected=is_selected), style)

    def _text(self, row: Row, *, is_selected: bool) -> str:
        now = self._now()
        cells = []
        for index, width in self._layout:
            column, value = self.model.columns[index], row.values[index]
            text = shown(column, value, now)
            is_right = column.form in _RIGHT and len(text) < width
            fit = shortened if column.is_name else fitted
            cells.append(text.rjust(width) if is_right else fit(text, width))
        return ("▌ " if is_selected else "  ") + (" " * GAP).join(cells)

    def _header(self) -> Strip:
        cells = []
        for index, width in self._layout:
            title = self.model.columns[index].title
            if self.mark is not None and index == self.mark[0]:
                title = f"{title[: max(1, width - 1)]}{'▼' if self.mark[1] else '▲'}"
            is_right = self.model.columns[index].form in _RIGHT
            cells.append(title.rjust(width)[:width] if is_right else fitted(title, width))
        style = self.get_component_rich_style("tone--heading")
        return self._strip(" " * _EDGE + (" " * GAP).join(cells), style)

    def _strip(self, text: str, style: Style) -> Strip:
        return Strip([Segment(text, style)]).adjust_cell_length(self.size.width, style)

    def _measure(self) -> None:
        """Widths only grow, so that columns do not jump while one reads."""
        now = self._now()
        if not len(self.model):
            titles = [len(column.title) for column in self.model.columns]
            if self.mark is not None:
                titles[self.mark[0]] += 1
            self._layout = layout(self.model.columns, titles, self.size.width - _EDGE - 1)
            return
        for index in range(self.top, min(self.top + self._height, len(self.model))):
            row = self.model.at(index)
            for place, value in enumerate(row.values):
                if value == "":
                    continue
                text = shown(self.model.columns[place], value, now)
                wide = cell_len(text)
                if self.mark is not None and self.mark[0] == place:
                    wide = max(wide, len(self.model.columns[place].title) + 1)
                self._wanted[place] = max(self._wanted[place], wide)
        self._layout = layout(self.model.columns, self._wanted, self.size.width - _EDGE - 1)

    # --- keys and mouse

    def on_resize(self) -> None:
        """Keep the selected row in sight."""
        self._select(self.cursor)

    def page(self) -> int:
        """Rows of a page."""
        return self._height - 1

    def on_click(self, event: events.Click) -> None:
        """Select a row; a second click opens it."""
        index = self.top + event.y - 1
        if event.y < 1 or index >= len(self.model):
            return
        if event.chain > 1:
            self.post_message(self.Chosen())
            return
        self.follows = False
        self._select(index)
        self.refresh()
