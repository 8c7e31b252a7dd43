"""Texts of resources: written in an editor, checked, shown as what they change, and applied.

What was written is kept until it is applied, or replaced by a text of the same resource.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from octelium.client.errors import ApiError, ClientError
from octelium.tui import changing, templates
from octelium.tui.drafts import Draft, Drafts
from octelium.tui.failures import EXPECTED, reasons
from octelium.tui.lines import Line, Tone, told
from octelium.tui.reading import Reading
from octelium.tui.screens.browse import Browse
from octelium.tui.screens.confirm import Confirm
from octelium.tui.screens.page import Page

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import App

    from octelium.schema.kinds import Kind
    from octelium.tui.changing import Plan

_OVERTAKEN = (
    "Somebody else has changed it since this text was begun: what they wrote and the text lacks is "
    "taken away again."
)


class Texts(Reading):
    """What the application does with texts; `edit_text` lets a person edit one and returns it."""

    edit_text: Callable[[App[None], str], str] | None
    drafts: Drafts

    if TYPE_CHECKING:  # what the whole application adds

        def create_valued(self, kind: Kind) -> None:
            """Make a Secret or Config."""

    def done(self, text: str) -> None:
        """Say what was done."""
        self.tell(text, Tone.GOOD)

    def made(self, found: tuple[str, Any]) -> None:
        """Say what was done, and select the new resource: what is pressed next is meant for it."""
        text, item = found
        area = self.area
        if item is not None and isinstance(area, Browse):
            area.show_new(area.view.row(item))
        self.done(text)

    def with_made(self, call: Callable[[], str], kind: Kind, name: str) -> tuple[str, Any]:
        """Make a resource; what was done, and the resource if it can be read."""
        text = call()
        try:
            return text, self.data.get(kind, name)
        except EXPECTED:
            return text, None  # it is made all the same; its row comes with the others

    def edit(self) -> None:
        """Let the selected resource be edited."""
        if (selected := self.selected()) is not None:
            kind, name = selected
            begin = partial(self._begin, kind)
            self.ask(partial(self.data.get, kind, name), begin, "reading", holds=True)

    def create(self) -> None:
        """Let a new resource be written."""
        area = self.area
        if not isinstance(area, Browse) or area.view.kind is None:
            return
        kind = area.view.kind
        if kind.has_data:
            self.create_valued(kind)
        elif templates.has_template(kind.name):
            self._begin(kind, None)
        else:
            self.tell(f"There is no template of a {kind.name}.", Tone.WARN)

    def _begin(self, kind: Kind, original: Any) -> None:
        """Go on with the text that is kept, or begin one."""
        draft = None
        try:
            draft = self.drafts.find(kind.name, _name(original))
        except ClientError as error:
            self.tell_error(error)
        if draft is None:
            self._write(kind, original, _beginning(kind, original))
            return

        def go_on(agreed: bool | None) -> None:
            if agreed is not None:
                text = draft.text if agreed else _beginning(kind, original)
                begun = draft.version if agreed else _version(original)
                self._write(kind, original, text, begun)

        what = f"{kind.name} {draft.name}" if draft.name else f"a new {kind.name}"
        question = f"Go on with the text of {what} that was not applied?"
        answers = "y  go on      n  begin anew      esc  neither"
        self.question(Confirm(question, go_on, answers=answers))

    def _write(self, kind: Kind, original: Any, text: str, begun: str | None = None) -> None:
        """Let a text be edited, and plan what it says; `begun`: at which version it was."""
        if self.edit_text is None:
            self.tell("There is no editor here.", Tone.WARN)
            return
        name, version = _name(original), _version(original) if begun is None else begun
        try:
            edited = self.edit_text(self, text)
            self.keyboard.forget()
            if not changing.content(edited) or edited == _beginning(kind, original):
                if text != _beginning(kind, original):  # a text that was kept
                    self.drafts.drop(kind.name, name)
                self.tell("Nothing was changed.", Tone.DIM)
                return
            self._keep(Draft(kind.name, name, version, edited))
        except ClientError as error:
            self.tell_error(error)
            return
        self._plan(kind, original, edited, version)

    def _keep(self, draft: Draft) -> None:
        try:
            self.drafts.keep(draft)
        except ClientError as error:
            self.tell_error(error)

    def _plan(self, kind: Kind, original: Any, text: str, begun: str) -> None:
        def plan() -> Plan | Exception:
            try:
                return self.data.plan(kind, original, text)
            except EXPECTED as error:
                return error

        show = partial(self._planned, kind, original, text, begun)
        self.ask(plan, show, "checking", holds=True)

    def _planned(
        self, kind: Kind, original: Any, text: str, begun: str, found: Plan | Exception
    ) -> None:
        if isinstance(found, Exception):
            title = f"{kind.name} / refused, nothing was changed"
            lines = [*reasons(found), Line(""), *told(text, Tone.DIM)]
            page = Page(title, lines, self.place("refused"), text=text, copied=text)
        elif found.is_empty:
            self._forget(kind, original)
            self.tell("That changes nothing.", Tone.DIM)
            return
        else:
            what = "new" if original is None else "changes"
            title = f"{kind.name} {found.name} / {what}, not applied yet"
            lines = found.lines
            if begun != _version(original):
                lines = [*told(_OVERTAKEN, Tone.WARN), Line(""), *lines]
            page = Page(title, lines, self.place("plan"), plan=found, text=text, copied=text)
        page.pending = (kind, original)
        self.push_screen(page)

    def apply_plan(self) -> None:
        """Do what is shown."""
        page = self.area
        if isinstance(page, Page) and page.plan is not None:
            plan = page.plan
            call = partial(self.data.carry_out, plan)
            applied = partial(self._applied, page)
            if plan.original is None:
                made = partial(self.with_made, call, plan.kind, plan.name)
                self.ask(made, applied, "applying", changes=True)
            else:
                self.ask(lambda: (call(), None), applied, "applying", changes=True)

    def _applied(self, page: Page, found: tuple[str, Any]) -> None:
        if self.screen is page:
            self.pop_screen()
        if page.pending is not None:
            self._forget(*page.pending)
        self.made(found)

    def _forget(self, kind: Kind, original: Any) -> None:
        try:
            self.drafts.drop(kind.name, _name(original))
        except ClientError as error:
            self.tell_error(error)

    def preview_plan(self) -> None:
        """Whose access the plan changes."""
        page = self.area
        if isinstance(page, Page) and page.plan is not None:
            call = partial(self.data.preview, page.plan, max(40, self.size.width - 4))
            self.read(call, "Access that changes", "deciding")

    def edit_again(self) -> None:
        """Go on with the text that is shown, on what the resource is now."""
        page = self.area
        if not isinstance(page, Page) or page.pending is None:
            return
        kind, original = page.pending
        text = f"{page.text.rstrip()}\n"

        def go_on(present: Any) -> None:
            if self.screen is page:
                self.pop_screen()
            self._write(kind, present, text, _version(original))

        def gone(error: Exception) -> None:
            if isinstance(error, ApiError) and error.code == "NOT_FOUND":
                go_on(None)  # it is new then
            else:
                self.tell_error(error)

        if original is None:
            go_on(None)
            return
        read = partial(self.data.get, kind, _name(original))
        self.ask(read, go_on, "reading", holds=True, failed=gone)


def _name(original: Any) -> str:
    return str(original.metadata.name) if original is not None else ""


def _version(original: Any) -> str:
    return str(original.metadata.resource_version) if original is not None else ""


def _beginning(kind: Kind, original: Any) -> str:
    if original is not None:
        return changing.text_of_resource(original)
    return templates.template(kind.name) if templates.has_template(kind.name) else ""
