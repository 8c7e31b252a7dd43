"""The actions that read: what there is of a row, an entry or a page."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from octelium.schema.kinds import KINDS
from octelium.tui import clipboard, reports
from octelium.tui.lines import Tone
from octelium.tui.screens.browse import Browse
from octelium.tui.screens.choose import Choose, Item
from octelium.tui.screens.journal import Log
from octelium.tui.screens.page import Page
from octelium.tui.screens.writing import Ask, Narrow
from octelium.tui.working import Working

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from octelium.schema.kinds import Kind
    from octelium.tui.lines import Line

_FILTER = "words   !not   column:word"


class Reading(Working):
    """What the application shows of a Cluster; `environ` is the terminal's."""

    environ: Mapping[str, str]
    run_tests: Callable[[str, bool], list[Line]] | None

    def selected(self) -> tuple[Kind, str] | None:
        """Kind and name of the selected resource."""
        area = self.area
        if isinstance(area, Browse) and area.view.kind is not None:
            row = area.row()
            if row is not None:
                return area.view.kind, row.name
        return None

    # --- a list

    def ask_filter(self) -> None:
        """Which rows to show."""
        area = self.area
        if isinstance(area, (Browse, Log)):
            self.question(Narrow(area.filter_text, area.filter, _FILTER))

    def sort_next(self) -> None:
        """Sort by the next column."""
        if isinstance(self.area, Browse):
            self.area.sort(step=1)

    def sort_reverse(self) -> None:
        """Sort the other way round."""
        if isinstance(self.area, Browse):
            self.area.sort(flip=True)

    def follow(self) -> None:
        """Go with a log, or stand still."""
        if isinstance(self.area, Log):
            self.area.follow()

    def show_system(self) -> None:
        """Show requests to the Cluster's own Services, or leave them out."""
        if isinstance(self.area, Log):
            self.area.toggle_system()

    # --- a page

    def ask_search(self) -> None:
        """What to search for on a page."""
        area = self.area
        if isinstance(area, Page):
            self.question(Narrow(area.pager.sought, area.search, "text to search for"))

    def search_next(self) -> None:
        """The next line that has it."""
        if isinstance(self.area, Page):
            self.area.search_on(1)

    def search_before(self) -> None:
        """The line before that has it."""
        if isinstance(self.area, Page):
            self.area.search_on(-1)

    def copy(self) -> None:
        """Copy the name of a row or what a page is about, by the terminal."""
        area = self.area
        what, text = area.copied() if area is not None else ("", "")
        if not text:
            self.tell("There is nothing to copy.", Tone.DIM)
        elif problem := clipboard.obstacle(text, self.environ):
            self.tell(problem, Tone.WARN)
        else:
            self.copy_to_clipboard(text)
            self.tell(f"Copied {what}. {clipboard.remark(self.environ)}", Tone.GOOD)

    # --- a row

    def open_row(self) -> None:
        """What is read of the selected row."""
        area = self.area
        if isinstance(area, Log) and area.view.id == "access":
            self.explain()
        else:
            self.describe()

    def describe(self) -> None:
        """The selected resource or entry with all that is known."""
        area = self.area
        if isinstance(area, Browse) and (row := area.row()) is not None:
            title = f"{area.view.title} / {row.name}"
            self.read(partial(self.data.describe, area.view, row.name), title, "reading")
        elif isinstance(area, Log) and (entry := area.entry()) is not None:
            message = entry if area.view.id == "authlog" else entry.log
            lines = reports.attempt(entry) if message is entry else reports.yaml(message)
            self.show_page(f"{area.view.title} / {entry.id}", lines)

    def show_yaml(self) -> None:
        """The selected resource as YAML."""
        area = self.area
        if isinstance(area, Browse) and (row := area.row()) is not None:
            title = f"{area.view.title} / {row.name} / YAML"
            self.read(partial(self.data.yaml, area.view, row.name), title, "reading")

    def explain(self) -> None:
        """Why the selected request was decided so."""
        area = self.area
        if isinstance(area, Log) and (entry := area.entry()) is not None:
            self.read(partial(self.data.explain, entry.id), f"Why? / {entry.id}", "explaining")

    def show_users(self) -> None:
        """What uses the selected resource."""
        if (selected := self.selected()) is not None:
            kind, name = selected
            title = f"{kind.plural.capitalize()} / {name} / used by"
            self.read(partial(self.data.used_by, kind, name), title, "looking")

    # --- Policies

    def show_access(self) -> None:
        """Who may open the selected Service, or what the selected User may open; of a Policy, ask
        for which.
        """
        if (selected := self.selected()) is None:
            return
        kind, name = selected
        if kind.name == "Policy":
            self.ask(self.data.subjects, self._ask_subject, "looking whom to ask for", holds=True)
        else:
            self._show_access(kind.name, name)

    def _ask_subject(self, subjects: list[tuple[str, str]]) -> None:
        titles = {"Service": "Who may open", "User": "What may be opened by"}
        items = [Item(f"{kind} {name}", f"{titles[kind]} {name}", kind) for kind, name in subjects]

        def go_on(chosen: tuple[str, str] | None) -> None:
            if chosen is not None:
                kind, _, name = chosen[0].partition(" ")
                self._show_access(kind, name)

        self.question(Choose("Of which Service or User", items, go_on))

    def _show_access(self, kind: str, name: str) -> None:
        title = f"{KINDS[kind].plural.capitalize()} / {name} / access"
        self.read(partial(self.data.access, KINDS[kind], name), title, "deciding")

    def show_effect(self) -> None:
        """Whose access the selected Policy changes, compared with none."""
        if (selected := self.selected()) is not None:
            kind, name = selected
            call = partial(self.data.effect, kind, name, max(40, self.size.width - 4))
            self.read(call, f"{kind.plural.capitalize()} / {name} / effect", "deciding")

    def test_policies(self) -> None:
        """Run tests of Policies that stand in files of this computer, on the files alone."""
        self._test("Tests on files", is_live=False)

    def test_live(self) -> None:
        """Run tests of Policies that stand in files of this computer, on the Cluster."""
        self._test("Tests on the Cluster", is_live=True)

    def _test(self, what: str, *, is_live: bool) -> None:
        run_tests = self.run_tests
        if run_tests is None:
            self.tell("Tests cannot be run here.", Tone.WARN)
            return

        def go_on(path: str | None) -> None:
            if path:
                self.read(partial(run_tests, path, is_live), f"{what} / {path}", "testing")

        self.question(Ask(f"{what}: file or directory of *.test.yaml", go_on, value="."))
