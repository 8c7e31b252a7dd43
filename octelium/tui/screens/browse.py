"""The resources of a kind, as they change."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from octelium.tui import templates
from octelium.tui.actions import by_id
from octelium.tui.failures import told_error
from octelium.tui.inert import cell
from octelium.tui.lines import Tone
from octelium.tui.rows import Rows
from octelium.tui.screens.area import Area
from octelium.tui.table import Table

if TYPE_CHECKING:
    from octelium.tui.actions import Place
    from octelium.tui.app import Terminal
    from octelium.tui.data import Update
    from octelium.tui.feeds import Feed
    from octelium.tui.kinds import View
    from octelium.tui.rows import Row

LOADING = "reading…"
UNKNOWN = "\N{EN DASH}"
"""A number that is not known."""
AWAY = "The Cluster does not answer. It is asked until it does."
TICK = 0.1
"""Seconds between two looks at what came."""


def _valued(screen: Browse) -> bool:
    return screen.view.kind is not None and screen.view.kind.has_data


class Browse(Area):
    """One view's table."""

    def __init__(self, view: View, base: Place, app: Terminal) -> None:
        self.model = Rows(view.columns)
        self.table = Table(self.model, app.now)
        super().__init__(base, self.table)
        self.view = view
        self.table.mark = (0, False)
        self.table.empty = LOADING
        self.filter_text = ""
        self._data = app.data
        self._feed: Feed[Update] | None = None
        self._complete = False
        self._has_come = False
        """Whether anything was read yet."""
        self._told = ""

    def place(self) -> Place:
        """With the selected row."""
        return replace(self.base, has_row=self.table.selected is not None)

    def row(self) -> Row | None:
        """The selected row."""
        return self.table.selected

    def copied(self) -> tuple[str, str]:
        """The name of the selected row."""
        row = self.row()
        return ("the name", row.name) if row is not None else ("", "")

    def heading(self) -> str:
        """The view, how many rows, and the filter."""
        count = str(len(self.model)) if self._has_come else UNKNOWN
        if len(self.model) != self.model.total:
            count = f"{len(self.model)} of {self.model.total}"
        more = "" if self._complete or not self.model.total else "+"
        chosen = f"  /{self.filter_text}" if self.filter_text else ""
        return f"{self.view.title} {count}{more}{chosen}"

    def on_mount(self) -> None:
        """Begin to read."""
        super().on_mount()
        self.refresh_data()
        self.set_interval(TICK, self.take)
        self.set_interval(1.0, self.table.refresh)

    def on_unmount(self) -> None:
        """Stop to read."""
        if self._feed is not None:
            self._feed.stop()

    def refresh_data(self) -> None:
        """Read anew."""
        if self._feed is not None:
            self._feed.stop()
        self._told = ""
        self._feed = self._data.rows(self.view)

    def take(self) -> None:
        """Draw what came."""
        feed = self._feed
        if feed is None:
            return
        problem = feed.problem  # looked at first, told last: with it all has come that will
        updates = feed.take()
        rows: dict[str, Row] = {}
        removed: dict[str, None] = {}
        for update in updates:
            if update.whole:
                self._has_come = True
                rows, removed = {}, {}
                self._complete = update.complete
                self.model.replace(update.rows)
                continue
            for row in update.rows:
                rows[row.uid] = row
                removed.pop(row.uid, None)
            for uid in update.removed:
                removed[uid] = None
                rows.pop(uid, None)
        if rows or removed:
            self.model.change(rows.values(), removed)
        if updates:
            self.table.empty = self._empty()
            self.table.changed()
            self.update_bars()
        if feed.notice != self._told:
            self._told = feed.notice
            self.tell(feed.notice, Tone.WARN)
            if not self._has_come:
                self.table.empty = AWAY
                self.table.refresh()
        if problem is not None:
            feed.problem = None
            self.table.empty = cell(told_error(problem))
            self.table.refresh()
            self.app.tell_error(problem)

    def show_new(self, row: Row) -> None:
        """Select what was just made, before its row comes; a filter that would hide it ends."""
        self.model.change([row], ())
        if self.model.place(row.uid) is None:
            self.filter("")
        self.table.changed()
        self.table.choose(row.uid)
        self.update_bars()

    def _empty(self) -> str:
        """That there is nothing to show, and what to do."""
        if self.filter_text and self.model.total:
            return "Nothing fits the filter: esc ends it."
        text = f"There are no {self.view.title.lower()}."
        place = self.place()
        if by_id("create").offered(place) and (templates.has_template(place.kind) or _valued(self)):
            return f"{text} n makes one."
        return f"{text} {self.view.empty}".rstrip()

    def filter(self, text: str) -> None:
        """Show only some rows."""
        self.filter_text = text
        self.model.filter(text)
        if self.table.empty != LOADING:
            self.table.empty = self._empty()
        self.table.changed()
        self.update_bars()

    def sort(self, *, step: int = 0, flip: bool = False) -> None:
        """Sort by the column that is `step` further on, or the other way round."""
        column = (self.model.sorted_by + step) % len(self.model.columns)
        reverse = not self.model.reverse if flip else False
        self.model.sort(column, reverse=reverse)
        self.table.mark = (column, reverse)
        self.table.changed()
        way = "falling" if reverse else "rising"
        self.tell(f"Sorted by {self.model.columns[column].title}, {way}.", Tone.DIM)

    def on_table_moved(self) -> None:
        """Other actions may be possible."""
        self.update_bars()

    def on_table_chosen(self) -> None:
        """Open what was clicked."""
        self.app.open_row()
