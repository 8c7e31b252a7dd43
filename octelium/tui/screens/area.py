"""What every screen has: the bars, and its place for the registry of actions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.containers import Vertical
from textual.screen import Screen

from octelium.tui.actions import by_key
from octelium.tui.bars import Keys, Notice, Title
from octelium.tui.lines import Tone

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from octelium.tui.actions import Place
    from octelium.tui.app import Terminal
    from octelium.tui.pager import Pager
    from octelium.tui.rows import Row
    from octelium.tui.table import Table


class Area(Screen[None]):
    """A screen with a title, a body, a line for notices and the keys."""

    app: Terminal
    title_text = ""

    def __init__(self, base: Place, body: Pager | Table) -> None:
        super().__init__()
        self.base = base
        self.body = body
        self.bar = Title()
        self.notice = Notice()
        self.keys = Keys()
        self.is_ready = False

    def place(self) -> Place:
        """Where one is, for the registry."""
        return self.base

    def row(self) -> Row | None:
        """The selected row, if there is one."""
        return None

    def copied(self) -> tuple[str, str]:
        """What is copied here: what that is, and the text; empty if there is nothing."""
        return "", ""

    def refresh_data(self) -> None:
        """Read again what is shown."""

    def compose(self) -> ComposeResult:
        """The bars around the body."""
        yield self.bar
        with Vertical():
            yield self.body
        yield self.notice
        yield self.keys

    def on_mount(self) -> None:
        """Draw the bars; take keys once all is drawn."""
        self.body.focus()
        self.update_bars()
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        self.is_ready = True
        self.app.call_next(self.app.keyboard.go_on)

    def on_screen_resume(self) -> None:
        """Draw the bars as things are now: what lay above may have changed them."""
        if self.is_ready:
            self.update_bars()

    def take_key(self, key: str, character: str | None) -> None:
        """Move, or do what a key means here, if it means something."""
        if self.app.holds(key) or self.body.take_key(key):
            return
        action = by_key(key if len(key) > 1 or not character else character, self.place())
        if action is not None:
            action.do(self.app)

    def take_text(self, text: str) -> None:
        """A text that was pasted means nothing here."""

    def update_bars(self) -> None:
        """Draw the bars anew."""
        self.bar.show(self.heading(), self.state())
        self.keys.show(self.place())

    def heading(self) -> str:
        """What stands on the left of the title."""
        return self.title_text

    def state(self) -> str:
        """What stands on the right of the title."""
        return self.app.state_text

    def tell(self, text: str, tone: Tone = Tone.PLAIN) -> None:
        """Say something in the line for notices."""
        self.notice.show(text, tone)
