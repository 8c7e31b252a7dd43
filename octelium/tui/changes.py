"""The actions that change a Cluster: each is shown, or asked about, before it happens."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from octelium.client.relations import REFERRED
from octelium.tui.failures import told_error
from octelium.tui.pictures import invitation
from octelium.tui.screens.confirm import Confirm
from octelium.tui.screens.writing import Ask
from octelium.tui.texts import Texts

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.schema.kinds import Kind
    from octelium.tui.data import Invited
    from octelium.tui.lines import Line

_USERS: Final = 6
"""Lines of who uses a resource that stand in a question."""


class Changes(Texts):
    """What the application does to a Cluster besides writing of texts."""

    def _confirmed(
        self,
        question: str,
        detail: str,
        call: Callable[[], Any],
        doing: str,
        then: Callable[[Any], None] | None = None,
    ) -> None:
        def go_on(agreed: bool | None) -> None:
            if agreed:
                self.ask(call, then or self.done, doing, changes=True)

        self.question(Confirm(question, go_on, detail))

    def delete(self) -> None:
        """Delete the selected resource, after a question that tells who uses it."""
        if (selected := self.selected()) is None:
            return
        kind, name = selected
        call = partial(self.data.delete, kind, name)
        if kind.name == "Session":
            detail = "It ends at once, with all that it has open."
            self._confirmed(f"Revoke Session {name}?", detail, call, "revoking")
            return
        question = f"Delete {kind.name} {name}?"
        if kind.name not in REFERRED:
            self._confirmed(question, "", call, "deleting")
            return

        def go_on(agreed: bool | None) -> None:
            if agreed:
                self.ask(call, self.done, "deleting", changes=True)
            elif asked.waits:
                self.give_up()

        asked = Confirm(question, go_on, waits="looking who uses it")
        self.question(asked)
        look = partial(self.data.used_by, kind, name)

        def unknown(error: Exception) -> None:
            asked.know(f"Who uses it is not known: {told_error(error)}")

        self.ask(look, lambda users: asked.know(_used(users)), "", failed=unknown)

    def approve(self) -> None:
        """Let the selected Session, Device or Authenticator be used."""
        self._set_state("ACTIVE", "Approve", "approving")

    def reject(self) -> None:
        """Let it not be used any more."""
        self._set_state("REJECTED", "Reject", "rejecting")

    def _set_state(self, state: str, word: str, doing: str) -> None:
        if (selected := self.selected()) is not None:
            kind, name = selected
            call = partial(self.data.set_state, kind, name, state)
            self._confirmed(f"{word} {kind.name} {name}?", "", call, doing)

    def invite(self) -> None:
        """Make a link for the selected User, after a question."""
        if (selected := self.selected()) is not None:
            _, name = selected
            question = f"Make a link by which {name} signs in?"
            detail = "A link made before is void then."
            call = partial(self.data.invite, name)
            self._confirmed(question, detail, call, "inviting", self._invited)

    def _invited(self, made: Invited) -> None:
        lines = invitation(made, self.now())
        self.show_page(f"Invitation / {made.user}", lines, copied=made.url)

    def set_secret(self) -> None:
        """Give the selected Secret or Config another value."""
        if (selected := self.selected()) is not None:
            self._ask_value(*selected, is_new=False)

    def create_valued(self, kind: Kind) -> None:
        """Make a Secret or Config, whose value nobody sees."""

        def go_on(name: str | None) -> None:
            if name and name.strip():
                self._ask_value(kind, name.strip(), is_new=True)

        self.question(Ask(f"Name of the new {kind.name}", go_on))

    def _ask_value(self, kind: Kind, name: str, *, is_new: bool) -> None:
        def go_on(value: str | None) -> None:
            if value:
                call = partial(self.data.set_value, kind, name, value, is_new=is_new)
                if is_new:
                    made = partial(self.with_made, call, kind, name)
                    self.ask(made, self.made, "writing", changes=True)
                else:
                    self.ask(call, self.done, "writing", changes=True)

        question = f"Value of {kind.name} {name} (it is not shown)"
        self.question(Ask(question, go_on, hidden=True))

    def new_token(self) -> None:
        """Make a token of the selected Credential, after a question."""
        if (selected := self.selected()) is not None:
            _, name = selected
            question = f"Make a token of Credential {name}?"
            detail = "It is shown once. A token made before has no use then."
            call = partial(self.data.token, name)
            self._confirmed(question, detail, call, "making a token", partial(self._made, name))

    def _made(self, name: str, lines: list[Line]) -> None:
        self.show_page(f"Token of {name}", lines, copied=lines[-1].text if lines else "")


def _used(users: list[Line]) -> str:
    detail = "\n".join(line.text for line in users[1 : _USERS + 1])
    return detail + ("\nand more: esc, then u" if len(users) > _USERS + 1 else "")
