"""A log, as it grows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from octelium.tui.data import SYSTEM
from octelium.tui.failures import told_error
from octelium.tui.inert import cell
from octelium.tui.journal import ACCESS, AUTHENTICATION, Journal
from octelium.tui.lines import Tone
from octelium.tui.screens.area import Area
from octelium.tui.screens.browse import AWAY, UNKNOWN
from octelium.tui.table import Table

if TYPE_CHECKING:
    from octelium.tui.actions import Place
    from octelium.tui.app import Terminal
    from octelium.tui.feeds import Feed
    from octelium.tui.kinds import View
    from octelium.tui.rows import Row

TICK = 0.25
"""Seconds between two looks at what came: faster than this nobody reads."""


class Log(Area):
    """One log's last entries; `narrowed` to those of one resource, if it says so."""

    def __init__(self, view: View, base: Place, app: Terminal, narrowed: dict[str, str]) -> None:
        self.model = Journal(ACCESS if view.id == "access" else AUTHENTICATION)
        self.table = Table(self.model, app.now)
        super().__init__(base, self.table)
        self.view = view
        self.narrowed = narrowed
        self.table.follows = True
        self.filter_text = ""
        self.table.empty = self._waiting()
        self._data = app.data
        self._feed: Feed[tuple[Row, Any]] | None = None
        self._told = ""
        self._lost = 0

    def place(self) -> Place:
        """With the selected entry."""
        return replace(self.base, has_row=self.table.selected is not None)

    def row(self) -> Row | None:
        """The selected entry."""
        return self.table.selected

    def copied(self) -> tuple[str, str]:
        """The id of the selected entry."""
        entry = self.entry()
        return ("the id", entry.id) if entry is not None else ("", "")

    def entry(self) -> Any:
        """What the selected row was made of."""
        return self.model.entry(self.table.cursor) if self.table.selected is not None else None

    def heading(self) -> str:
        """The log, what it is narrowed to, how many entries."""
        of = "".join(f" of {key} {value}" for key, value in self.narrowed.items() if value)
        answered = self._feed is not None and self._feed.has_answered
        count = str(len(self.model)) if answered else UNKNOWN
        if self.filter_text:
            count = f"{len(self.model)} of {self.model.total}  /{self.filter_text}"
        if SYSTEM not in self.narrowed and self.view.id == "access":
            count += " (without system)"
        return f"{self.view.title}{of} {count}"

    def state(self) -> str:
        """Whether it follows."""
        return f"{'following' if self.table.follows else 'standing still'} · {super().state()}"

    def on_mount(self) -> None:
        """Begin to read."""
        super().on_mount()
        self.refresh_data()
        self.set_interval(TICK, self.take)

    def on_unmount(self) -> None:
        """Stop to read."""
        if self._feed is not None:
            self._feed.stop()

    def refresh_data(self) -> None:
        """Read anew."""
        if self._feed is not None:
            self._feed.stop()
        self.model.clear()
        self.filter(self.filter_text)
        self._feed = self._data.log(self.view, self.narrowed)

    def take(self) -> None:
        """Draw what came."""
        feed = self._feed
        if feed is None:
            return
        problem = feed.problem  # looked at first, told last: with it all has come that will
        entries = feed.take()
        if entries:
            self.model.extend(entries)
            self.table.changed()
        if feed.lost != self._lost:
            self._lost = feed.lost
            self.tell(f"{feed.lost} entries came too fast to be shown.", Tone.WARN)
        if feed.notice != self._told:
            self._told = feed.notice
            self.tell(feed.notice, Tone.WARN)
            self.table.empty = self._waiting() if feed.has_answered else AWAY
            self.table.refresh()
        if problem is not None:
            feed.problem = None
            self.table.empty = cell(told_error(problem))
            self.table.refresh()
            self.app.tell_error(problem)
        self.update_bars()

    def filter(self, text: str) -> None:
        """Show only some entries."""
        self.filter_text = text
        self.model.filter(text)
        self.table.empty = self._waiting()
        self.table.changed()
        self.update_bars()

    def _waiting(self) -> str:
        if self.filter_text and self.model.total:
            return "Nothing fits the filter: esc ends it."
        if self.view.id == "access" and SYSTEM not in self.narrowed:
            return "Waiting for requests… s shows those to the Cluster itself, too."
        return "Waiting for entries…"

    def follow(self) -> None:
        """Go with the newest entry, or stand still."""
        self.table.follows = not self.table.follows
        self.table.changed()
        self.update_bars()

    def toggle_system(self) -> None:
        """Show requests to the Cluster's own Services, or leave them out."""
        if SYSTEM in self.narrowed:
            del self.narrowed[SYSTEM]
        else:
            self.narrowed[SYSTEM] = ""
        self.refresh_data()

    def on_table_moved(self) -> None:
        """Other actions may be possible."""
        self.update_bars()

    def on_table_chosen(self) -> None:
        """Open what was clicked."""
        self.app.open_row()
