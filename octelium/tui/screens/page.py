"""A page of lines: a description, an explanation, the help, a plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from octelium.tui.pager import Pager
from octelium.tui.screens.area import Area

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from textual.widget import Widget

    from octelium.schema.kinds import Kind
    from octelium.tui.actions import Place
    from octelium.tui.changing import Plan
    from octelium.tui.lines import Line


class Page(Area):
    """Lines to read. With a `plan`, they are what it would change; `text` is what was written."""

    def __init__(
        self,
        title: str,
        lines: Sequence[Line],
        base: Place,
        *,
        plan: Plan | None = None,
        text: str = "",
    ) -> None:
        super().__init__(base)
        self.title_text = title
        self.pager = Pager(lines)
        self.plan = plan
        self.text = text
        self.pending: tuple[Kind, Any] | None = None
        """Kind and original of the resource that `text` is of."""

    def body(self) -> Iterable[Widget]:
        """The lines."""
        yield self.pager

    def on_mount(self) -> None:
        """Let the keys move the lines."""
        super().on_mount()
        self.pager.focus()
