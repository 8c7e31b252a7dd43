"""The application: keys become actions of the registry, and actions become screens."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from octelium.tui import actions, look
from octelium.tui.actions import ACTIONS, Place, key_name, offered, possible
from octelium.tui.changes import Changes
from octelium.tui.data import SYSTEM
from octelium.tui.drafts import Drafts
from octelium.tui.kinds import Views
from octelium.tui.lines import Line, Tone, section
from octelium.tui.screens.browse import Browse
from octelium.tui.screens.choose import Choose, Item
from octelium.tui.screens.confirm import Confirm
from octelium.tui.screens.journal import Log
from octelium.tui.screens.overview import Overview
from octelium.tui.screens.page import Page

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from textual.app import App

    from octelium.tui.data import Data
    from octelium.tui.kinds import View
    from octelium.tui.screens.area import Area

_LOGS = ("access", "authlog")
_MOST = 50
"""Views that one can go back to."""


class Terminal(Changes):
    """The interface to one Cluster.

    `edit_text` lets a person edit a text and returns it; `run_tests` runs tests of Policies, on the
    Cluster if the second argument is true; `environ` is what the terminal says of itself.
    """

    def __init__(
        self,
        data: Data,
        views: Sequence[View],
        *,
        readonly: bool = False,
        person: bool = False,
        light: bool = False,
        now: Callable[[], float] = time.time,
        edit_text: Callable[[App[None], str], str] | None = None,
        run_tests: Callable[[str, bool], list[Line]] | None = None,
        environ: Mapping[str, str] | None = None,
        drafts: Drafts | None = None,
    ) -> None:
        super().__init__()
        self.data = data
        self.views = Views(tuple(views))
        self.now = now
        self.edit_text = edit_text
        self.run_tests = run_tests
        self.environ = environ or {}
        self.drafts = drafts or Drafts()
        self._base = Place(readonly=readonly, person=person)
        self._light = light
        self._who = ""
        self._past: list[tuple[View, dict[str, str], str]] = []
        self._at = -1

    @property
    def state_text(self) -> str:
        """Who one is, where, and what is being done."""
        parts = [self.doing and f"{self.doing}…", "read-only" if self._base.readonly else ""]
        parts.append(f"{self._who}@{self.data.domain}" if self._who else self.data.domain)
        return " · ".join(part for part in parts if part)

    def on_mount(self) -> None:
        """Begin with the first view."""
        self.register_theme(look.DARK)
        self.register_theme(look.LIGHT)
        self.theme = look.LIGHT.name if self._light else look.DARK.name
        self.ask(self.data.whoami, self._know, "", keep=True)
        self.go(self.views.all[0])

    def _know(self, who: str) -> None:
        self._who = who
        self.redraw()

    # --- where one is

    def place(self, screen: str, view: View | None = None) -> Place:
        """The place of a new screen."""
        kind = view.kind if view is not None else None
        return replace(
            self._base,
            screen=screen,
            view=view.id if view is not None else "",
            kind=kind.name if kind is not None else "",
            can=self.data.can(kind),
        )

    def go(self, view: View, narrowed: dict[str, str] | None = None, text: str = "") -> None:
        """Show a view."""
        del self._past[self._at + 1 :]
        self._past = [*self._past, (view, narrowed or {}, text)][-_MOST:]
        self._at = len(self._past) - 1
        self._show_view()

    def _show_view(self) -> None:
        view, narrowed, text = self._past[self._at]
        self.workers.cancel_group(self, "ask")
        while len(self.screen_stack) > 2:
            self.pop_screen()
        screen: Area
        if view.id == "overview":
            screen = Overview(self.place("overview", view), self)
        elif view.id in _LOGS:
            screen = Log(view, self.place("log", view), self, narrowed)
        elif view.id == "status":
            screen = Page(view.title, [Line("…", Tone.DIM)], self.place("page", view))
            self.ask(self.data.status, screen.pager.show, "asking")
        else:
            screen = Browse(view, self.place("table", view), self)
        if len(self.screen_stack) > 1:
            self.switch_screen(screen)
        else:
            self.push_screen(screen)
        if text and isinstance(screen, (Browse, Log)):
            self.call_after_refresh(screen.filter, text)

    # --- actions: moving

    def back(self) -> None:
        """Close a page; else end what is being done, the filter, or go to the view before."""
        area = self.area
        if isinstance(area, Page) and area.pager.sought:
            area.search("")
        elif len(self.screen_stack) > 2:
            self.pop_screen()
            if isinstance(area, Page) and area.pending is not None:
                self.tell("The text is kept: edit goes on with it.", Tone.DIM)
        elif self.is_asking():
            self.give_up()
        elif isinstance(area, (Browse, Log)) and area.filter_text:
            area.filter("")
        elif self._at > 0:
            self._at -= 1
            self._show_view()

    def forward(self) -> None:
        """The view that one came back from."""
        if self._at < len(self._past) - 1:
            self._at += 1
            self._show_view()

    def stop(self) -> None:
        """End; ask first if a text that was written would be lost."""
        if not self.drafts.would_be_lost:
            self.exit()
            return

        def go_on(agreed: bool | None) -> None:
            if agreed:
                self.exit()

        detail = "Texts that were written and not applied are lost then."
        self.question(Confirm("Quit?", go_on, detail))

    def refresh_view(self) -> None:
        """Read again."""
        area = self.area
        if area is not None:
            area.refresh_data()
            self.tell("")

    def change_theme(self) -> None:
        """Light for dark, dark for light."""
        is_dark = self.theme == look.DARK.name
        self.theme = look.LIGHT.name if is_dark else look.DARK.name

    def show_help(self) -> None:
        """Every action, from the registry."""
        place = self.area.place() if self.area is not None else self._base
        here = {action.id for action in offered(place)}
        lines: list[Line] = []
        views = [(view.id, view.kind.name if view.kind else "") for view in self.views.all]
        known = [action for action in ACTIONS if possible(action, self._base, views)]
        for group in dict.fromkeys(action.group for action in known):
            lines += [Line("")] if lines else []
            lines.append(Line(group, Tone.HEADING))
            for action in known:
                if action.group == group:
                    keys = " ".join(dict.fromkeys(map(key_name, action.keys)))
                    tone = Tone.PLAIN if action.id in here else Tone.DIM
                    lines.append(Line(f"  {keys:<8} {action.title}", tone))
        moves = ["↑ ↓ j k   a row", "PgUp PgDn a page", "g G       first, last"]
        lines += section("Moving", moves)
        names = [f"{view.words[0]:<17} {' '.join(view.words[1:])}" for view in self.views.all]
        lines += section("Views, after :", names)
        lines += section("Filter", ["words, all of them; !word; column:word such as user:ann"])
        lines += [Line(""), Line("What is dim cannot be done here.", Tone.DIM)]
        self.show_page("Help", lines)

    def show_palette(self) -> None:
        """Every action that is offered, and every view, by name."""
        place = self.area.place() if self.area is not None else self._base
        items = [
            Item(f"action {action.id}", action.title, key_name(action.keys[0]))
            for action in offered(place)
            if action.id != "palette"
        ]
        items += [
            Item(f"view {v.id}", f"Go to {v.title}", ":" + v.id, v.words) for v in self.views.all
        ]
        self.question(Choose("What to do", items, self._do))

    def _do(self, chosen: tuple[str, str] | None) -> None:
        if chosen is None:
            return
        what, _, name = chosen[0].partition(" ")
        if what == "action":
            actions.by_id(name).do(self)
        else:
            self._go_to((name, ""))

    def ask_view(self) -> None:
        """Where to go."""
        items = [
            Item(view.id, view.title, " ".join(view.words), view.words) for view in self.views.all
        ]
        self.question(
            Choose("Which view; further words filter it", items, self._go_to, is_whole=False)
        )

    def _go_to(self, chosen: tuple[str, str] | None) -> None:
        if chosen is not None:
            view = next(view for view in self.views.all if view.id == chosen[0])
            self.go(view, text=chosen[1].removeprefix("/"))

    def show_log(self) -> None:
        """The access log of the selected resource."""
        area = self.area
        if isinstance(area, Browse) and (row := area.row()) is not None:
            view = self.views.find("access")
            if view is not None:
                # Of one resource everything is wanted.
                self.go(view, {area.base.kind.lower(): row.name, SYSTEM: ""})
