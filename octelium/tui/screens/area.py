"""What every screen has: the bars, and its place for the registry of actions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.containers import Vertical
from textual.screen import Screen

from octelium.tui.bars import Keys, Notice, Title
from octelium.tui.lines import Tone

if TYPE_CHECKING:
    from collections.abc import Iterable

    from textual.app import ComposeResult
    from textual.widget import Widget

    from octelium.tui.actions import Place
    from octelium.tui.rows import Row


class Area(Screen[None]):
    """A screen with a title, a body, a line for notices and the keys."""

    title_text = ""

    def __init__(self, base: Place) -> None:
        super().__init__()
        self.base = base
        self.bar = Title()
        self.notice = Notice()
        self.keys = Keys()

    def body(self) -> Iterable[Widget]:
        """What stands between the bars."""
        return ()

    def place(self) -> Place:
        """Where one is, for the registry."""
        return self.base

    def row(self) -> Row | None:
        """The selected row, if there is one."""
        return None

    def refresh_data(self) -> None:
        """Read again what is shown."""

    def compose(self) -> ComposeResult:
        """The bars around the body."""
        yield self.bar
        with Vertical():
            yield from self.body()
        yield self.notice
        yield self.keys

    def on_mount(self) -> None:
        """Draw the bars."""
        self.update_bars()

    def update_bars(self) -> None:
        """Draw the bars anew."""
        self.bar.show(self.heading(), self.state())
        self.keys.show(self.place())

    def heading(self) -> str:
        """What stands on the left of the title."""
        return self.title_text

    def state(self) -> str:
        """What stands on the right of the title."""
        return str(getattr(self.app, "state_text", ""))

    def tell(self, text: str, tone: Tone = Tone.PLAIN) -> None:
        """Say something in the line for notices."""
        self.notice.show(text, tone)
