"""What every part of the application stands on: its keys, calls that take a while, and notices."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from textual import events
from textual.app import App

from octelium.tui.failures import EXPECTED, told_error
from octelium.tui.keyboard import Keyboard
from octelium.tui.lines import Line, Tone
from octelium.tui.screens.area import Area
from octelium.tui.screens.page import Page
from octelium.tui.screens.question import Question

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from textual.worker import Worker

    from octelium.tui.actions import Place
    from octelium.tui.data import Data
    from octelium.tui.kinds import View

_ASK, _KEEP = "ask", "keep"


@dataclass(slots=True, eq=False)
class _Asked:
    """A call that is under way. `holds`: keys wait for it; `changes`: it changes the Cluster."""

    doing: str
    holds: bool
    changes: bool
    worker: Worker[None] | None = None
    notice: str = ""
    """What a key was answered that had to wait."""

    @property
    def is_over(self) -> bool:
        """Whether it was given up, perhaps before it began."""
        worker = self.worker
        return worker is not None and (worker.is_cancelled or worker.is_finished)


class Working(App[None]):
    """The application without its actions."""

    ENABLE_COMMAND_PALETTE = False
    data: Data
    now: Callable[[], float]

    def __init__(self) -> None:
        super().__init__()
        self.keyboard = Keyboard(lambda: self.screen, self.leave)
        self._asked: list[_Asked] = []

    if TYPE_CHECKING:  # what the whole application adds

        @property
        def state_text(self) -> str:
            """What stands on the right of the title."""

        def place(self, screen: str, view: View | None = None) -> Place:
            """The place of a new screen."""

    @property
    def area(self) -> Area | None:
        """The screen that is not a question."""
        return next((s for s in reversed(self.screen_stack) if isinstance(s, Area)), None)

    @property
    def doing(self) -> str:
        """What is under way."""
        under_way = (one.doing for one in reversed(self._asked) if one.doing and not one.is_over)
        return next(under_way, "")

    # --- keys

    async def on_event(self, event: events.Event) -> None:
        """Take what is typed in order, by the screen on top at its turn; see `Keyboard`."""
        if isinstance(event, (events.Key, events.Paste)) and not event.is_forwarded:
            self.app_focus = True
            self.keyboard.take(event)
        else:
            await super().on_event(event)

    def leave(self) -> None:
        """End, or leave a question."""
        if isinstance(self.screen, Question):
            self.screen.give_up()
        else:
            self.stop()

    def stop(self) -> None:
        """End."""
        self.exit()

    def holds(self, key: str) -> bool:
        """Whether a key has to wait for what is under way; escape gives that up."""
        asked = next((one for one in self._asked if one.holds and not one.is_over), None)
        if asked is None:
            return False
        if key == "escape":
            self.give_up()
            if asked.changes:
                self.tell("Given up waiting. It may be done all the same: ^r reads.", Tone.WARN)
        else:
            asked.notice = f"Not yet: {asked.doing} (esc gives up)."
            self.tell(asked.notice, Tone.WARN)
        return True

    # --- work that takes a while

    def ask(
        self,
        call: Callable[[], Any],
        then: Callable[[Any], None],
        doing: str,
        *,
        keep: bool = False,
        holds: bool = False,
        changes: bool = False,
        failed: Callable[[Exception], None] | None = None,
    ) -> None:
        """Call in a thread, and go on with the result.

        `keep`: leaving the view does not end it. `holds`: keys that are typed meanwhile would be
        meant for what comes of it, and are not taken; so with what `changes` the Cluster.
        """
        asked = _Asked(doing, holds or changes, changes)

        async def work() -> None:
            self.redraw()
            try:
                result = await asyncio.to_thread(call)
            except EXPECTED as error:
                (failed or self.tell_error)(error)
            else:
                self._over(asked)
                then(result)
            finally:
                self._over(asked)
                self.redraw()

        self._asked = [*(one for one in self._asked if not one.is_over), asked]
        group = _KEEP if keep else _ASK
        asked.worker = self.run_worker(work, group=group, exclusive=not keep)

    def _over(self, asked: _Asked) -> None:
        if asked in self._asked:
            self._asked.remove(asked)
            area = self.area
            if area is not None and asked.notice and area.notice.text == asked.notice:
                area.tell("")

    def is_asking(self) -> bool:
        """Whether something is under way that can be given up."""
        return any(worker.group == _ASK and not worker.is_finished for worker in self.workers)

    def give_up(self) -> None:
        """Wait no more for what is under way."""
        self.workers.cancel_group(self, _ASK)
        self.tell("Given up.", Tone.DIM)

    # --- what is shown

    def redraw(self) -> None:
        """Draw the bars anew."""
        area = self.area
        if area is not None and area.is_mounted:
            area.update_bars()

    def tell(self, text: str, tone: Tone = Tone.PLAIN) -> None:
        """Say something in the line for notices."""
        area = self.area
        if area is not None:
            area.tell(text, tone)

    def tell_error(self, error: Exception) -> None:
        """Say what went wrong, and what to do."""
        self.tell(told_error(error), Tone.BAD)

    def question(self, question: Question[Any]) -> None:
        """Ask a person; what was under way for the view below would come in between."""
        self.workers.cancel_group(self, _ASK)
        self.push_screen(question)

    def show_page(
        self,
        title: str,
        lines: Sequence[Line],
        place: Place | None = None,
        *,
        copied: str = "",
        again: Callable[[], list[Line]] | None = None,
    ) -> None:
        """Show lines to read. `copied`: what is copied there, if it is not all.

        `again` tells the lines as they are later.
        """
        self.push_screen(
            Page(title, lines, place or self.place("page"), copied=copied, again=again)
        )

    def read(self, call: Callable[[], list[Line]], title: str, doing: str) -> None:
        """Show what a call tells."""
        self.ask(call, partial(self.show_page, title, again=call), doing)
