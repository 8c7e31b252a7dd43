"""Questions that are answered by one of many."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple

from rich.segment import Segment
from textual.containers import Vertical
from textual.strip import Strip
from textual.widget import Widget

from octelium.tui import look
from octelium.tui.inert import cell, fitted
from octelium.tui.screens.question import style_sheet
from octelium.tui.screens.writing import Writing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from textual.app import ComposeResult


class Item(NamedTuple):
    """One of many: what is returned, what is shown, what it is found by besides."""

    id: str
    title: str
    hint: str = ""
    words: tuple[str, ...] = ()


def matching(items: Sequence[Item], text: str, *, is_whole: bool = False) -> list[Item]:
    """The items that the first word of a text means, or with `is_whole` all of it, the best first:
    its word, the beginning of one, a part.
    """
    word = text.strip().lower()
    word = word if is_whole else word.partition(" ")[0]
    if not word:
        return list(items)
    ranks = []
    for index, item in enumerate(items):
        title = item.title.lower()
        if word in item.words or word == title:
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


class Choose(Writing["tuple[str, str]"]):
    """One of many, by a few letters; gives its id and what was typed after the first word, or
    nothing with `is_whole`.
    """

    DEFAULT_CSS = style_sheet("Choose", "1")

    def __init__(
        self,
        question: str,
        items: Sequence[Item],
        then: Callable[[tuple[str, str] | None], None],
        *,
        is_whole: bool = True,
    ) -> None:
        super().__init__(then, placeholder=question)
        self._is_whole = is_whole
        self._all = [item._replace(title=cell(item.title), hint=cell(item.hint)) for item in items]
        self.list = _Items(self._all)

    def compose(self) -> ComposeResult:
        """Where to type, and what fits."""
        with Vertical():
            yield self.input
            yield self.list

    def written(self, text: str) -> None:
        """Show what fits."""
        self.list.items = matching(self._all, text, is_whole=self._is_whole)
        self.list.cursor = 0
        self.list.refresh()

    def done(self, text: str) -> None:
        """Take the chosen one."""
        if self.list.items:
            rest = "" if self._is_whole else text.strip().partition(" ")[2].strip()
            self.answer((self.list.items[self.list.cursor].id, rest))

    def take_key(self, key: str, character: str | None) -> None:
        """Move, or write."""
        by = {"up": -1, "ctrl+p": -1, "down": 1, "ctrl+n": 1, "pageup": -13, "pagedown": 13}
        if key in by:
            self.list.cursor = max(0, min(len(self.list.items) - 1, self.list.cursor + by[key]))
            self.list.refresh()
        else:
            super().take_key(key, character)
