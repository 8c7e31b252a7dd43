"""Lines to read: folded to the width, searched, drawn where they are seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from textual.strip import Strip
from textual.widget import Widget

from octelium.tui import look
from octelium.tui.lines import Line
from octelium.tui.scrolling import Scrolling

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.style import Style
    from textual.geometry import Size


def folded(lines: Sequence[Line], width: int) -> list[Line]:
    """The lines in rows of at most `width` columns; what goes on stands where the line began."""
    rows: list[Line] = []
    for line in lines:
        if width < 8 or cell_len(line.text) <= width:
            rows.append(line)
            continue
        rest = line.text
        margin = " " * min(len(rest) - len(rest.lstrip(" ")), width // 2)
        while cell_len(rest) > width:
            part = set_cell_size(rest, width)
            if not rest.startswith(part):  # half of a wide character did not fit
                part = part[:-1]
            space = part.rstrip().rfind(" ")
            cut = space if space > len(margin) + width // 3 else len(part)
            rows.append(Line(rest[:cut].rstrip(), line.tone))
            rest = margin + rest[cut:].lstrip(" ")
        rows.append(Line(rest, line.tone))
    return rows


def parts(text: str, sought: str) -> Iterator[tuple[str, bool]]:
    """A text in pieces, and whether each is what is sought, in any case."""
    low = text.lower()
    begin = 0
    # Where lower case has another length, places do not agree.
    while sought and len(low) == len(text) and (found := low.find(sought, begin)) >= 0:
        end = found + len(sought)
        yield text[begin:found], False
        yield text[found:end], True
        begin = end
    yield text[begin:], False


class Pager(Scrolling, Widget, can_focus=True):
    """Shows lines; moved by the arrow keys and the wheel.

    `sought` is the text that is marked in them, in lower case.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = set(look.COMPONENTS)
    forward = ("pagedown", "space")
    DEFAULT_CSS = "Pager { height: 1fr; width: 1fr; }" + look.tones("Pager")

    def __init__(self, lines: Sequence[Line] = ()) -> None:
        super().__init__()
        self._lines = list(lines)
        self._rows: list[Line] = []
        self._firsts: list[int] = []
        """The first row of each line."""
        self._width = -1
        self._found: list[int] = []
        self._at = 0
        self.sought = ""
        self.top = 0

    @property
    def lines(self) -> Sequence[Line]:
        """What is shown."""
        return self._lines

    def show(self, lines: Sequence[Line]) -> None:
        """Show other lines, from the same place on."""
        is_as_high = len(lines) == len(self._lines)
        self._lines = list(lines)
        self._width = -1
        self.refresh(layout=not is_as_high and self.styles.is_auto_height)

    def search(self, text: str) -> tuple[int, int]:
        """Mark a text and show the first line from here on that has it, or else the first.

        Returns the number of that line among those that have it, and how many have it.
        """
        self.sought = text.lower()
        self._folded()
        has = (index for index, line in enumerate(self._lines) if self.sought in line.text.lower())
        self._found = list(has) if self.sought else []
        here = (i for i, line in enumerate(self._found) if self._firsts[line] >= self.top)
        self._at = next(here, 0)
        return self._show_found()

    def search_on(self, step: int) -> tuple[int, int]:
        """Show the line with the text that is `step` further on, and round again."""
        self._at = (self._at + step) % len(self._found) if self._found else 0
        return self._show_found()

    def _show_found(self) -> tuple[int, int]:
        if self._found:
            row = self._firsts[self._found[self._at]]
            if not self.top <= row < self.top + self.size.height:
                self.top = self._bounded(row - self.size.height // 3)
        self.refresh()
        return min(self._at + 1, len(self._found)), len(self._found)

    def render_line(self, y: int) -> Strip:
        """One row."""
        rows = self._folded()
        width = self.size.width
        index = self.top + y
        if index >= len(rows):
            return Strip.blank(width, self.rich_style)
        line = rows[index]
        style = self.get_component_rich_style(look.CLASSES[line.tone])
        return Strip(list(self._segments(line, style))).adjust_cell_length(width, style)

    def _segments(self, line: Line, style: Style) -> Iterator[Segment]:
        if not self.sought:
            yield Segment(f" {line.text}", style)
            return
        found = self.get_component_rich_style("found")
        yield Segment(" ", style)
        for text, is_sought in parts(line.text, self.sought):
            yield Segment(text, found if is_sought else style)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002
        """How high all lines are; Textual gives the arguments."""
        return len(folded(self._lines, width - 2))

    def _folded(self) -> list[Line]:
        width = self.size.width
        if width != self._width:
            self._width = width
            self._rows, self._firsts = [], []
            for line in self._lines:
                self._firsts.append(len(self._rows))
                self._rows += folded([line], width - 2)
            self.top = self._bounded(self.top)
        return self._rows

    def _bounded(self, top: int) -> int:
        return max(0, min(top, len(self._rows) - self.size.height))

    def move(self, by: int) -> None:
        """Show what is `by` rows further down."""
        self._folded()
        self.top = self._bounded(self.top + by)
        self.refresh()

    def page(self) -> int:
        """Rows of a page."""
        return self.size.height - 2
