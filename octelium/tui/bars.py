"""The lines around a view: where one is, what happened, and what can be done."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from textual.strip import Strip
from textual.widget import Widget

from octelium.tui import look
from octelium.tui.actions import key_name, offered
from octelium.tui.inert import cell, fitted
from octelium.tui.lines import Line, Tone
from octelium.tui.pager import folded

if TYPE_CHECKING:
    from textual.geometry import Size

    from octelium.tui.actions import Place


class Title(Widget):
    """The line on top: the Cluster, the view and its state."""

    COMPONENT_CLASSES: ClassVar[set[str]] = set(look.COMPONENTS)
    DEFAULT_CSS = "Title { height: 1; background: $panel; }" + look.tones("Title")
    left = ""
    right = ""

    def show(self, left: str, right: str) -> None:
        """Say where one is; texts are made inert."""
        shown = cell(left), cell(right)
        if shown != (self.left, self.right):
            self.left, self.right = shown
            self.refresh()

    def render_line(self, y: int) -> Strip:  # noqa: ARG002  (there is one)
        """The line."""
        width = self.size.width
        right = self.right[: max(0, width // 2)]
        left = fitted(f" {self.left}", max(0, width - cell_len(right) - 1))
        bold = self.get_component_rich_style("tone--heading")
        dim = self.get_component_rich_style("tone--plain")
        return Strip([Segment(left, bold), Segment(f"{right} ", dim)]).adjust_cell_length(width)


class Notice(Widget):
    """The line for what happened or went wrong; what is longer has more of them."""

    COMPONENT_CLASSES: ClassVar[set[str]] = set(look.COMPONENTS)
    DEFAULT_CSS = "Notice { height: auto; min-height: 1; max-height: 4; }" + look.tones("Notice")
    text = ""
    tone = Tone.PLAIN

    def show(self, text: str, tone: Tone = Tone.PLAIN) -> None:
        """Say something in place of what was said; it is made inert."""
        before = len(self._rows(self.size.width))
        self.text, self.tone = cell(text), tone
        self.refresh(layout=before != len(self._rows(self.size.width)))

    def _rows(self, width: int) -> list[Line]:
        return folded([Line(self.text, self.tone)], max(1, width - 2))

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002
        """How high the text is; Textual gives the arguments."""
        return len(self._rows(width))

    def render_line(self, y: int) -> Strip:
        """One line of it; the last says that there is more."""
        style = self.get_component_rich_style(look.CLASSES[self.tone])
        width, height = self.size
        rows = self._rows(width)
        text = f" {rows[y].text}" if y < len(rows) else ""
        if y == height - 1 < len(rows) - 1:
            text = f"{text} {rows[y + 1].text}"
        return Strip([Segment(fitted(text, max(0, width - 1)), style)]).adjust_cell_length(
            width, style
        )


class Keys(Widget):
    """The line at the bottom: the actions that are offered, made from the registry."""

    COMPONENT_CLASSES: ClassVar[set[str]] = set(look.COMPONENTS)
    DEFAULT_CSS = "Keys { height: 1; background: $panel; }" + look.tones("Keys")
    place: Place | None = None

    def show(self, place: Place) -> None:
        """Offer what can be done at a place."""
        if place != self.place:
            self.place = place
            self.refresh()

    def render_line(self, y: int) -> Strip:  # noqa: ARG002  (there is one)
        """The line; what does not fit is in the help."""
        width = self.size.width
        key_style = self.get_component_rich_style("key")
        style = self.get_component_rich_style("tone--plain")
        segments: list[Segment] = [Segment(" ", style)]
        used = 1
        actions = (
            [action for action in offered(self.place) if action.prominent] if self.place else []
        )
        # What is particular to the place goes first, what is known everywhere last.
        actions.sort(key=lambda action: action.group == "General")
        first = ("help", "close")
        ends = [action for action in actions if action.id in first]
        for action in [*ends, *(action for action in actions if action.id not in first)]:
            key = key_name(action.keys[0])
            need = cell_len(key) + 1 + cell_len(action.title) + 2
            if used + need > width + 2:
                continue
            segments += [Segment(key, key_style), Segment(f" {action.title}  ", style)]
            used += need
        return Strip(segments).adjust_cell_length(width, style)
