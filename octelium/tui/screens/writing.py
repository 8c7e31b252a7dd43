"""Questions that are answered by writing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from textual.containers import Horizontal, Vertical
from textual.widgets import Input, Label

from octelium.tui.lines import Line, Tone, told
from octelium.tui.pager import Pager
from octelium.tui.screens.question import Question, style_sheet

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import ComposeResult

_T = TypeVar("_T")
_EDITS: Final[dict[str, Callable[[Input], None]]] = {
    "left": Input.action_cursor_left,
    "right": Input.action_cursor_right,
    "ctrl+left": Input.action_cursor_left_word,
    "ctrl+right": Input.action_cursor_right_word,
    "home": Input.action_home,
    "ctrl+a": Input.action_home,
    "end": Input.action_end,
    "ctrl+e": Input.action_end,
    "backspace": Input.action_delete_left,
    "delete": Input.action_delete_right,
    "ctrl+d": Input.action_delete_right,
    "ctrl+w": Input.action_delete_left_word,
    "ctrl+u": Input.action_delete_left_all,
    "ctrl+k": Input.action_delete_right_all,
}
"""The keys of a line in which one writes."""


def _insert(box: Input, text: str) -> None:
    box.replace(text, *box.selection)


class Writing(Question[_T]):
    """A question with a line in which one writes."""

    def __init__(
        self,
        then: Callable[[_T | None], None],
        value: str = "",
        placeholder: str = "",
        *,
        hidden: bool = False,
    ) -> None:
        super().__init__(then)
        self.input = Input(
            value, placeholder, password=hidden, compact=True, select_on_focus=False
        )  # fmt: skip

    def on_mount(self) -> None:
        """Show where one writes."""
        super().on_mount()
        self.input.focus()

    def take_key(self, key: str, character: str | None) -> None:
        """Write, be done, or give up."""
        if key == "escape":
            self.give_up()
        elif key == "enter":
            self.done(self.input.value)
        elif key in _EDITS:
            self._change(_EDITS[key])
        elif character is not None and character.isprintable():
            self._change(lambda box: _insert(box, character))

    def take_text(self, text: str) -> None:
        """Write what was pasted. A hidden text may have lines, one that is seen has no more than
        the first, without what cannot be seen.
        """
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        if text.count("\n") == 1 and text.endswith("\n"):
            text = text[:-1]
        if not self.input.password:
            text = "".join(filter(str.isprintable, text.partition("\n")[0]))
        self._change(lambda box: _insert(box, text))

    def _change(self, change: Callable[[Input], None]) -> None:
        before = self.input.value
        change(self.input)
        if self.input.value != before:
            self.written(self.input.value)

    def written(self, text: str) -> None:
        """The text is another."""

    def done(self, text: str) -> None:
        """Take the answer."""
        raise NotImplementedError


class Ask(Writing[str]):
    """A question that is answered with a text; `hidden` ones are not echoed."""

    DEFAULT_CSS = style_sheet("Ask", "2")

    def __init__(
        self,
        question: str,
        then: Callable[[str | None], None],
        *,
        value: str = "",
        hidden: bool = False,
    ) -> None:
        super().__init__(then, value, hidden=hidden)
        self._question = question
        self.pager = Pager(self._lines(""))
        self.pager.can_focus = False

    def _lines(self, text: str) -> list[Line]:
        how = "⏎ done      esc  give up"
        if "\n" in text:
            how += f"      {text.count(chr(10)) + 1} lines"
        return [*told(self._question, Tone.HEADING), Line(how, Tone.DIM)]

    def compose(self) -> ComposeResult:
        """The question and where to answer."""
        with Vertical():
            yield self.pager
            yield self.input

    def _begin(self) -> None:
        self.input.action_select_all()  # what is proposed gives way to what is typed
        super()._begin()

    def written(self, text: str) -> None:
        """Say how many lines there are, as they are not seen."""
        self.pager.show(self._lines(text))

    def done(self, text: str) -> None:
        """Take the answer."""
        self.answer(text)


class Narrow(Writing[str]):
    """A text that is typed below the view, which follows each letter by `changed`."""

    DEFAULT_CSS = """
    Narrow { align: left bottom; background: transparent; }
    Narrow > Horizontal { height: 1; background: $surface; }
    Narrow Label { width: 2; padding: 0 0 0 1; color: $accent; text-style: bold; }
    Narrow Input { border: none; height: 1; width: 1fr; padding: 0 1 0 0; background: $surface; }
    """

    def __init__(self, value: str, changed: Callable[[str], None], hint: str) -> None:
        super().__init__(lambda _found: None, value, hint)
        self._before = value
        self._changed = changed

    def compose(self) -> ComposeResult:
        """Where to type."""
        with Horizontal():
            yield Label("/")
            yield self.input

    def written(self, text: str) -> None:
        """Follow it."""
        self._changed(text)

    def done(self, text: str) -> None:
        """Keep it."""
        self.answer(text)

    def give_up(self) -> None:
        """As it was before."""
        self._changed(self._before)
        super().give_up()
