"""Lines to read: folded to the width, drawn where they are seen."""

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
    from collections.abc import Sequence



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


class Pager(Scrolling, Widget, can_focus=True):
    """Shows lines; moved by the arrow keys and the wheel."""

    COMPONENT_CLASSES: ClassVar[set[str]] = set(look.COMPONENTS)
    forward = ("pagedown", "space")
    DEFAULT_CSS = "Pager { height: 1fr; width: 1fr; }" + look.tones("Pager")

    def __init__(self, lines: Sequence[Line] = ()) -> None:
        super().__init__()
        self._lines = list(lines)
        self._rows: list[Line] = []
        self._width = -1
        self.top = 0

    @property
    def lines(self) -> Sequence[Line]:
        """What is shown."""
        return self._lines

    def show(self, lines: Sequence[Line]) -> None:
        """Show other lines, from the same place on."""
        self._lines = list(lines)
        self._width = -1
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One row."""
        rows = self._folded()
        width = self.size.width
        index = self.top + y
        if index >= len(rows):
            return Strip.blank(width, self.rich_style)
        line = rows[index]
        style = self.get_component_rich_style(look.CLASSES[line.tone])
        text = f" {line.text}"
        return Strip([Segment(text, style)]).adjust_cell_length(width, style)

    def _folded(self) -> list[Line]:
        width = self.size.width
        if width != self._width:
            self._width = width
            self._rows = folded(self._lines, width - 2)
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
