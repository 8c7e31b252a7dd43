"""The application: keys become actions of the registry, and actions become screens."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding

from octelium.client.errors import ClientError
from octelium.schema.errors import Invalid, InvalidDocuments
from octelium.tui import actions, look
from octelium.tui.actions import ACTIONS, Place, by_key, key_name, offered, possible
from octelium.tui.changes import Changes
from octelium.tui.data import SYSTEM
from octelium.tui.kinds import Views
from octelium.tui.lines import Line, Tone, section, told
from octelium.tui.screens.area import Area
from octelium.tui.screens.asking import Choose, Item, Narrow
from octelium.tui.screens.browse import Browse
from octelium.tui.screens.journal import Log
from octelium.tui.screens.overview import Overview
from octelium.tui.screens.page import Page

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from textual import events
    from textual.app import App
    from textual.binding import BindingType

    from octelium.tui.data import Data
    from octelium.tui.kinds import View

EXPECTED = (ClientError, Invalid, InvalidDocuments)
_LOGS = ("access", "authlog")
_MOST = 50
"""Views that one can go back to."""


class Terminal(Changes):
    """The interface to one Cluster.

    `edit_text` lets a person edit a text and returns it; `run_tests` runs tests of Policies.
    """

    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c", "leave", show=False, priority=True, system=True),
        Binding("ctrl+q", "leave", show=False, priority=True, system=True),
    ]

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
        run_tests: Callable[[str], list[Line]] | None = None,
    ) -> None:
        super().__init__()
        self.data = data
        self.views = Views(tuple(views))
        self.now = now
        self.edit_text = edit_text
        self.run_tests = run_tests
        self._base = Place(readonly=readonly, person=person)
        self._light = light
        self._who = ""
        self._doing = ""
        self._past: list[tuple[View, dict[str, str], str]] = []
        self._at = -1

    @property
    def state_text(self) -> str:
        """Who one is, where, and what is being done."""
        parts = [self._doing and f"{self._doing}…", "read-only" if self._base.readonly else ""]
        parts.append(f"{self._who}@{self.data.domain}" if self._who else self.data.domain)
        return " · ".join(part for part in parts if part)

    @property
    def area(self) -> Area | None:
        """The screen that is not a question."""
        return next((s for s in reversed(self.screen_stack) if isinstance(s, Area)), None)

    def on_mount(self) -> None:
        """Begin with the first view."""
        self.register_theme(look.DARK)
        self.register_theme(look.LIGHT)
        self.theme = look.LIGHT.name if self._light else look.DARK.name
        self.ask(self.data.whoami, self._know, "", keep=True)
        self.go(self.views.all[0])

    def _know(self, who: str) -> None:
        self._who = who
        self._redraw()

    def _redraw(self) -> None:
        area = self.area
        if area is not None and area.is_mounted:
            area.update_bars()

    # --- work that takes a while

    def ask(
        self,
        call: Callable[[], Any],
        then: Callable[[Any], None],
        doing: str,
        *,
        keep: bool = False,
    ) -> None:
        """Call in a thread, and go on with the result; `keep`: leaving the view does not end it."""

        async def work() -> None:
            self._doing = doing
            self._redraw()
            try:
                result = await asyncio.to_thread(call)
            except EXPECTED as error:
                self.tell_error(error)
            else:
                then(result)
            finally:
                self._doing = ""
                self._redraw()

        self.run_worker(work(), group="keep" if keep else "ask", exclusive=not keep)

    def tell(self, text: str, tone: Tone = Tone.PLAIN) -> None:
        """Say something in the line for notices."""
        area = self.area
        if area is not None:
            area.tell(text, tone)

    def tell_error(self, error: Exception) -> None:
        """Say what went wrong, and what to do."""
        if isinstance(error, InvalidDocuments):
            text = "; ".join(str(one) for one in error.errors)
        else:
            remedy = getattr(error, "remedy", "")
            text = str(error) if not remedy or remedy in str(error) else f"{error}: {remedy}"
        self.tell(text, Tone.BAD)

    # --- keys

    def on_key(self, event: events.Key) -> None:
        """Do what a key means here, if it means something."""
        if not isinstance(self.screen, Area):
            return
        key = event.key if len(event.key) > 1 or not event.character else event.character
        action = by_key(key, self.screen.place())
        if action is not None:
            event.stop()
            event.prevent_default()
            action.do(self)

    def action_leave(self) -> None:
        """End, or leave a question."""
        if isinstance(self.screen, Area):
            self.exit()
        else:
            self.screen.dismiss(None)

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

    def show_page(self, title: str, lines: Sequence[Line], place: Place | None = None) -> None:
        """Show lines to read."""
        self.push_screen(Page(title, lines, place or self.place("page")))

    # --- actions: moving

    def back(self) -> None:
        """Close a page; else end what is being done, the filter, or go to the view before."""
        area = self.area
        if len(self.screen_stack) > 2:
            self.pop_screen()
        elif self._doing and any(worker.group == "ask" for worker in self.workers):
            self.workers.cancel_group(self, "ask")
            self.tell("Given up.", Tone.DIM)
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
        """End."""
        self.exit()

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
        self.push_screen(Choose("What to do", items), self._do)

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
        self.push_screen(Choose("Which view; further words filter it", items), self._go_to)

    def _go_to(self, chosen: tuple[str, str] | None) -> None:
        if chosen is not None:
            view = next(view for view in self.views.all if view.id == chosen[0])
            self.go(view, text=chosen[1].removeprefix("/"))

    def ask_filter(self) -> None:
        """Which rows to show."""
        area = self.area
        if isinstance(area, (Browse, Log)):
            self.push_screen(Narrow(area.filter_text, area.filter))

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

    # --- actions: reading

    def open_row(self) -> None:
        """What is read of the selected row."""
        area = self.area
        if isinstance(area, Log) and area.view.id == "access":
            self.explain()
        else:
            self.describe()

    def _read(self, call: Callable[[], list[Line]], title: str, doing: str) -> None:
        self.ask(call, partial(self.show_page, title), doing)

    def describe(self) -> None:
        """The selected resource or entry with all that is known."""
        area = self.area
        if isinstance(area, Browse) and (row := area.row()) is not None:
            title = f"{area.view.title} / {row.name}"
            self._read(partial(self.data.describe, area.view, row.name), title, "reading")
        elif isinstance(area, Log) and (entry := area.entry()) is not None:
            from octelium.tui import reports

            message = entry if area.view.id == "authlog" else entry.log
            lines = reports.attempt(entry) if message is entry else reports.yaml(message)
            self.show_page(f"{area.view.title} / {entry.id}", lines)

    def show_yaml(self) -> None:
        """The selected resource as YAML."""
        area = self.area
        if isinstance(area, Browse) and (row := area.row()) is not None:
            title = f"{area.view.title} / {row.name} / YAML"
            self._read(partial(self.data.yaml, area.view, row.name), title, "reading")

    def explain(self) -> None:
        """Why the selected request was decided so."""
        area = self.area
        if isinstance(area, Log) and (entry := area.entry()) is not None:
            self._read(partial(self.data.explain, entry.id), f"Why? / {entry.id}", "explaining")

    def show_log(self) -> None:
        """The access log of the selected resource."""
        area = self.area
        if isinstance(area, Browse) and (row := area.row()) is not None:
            view = self.views.find("access")
            if view is not None:
                # Of one resource everything is wanted.
                self.go(view, {area.base.kind.lower(): row.name, SYSTEM: ""})

    def show_users(self) -> None:
        """What uses the selected resource."""
        area = self.area
        if isinstance(area, Browse) and (row := area.row()) is not None and area.view.kind:
            call = partial(self.data.used_by, area.view.kind, row.name)
            self._read(call, f"{area.view.title} / {row.name} / used by", "looking")

    def show_access(self) -> None:
        """Who may open the selected Service, or what the selected User may open."""
        area = self.area
        if isinstance(area, Browse) and (row := area.row()) is not None and area.view.kind:
            call = partial(self.data.access, area.view.kind, row.name)
            self._read(call, f"{area.view.title} / {row.name} / access", "deciding")

    def show_told(self, title: str, text: str, tone: Tone = Tone.PLAIN) -> None:
        """Show a text from elsewhere."""
        self.show_page(title, told(text, tone))
