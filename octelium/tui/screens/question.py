"""What all questions over a view have in common.

A question gives its answer to `then`, None if there is none. It takes keys by itself, each at once,
so that what is typed after an answer goes where the answer leads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from textual.screen import ModalScreen

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.tui.app import Terminal

_T = TypeVar("_T")
_CSS = """
    {name} { align: center middle; background: $background 60%; }
    {name} > Vertical {
        width: 64; max-width: 96%; height: auto; max-height: 90%;
        background: $surface; border: round $primary; padding: 0 1;
    }
    {name} Pager { height: {rows}; }
    {name} Input { border: none; height: 1; padding: 0; background: $panel; }
"""


def style_sheet(name: str, rows: str = "auto") -> str:
    """The style sheet of the questions of a class; `rows`: how high their text is."""
    return _CSS.replace("{name}", name).replace("{rows}", rows)


class Question(ModalScreen[None], Generic[_T]):
    """A screen over another that wants one answer."""

    app: Terminal

    def __init__(self, then: Callable[[_T | None], None]) -> None:
        super().__init__()
        self.is_ready = False
        self._then = then

    def on_mount(self) -> None:
        """Take keys once it is drawn."""
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        self.is_ready = True
        self.app.call_next(self.app.keyboard.go_on)

    def answer(self, found: _T | None) -> None:
        """Close the question, and go on with its answer."""
        self.app.pop_screen()
        self._then(found)

    def give_up(self) -> None:
        """Close the question without an answer."""
        self.answer(None)

    def take_key(self, key: str, character: str | None) -> None:
        """Take one key."""
        raise NotImplementedError

    def take_text(self, text: str) -> None:
        """Take a text that was pasted: it is no answer, unless something is written."""
