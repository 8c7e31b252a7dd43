"""The actions that change a Cluster: each is shown, or asked about, before it happens."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from textual.app import App

from octelium.client.errors import ClientError
from octelium.client.relations import REFERRED
from octelium.schema.errors import Invalid, InvalidDocuments
from octelium.tui import changing, templates
from octelium.tui.lines import Line, Tone, told
from octelium.tui.pictures import invitation
from octelium.tui.screens.asking import Ask, Confirm
from octelium.tui.screens.browse import Browse
from octelium.tui.screens.page import Page

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from octelium.schema.kinds import Kind
    from octelium.tui.actions import Place
    from octelium.tui.changing import Plan
    from octelium.tui.data import Data, Invited
    from octelium.tui.screens.area import Area

_USERS: Final = 6
"""Lines of who uses a resource that stand in a question."""
_REFUSED = (ClientError, Invalid, InvalidDocuments)


class Changes(App[None]):
    """What the application does to a Cluster; the base of `octelium.tui.app.Terminal`."""

    data: Data
    now: Callable[[], float]
    edit_text: Callable[[App[None], str], str] | None
    run_tests: Callable[[str], list[Line]] | None

    if TYPE_CHECKING:  # what the application adds

        @property
        def area(self) -> Area | None:
            """The screen that is not a question."""

        def ask(self, call: Callable[[], Any], then: Callable[[Any], None], doing: str) -> None:
            """Call in a thread, and go on with the result."""

        def tell(self, text: str, tone: Tone = Tone.PLAIN) -> None:
            """Say something."""

        def tell_error(self, error: Exception) -> None:
            """Say what went wrong."""

        def place(self, screen: str) -> Place:
            """The place of a new screen."""

        def show_page(self, title: str, lines: Sequence[Line]) -> None:
            """Show lines to read."""

    def _selected(self) -> tuple[Kind, str] | None:
        area = self.area
        if isinstance(area, Browse) and area.view.kind is not None:
            row = area.row()
            if row is not None:
                return area.view.kind, row.name
        return None

    def _done(self, text: str) -> None:
        self.tell(text, Tone.GOOD)

    # --- texts: new ones and those of resources

    def edit(self) -> None:
        """Let the selected resource be edited."""
        if (selected := self._selected()) is not None:
            kind, name = selected
            begin = partial(self._begin_edit, kind)
            self.ask(partial(self.data.get, kind, name), begin, "reading")

    def _begin_edit(self, kind: Kind, original: Any) -> None:
        self._write(kind, original, changing.text_of_resource(original))

    def create(self) -> None:
        """Let a new resource be written."""
        area = self.area
        if not isinstance(area, Browse) or area.view.kind is None:
            return
        kind = area.view.kind
        if kind.has_data:
            self.push_screen(Ask(f"Name of the new {kind.name}"), partial(self._named, kind))
        elif templates.has_template(kind.name):
            self._write(kind, None, templates.template(kind.name))
        else:
            self.tell(f"There is no template of a {kind.name}.", Tone.WARN)

    def _write(self, kind: Kind, original: Any, text: str) -> None:
        """Let a text be edited, and plan what it says."""
        if self.edit_text is None:
            self.tell("There is no editor here.", Tone.WARN)
            return
        try:
            edited = self.edit_text(self, text)
        except ClientError as error:
            self.tell_error(error)
            return
        if not changing.content(edited) or edited == text:
            self.tell("Nothing was changed.", Tone.DIM)
            return

        def plan() -> Plan | Exception:
            try:
                return self.data.plan(kind, original, edited)
            except _REFUSED as error:
                return error

        self.ask(plan, partial(self._planned, kind, original, edited), "checking")

    def _planned(self, kind: Kind, original: Any, text: str, found: Plan | Exception) -> None:
        if isinstance(found, Exception):
            title = f"{kind.name} / refused, nothing was changed"
            lines = _reasons(found)
            lines += [Line(""), *told(text, Tone.DIM)]
            page = Page(title, lines, self.place("refused"), text=text)
            page.pending = (kind, original)
        elif found.is_empty:
            self.tell("That changes nothing.", Tone.DIM)
            return
        else:
            what = "new" if original is None else "changes"
            title = f"{kind.name} {found.name} / {what}, not applied yet"
            page = Page(title, found.lines, self.place("plan"), plan=found, text=text)
            page.pending = (kind, original)
        self.push_screen(page)

    def apply_plan(self) -> None:
        """Do what is shown."""
        page = self.area
        if isinstance(page, Page) and page.plan is not None:
            self.ask(partial(self.data.carry_out, page.plan), self._applied, "applying")

    def _applied(self, text: str) -> None:
        self.pop_screen()
        self._done(text)

    def preview_plan(self) -> None:
        """Whose access the plan changes."""
        page = self.area
        if isinstance(page, Page) and page.plan is not None:
            call = partial(self.data.preview, page.plan, max(40, self.size.width - 4))
            self.ask(call, partial(self.show_page, "Access that changes"), "deciding")

    def edit_again(self) -> None:
        """Go on with the text that is shown."""
        page = self.area
        if isinstance(page, Page) and page.pending is not None:
            kind, original = page.pending
            self.pop_screen()
            self._write(kind, original, f"{page.text.rstrip()}\n")

    # --- single changes

    def _confirmed(self, question: str, detail: str, call: Callable[[], str], doing: str) -> None:
        def go_on(agreed: bool | None) -> None:
            if agreed:
                self.ask(call, self._done, doing)

        self.push_screen(Confirm(question, detail), go_on)

    def delete(self) -> None:
        """Delete the selected resource, after a question; first look who uses it."""
        if (selected := self._selected()) is None:
            return
        kind, name = selected
        if kind.name in REFERRED:
            asks = partial(self._ask_delete, kind, name)
            self.ask(partial(self.data.used_by, kind, name), asks, "looking who uses it")
        else:
            self._ask_delete(kind, name, [])

    def _ask_delete(self, kind: Kind, name: str, users: list[Line]) -> None:
        word, detail = "Delete", "\n".join(line.text for line in users[1 : _USERS + 1])
        if kind.name == "Session":
            word, detail = "Revoke", "It ends at once, with all that it has open."
        if len(users) > _USERS + 1:
            detail += "\nand more: esc, then u"
        call = partial(self.data.delete, kind, name)
        self._confirmed(f"{word} {kind.name} {name}?", detail, call, word.lower())

    def approve(self) -> None:
        """Let the selected Session, Device or Authenticator be used."""
        self._set_state("ACTIVE", "Approve")

    def reject(self) -> None:
        """Let it not be used any more."""
        self._set_state("REJECTED", "Reject")

    def _set_state(self, state: str, word: str) -> None:
        if (selected := self._selected()) is not None:
            kind, name = selected
            call = partial(self.data.set_state, kind, name, state)
            self._confirmed(f"{word} {kind.name} {name}?", "", call, word.lower())

    def invite(self) -> None:
        """Make a link for the selected User, after a question."""
        if (selected := self._selected()) is not None:
            _, name = selected
            detail = "A link made before is void then."

            def go_on(agreed: bool | None) -> None:
                if agreed:
                    self.ask(partial(self.data.invite, name), self._invited, "inviting")

            self.push_screen(Confirm(f"Make a link by which {name} signs in?", detail), go_on)

    def _invited(self, made: Invited) -> None:
        self.show_page(f"Invitation / {made.user}", invitation(made, self.now()))

    def set_secret(self) -> None:
        """Give the selected Secret or Config another value."""
        if (selected := self._selected()) is not None:
            self._ask_value(*selected, is_new=False)

    def _named(self, kind: Kind, name: str | None) -> None:
        if name and name.strip():
            self._ask_value(kind, name.strip(), is_new=True)

    def _ask_value(self, kind: Kind, name: str, *, is_new: bool) -> None:
        def go_on(value: str | None) -> None:
            if value:
                call = partial(self.data.set_value, kind, name, value, is_new=is_new)
                self.ask(call, self._done, "writing")

        question = f"Value of {kind.name} {name} (it is not shown)"
        self.push_screen(Ask(question, hidden=True), go_on)

    def new_token(self) -> None:
        """Make a token of the selected Credential, after a question."""
        if (selected := self._selected()) is not None:
            _, name = selected

            def go_on(agreed: bool | None) -> None:
                if agreed:
                    show = partial(self.show_page, f"Token of {name}")
                    self.ask(partial(self.data.token, name), show, "making a token")

            detail = "It is shown once. A token made before has no use then."
            self.push_screen(Confirm(f"Make a token of Credential {name}?", detail), go_on)

    def test_policies(self) -> None:
        """Run tests of Policies that stand in files of this computer."""
        run_tests = self.run_tests
        if run_tests is None:
            self.tell("Tests cannot be run here.", Tone.WARN)
            return

        def go_on(path: str | None) -> None:
            if path:
                call = partial(run_tests, path)
                self.ask(call, partial(self.show_page, f"Tests / {path}"), "testing")

        self.push_screen(Ask("File or directory of *.test.yaml", value="."), go_on)


def _reasons(error: Exception) -> list[Line]:
    if isinstance(error, InvalidDocuments):
        return [line for one in error.errors for line in told(str(one), Tone.BAD)]
    remedy = getattr(error, "remedy", "")
    return [*told(str(error), Tone.BAD), *(told(remedy) if remedy else [])]
