"""Questions over a view: yes or no, a text, one of many."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple

from rich.segment import Segment
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Input

from octelium.tui import look
from octelium.tui.inert import fitted
from octelium.tui.lines import Line, Tone, told
from octelium.tui.pager import Pager

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from textual import events
    from textual.app import ComposeResult

_CSS = """
    {name} { align: center middle; background: $background 60%; }
    {name} > Vertical {
        width: 64; max-width: 96%; height: auto; max-height: 90%;
        background: $surface; border: round $primary; padding: 0 1;
    }
    {name} Pager { height: {rows}; }
    {name} Input { border: none; height: 1; padding: 0; background: $panel; }
"""


def _css(name: str, rows: str = "auto") -> str:
    return _CSS.replace("{name}", name).replace("{rows}", rows)


class Confirm(ModalScreen[bool]):
    """A question that `y` agrees to; everything else does not."""

    DEFAULT_CSS = _css("Confirm", "6")

    def __init__(self, question: str, detail: str = "") -> None:
        super().__init__()
        lines = told(question, Tone.HEADING)
        lines += [Line(""), *told(detail)] if detail else []
        self.pager = Pager([*lines, Line(""), Line("y  yes      esc  no", Tone.ACCENT)])

    def compose(self) -> ComposeResult:
        """The question."""
        with Vertical():
            yield self.pager

    def on_key(self, event: events.Key) -> None:
        """Take the answer."""
        event.stop()
        if event.key in ("y", "Y"):
            self.dismiss(True)
        elif event.key in ("n", "N", "escape", "q", "ctrl+c", "enter"):
            self.dismiss(False)


async def early(box: Input, event: events.Key) -> None:
    """Take a key that was typed before the box had the focus: people are fast, and pipes faster."""
    if box.has_focus:
        return
    if event.key == "enter":
        event.stop()
        await box.action_submit()
    elif event.is_printable and event.character is not None:
        event.stop()
        box.insert_text_at_cursor(event.character)


class Ask(ModalScreen["str | None"]):
    """A question that is answered with a text; `hidden` ones are not echoed."""

    DEFAULT_CSS = _css("Ask", "2")

    def __init__(self, question: str, *, value: str = "", hidden: bool = False) -> None:
        super().__init__()
        lines = [*told(question, Tone.HEADING), Line("⏎ done      esc  give up", Tone.DIM)]
        self.pager = Pager(lines)
        self.pager.can_focus = False
        self.input = Input(value, password=hidden, compact=True)

    def compose(self) -> ComposeResult:
        """The question and where to answer."""
        with Vertical():
            yield self.pager
            yield self.input

    def on_mount(self) -> None:
        """Let one type."""
        self.input.focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take the answer."""
        event.stop()
        self.dismiss(event.value)

    async def on_key(self, event: events.Key) -> None:
        """Give up."""
        if event.key in ("escape", "ctrl+c"):
            event.stop()
            self.dismiss(None)
        else:
            await early(self.input, event)


class Narrow(ModalScreen["str | None"]):
    """A filter that is typed below the view, which follows each letter."""

    DEFAULT_CSS = """
    Narrow { align: left bottom; background: transparent; }
    Narrow Input { border: none; height: 1; padding: 0 1; background: $surface; }
    """

    def __init__(self, value: str, changed: Callable[[str], None]) -> None:
        super().__init__()
        self._changed = changed
        self._before = value
        hint = "words   !not   column:word"
        self.input = Input(value, placeholder=hint, select_on_focus=False, compact=True)

    def compose(self) -> ComposeResult:
        """Where to type."""
        yield self.input

    def on_mount(self) -> None:
        """Let one type."""
        self.input.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Show what fits."""
        event.stop()
        self._changed(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Keep the filter."""
        event.stop()
        self.dismiss(event.value)

    async def on_key(self, event: events.Key) -> None:
        """Give up: as it was before."""
        if event.key in ("escape", "ctrl+c"):
            event.stop()
            self._changed(self._before)
            self.dismiss(None)
        else:
            await early(self.input, event)


class Item(NamedTuple):
    """One of many: what is returned, what is shown, what it is found by besides."""

    id: str
    title: str
    hint: str = ""
    words: tuple[str, ...] = ()


def matching(items: Sequence[Item], text: str) -> list[Item]:
    """The items that a text means, the best first: its word, the beginning of one, a part."""
    word, _, _ = text.strip().lower().partition(" ")
    if not word:
        return list(items)
    ranks = []
    for index, item in enumerate(items):
        title = item.title.lower()
        if word in item.words:
            ranks.append((0, index))
        elif any(each.startswith(word) for each in (*item.words, title)):
            ranks.append((1, index))
        elif word in title or word in item.hint.lower():
            ranks.append((2, index))
    return [items[index] for _, index in sorted(ranks)]


class _Items(Widget):
    COMPONENT_CLASSES: ClassVar[set[str]] = set(look.COMPONENTS)
    DEFAULT_CSS = "_Items { height: 14; }" + look.tones("_Items")

    def __init__(self, items: Sequence[Item]) -> None:
        super().__init__()
        self.items = list(items)
        self.cursor = 0

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        top = max(0, self.cursor - self.size.height + 1)
        index = top + y
        plain = self.get_component_rich_style("tone--plain")
        if index >= len(self.items):
            text = " Nothing has that name." if not self.items and y == 0 else ""
            return Strip([Segment(text, plain)]).adjust_cell_length(width, plain)
        item = self.items[index]
        is_chosen = index == self.cursor
        style = self.get_component_rich_style("cursor") if is_chosen else plain
        hint = fitted(item.hint, min(len(item.hint), 24))
        left = fitted(("▌" if is_chosen else " ") + item.title, max(0, width - len(hint) - 1))
        return Strip([Segment(left + hint, style)]).adjust_cell_length(width, style)


class Choose(ModalScreen["tuple[str, str] | None"]):
    """One of many, by a few letters; returns its id and what was typed after the first word."""

    DEFAULT_CSS = _css("Choose", "1")

    def __init__(self, question: str, items: Sequence[Item]) -> None:
        super().__init__()
        self._all = list(items)
        self.input = Input(placeholder=question, compact=True)
        self.list = _Items(items)

    def compose(self) -> ComposeResult:
        """Where to type, and what fits."""
        with Vertical():
            yield self.input
            yield self.list

    def on_mount(self) -> None:
        """Let one type."""
        self.input.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Show what fits."""
        event.stop()
        self.list.items = matching(self._all, event.value)
        self.list.cursor = 0
        self.list.refresh()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take the chosen one."""
        event.stop()
        if not self.list.items:
            return
        rest = event.value.strip().partition(" ")[2].strip()
        self.dismiss((self.list.items[self.list.cursor].id, rest))

    async def on_key(self, event: events.Key) -> None:
        """Move, or give up."""
        if event.key in ("escape", "ctrl+c"):
            event.stop()
            self.dismiss(None)
        elif event.key in ("up", "down", "ctrl+p", "ctrl+n"):
            event.stop()
            by = 1 if event.key in ("down", "ctrl+n") else -1
            self.list.cursor = max(0, min(len(self.list.items) - 1, self.list.cursor + by))
            self.list.refresh()
        else:
            await early(self.input, event)
