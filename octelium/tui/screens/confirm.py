"""Questions that are agreed to, or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.containers import Vertical

from octelium.tui.lines import Line, Tone, told
from octelium.tui.pager import Pager
from octelium.tui.screens.question import Question, style_sheet

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import ComposeResult


class Confirm(Question[bool]):
    """A question that `y` agrees to; everything else does not.

    `n` is False, giving up None. While it `waits` for more to know, nothing agrees to it.
    """

    DEFAULT_CSS = (
        style_sheet("Confirm", "auto") + "Confirm Pager { min-height: 3; max-height: 16; }"
    )

    def __init__(
        self,
        question: str,
        then: Callable[[bool | None], None],
        detail: str = "",
        *,
        answers: str = "y  yes      esc  no",
        waits: str = "",
    ) -> None:
        super().__init__(then)
        self._question = question
        self._answers = answers
        self.waits = waits
        self.pager = Pager(self._lines(detail))

    def _lines(self, detail: str) -> list[Line]:
        lines = told(self._question, Tone.HEADING)
        lines += [Line(""), *told(detail)] if detail else []
        if self.waits:
            return [*lines, Line(""), *told(f"{self.waits}…      esc  no", Tone.DIM)]
        return [*lines, Line(""), Line(self._answers, Tone.ACCENT)]

    def compose(self) -> ComposeResult:
        """The question."""
        with Vertical():
            yield self.pager

    def know(self, detail: str) -> None:
        """Show what was waited for, and let one agree."""
        self.waits = ""
        self.pager.show(self._lines(detail))

    def take_key(self, key: str, character: str | None) -> None:  # noqa: ARG002  (as all do)
        """Take the answer."""
        if key in ("y", "Y") and not self.waits:
            self.answer(True)
        elif key in ("n", "N"):
            self.answer(False)
        elif key in ("escape", "q", "enter"):
            self.give_up()
        else:
            self.pager.take_key(key)
