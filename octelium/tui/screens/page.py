"""A page of lines: a description, an explanation, the help, a plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from octelium.tui.lines import Tone
from octelium.tui.pager import Pager
from octelium.tui.screens.area import Area

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
        copied: str = "",
        again: Callable[[], list[Line]] | None = None,
    ) -> None:
        self.pager = Pager(lines)
        super().__init__(base, self.pager)
        self.title_text = title
        self.plan = plan
        self.text = text
        self._copied = copied
        self._again = again
        self.pending: tuple[Kind, Any] | None = None
        """Kind and original of the resource that `text` is of."""

    def copied(self) -> tuple[str, str]:
        """What is meant to be copied here, or all."""
        if self._copied:
            return "it", self._copied
        return "the page", "\n".join(line.text for line in self.pager.lines)

    def refresh_data(self) -> None:
        """Read again what is shown, and stay where one is."""
        if self._again is not None:
            self.app.ask(self._again, self.pager.show, "reading")

    def search(self, text: str) -> None:
        """Show the first line from here on that has a text, and mark where it stands."""
        self._tell_found(text, self.pager.search(text))

    def search_on(self, step: int) -> None:
        """Show the next line that has the text (1), or the one before (-1)."""
        if self.pager.sought:
            self._tell_found(self.pager.sought, self.pager.search_on(step))
        else:
            self.tell("Nothing is searched for: / begins.", Tone.DIM)

    def _tell_found(self, text: str, found: tuple[int, int]) -> None:
        number, count = found
        if not text:
            self.tell("")
        elif not count:
            self.tell(f"/{text}: not on this page", Tone.WARN)
        else:
            self.tell(f"/{text}: line {number} of {count}      n next   N before   esc end")
