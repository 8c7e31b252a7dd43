"""The one registry of actions: keys, footer, help and palette are all made from it.

An action is a function of the stage, which is the application. It is offered where `when` says so,
and what it changes is not offered with `--readonly`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


class Stage(Protocol):
    """What actions can be done with."""

    def show_help(self) -> None:
        """Show every action."""

    def show_palette(self) -> None:
        """Offer every action by name."""

    def ask_view(self) -> None:
        """Ask where to go."""

    def back(self) -> None:
        """Go back."""

    def forward(self) -> None:
        """Go forward again."""

    def stop(self) -> None:
        """End."""

    def refresh_view(self) -> None:
        """Read again."""

    def change_theme(self) -> None:
        """Light for dark."""

    def open_row(self) -> None:
        """Open the selected row."""

    def describe(self) -> None:
        """Show all of it."""

    def show_yaml(self) -> None:
        """Show it as YAML."""

    def ask_filter(self) -> None:
        """Ask which rows to show."""

    def sort_next(self) -> None:
        """Sort by the next column."""

    def sort_reverse(self) -> None:
        """Sort the other way round."""

    def follow(self) -> None:
        """Go with a log."""

    def show_system(self) -> None:
        """Show the Cluster's own Services too, or not."""

    def edit(self) -> None:
        """Edit it."""

    def create(self) -> None:
        """Write a new one."""

    def delete(self) -> None:
        """Delete it."""

    def approve(self) -> None:
        """Let it be used."""

    def reject(self) -> None:
        """Let it not be used."""

    def invite(self) -> None:
        """Make a link for a person."""

    def set_secret(self) -> None:
        """Give it a value."""

    def new_token(self) -> None:
        """Make a token of a Credential."""

    def show_log(self) -> None:
        """Show its log."""

    def explain(self) -> None:
        """Show why."""

    def ask_search(self) -> None:
        """Ask what to search for."""

    def search_next(self) -> None:
        """Go to the next place that has it."""

    def search_before(self) -> None:
        """Go to the place before that has it."""

    def copy(self) -> None:
        """Copy by the terminal."""

    def show_users(self) -> None:
        """Show what uses it."""

    def show_access(self) -> None:
        """Show who may, or what."""

    def show_effect(self) -> None:
        """Show whose access it changes."""

    def test_policies(self) -> None:
        """Run tests."""

    def test_live(self) -> None:
        """Run tests on the Cluster."""

    def apply_plan(self) -> None:
        """Do what is shown."""

    def preview_plan(self) -> None:
        """Show whose access that changes."""

    def edit_again(self) -> None:
        """Go on with the text."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where one is.

    `screen` is `table`, `log`, `page`, `plan`, `refused` or `overview`, `view` an id, `kind` a
    name.
    `has_row`: a row is selected. `can` holds the verbs that the API has for the kind.
    """

    screen: str = "table"
    view: str = ""
    kind: str = ""
    has_row: bool = False
    readonly: bool = False
    person: bool = False
    can: frozenset[str] = frozenset()


def _always(_place: Place) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that can be done, by the member `run` of the stage.

    The first of `keys` is shown. `prominent` ones are in the footer. `changes`: it changes the
    Cluster.
    """

    id: str
    keys: tuple[str, ...]
    title: str
    group: str
    run: Callable[[Stage], None]
    when: Callable[[Place], bool] = _always
    prominent: bool = False
    changes: bool = False

    def do(self, stage: Stage) -> None:
        """Do it on a stage, whose own member has the name of `run`."""
        getattr(stage, self.run.__name__)()

    def offered(self, place: Place) -> bool:
        """Whether it can be done there."""
        return not (self.changes and place.readonly) and self.when(place)


def _row(place: Place) -> bool:
    return place.screen == "table" and place.has_row


def _kind_row(place: Place) -> bool:
    return _row(place) and bool(place.kind)


def _list(place: Place) -> bool:
    return place.screen in ("table", "log")


def _log(place: Place) -> bool:
    return place.screen == "log"


def _entry(place: Place) -> bool:
    return place.screen == "log" and place.has_row


def _page(place: Place) -> bool:
    return place.screen in ("page", "plan", "refused")


def _plan(place: Place) -> bool:
    return place.screen == "plan"


def _administers(place: Place) -> bool:
    return not place.person


def _may(verb: str) -> Callable[[Place], bool]:
    return lambda place: _administers(place) and _kind_row(place) and verb in place.can


def _of(*kinds: str) -> Callable[[Place], bool]:
    return lambda place: _administers(place) and _kind_row(place) and place.kind in kinds


def _policies(place: Place) -> bool:
    return _administers(place) and place.screen == "table" and place.kind == "Policy"


_APPROVED: Final = ("Session", "Device", "Authenticator")

ACTIONS: Final = (
    Action("help", ("question_mark", "f1"), "Help", "General", Stage.show_help, prominent=True),
    Action("goto", ("colon",), "Go to a view", "General", Stage.ask_view, prominent=True),
    Action("palette", ("ctrl+p",), "All actions", "General", Stage.show_palette,
           prominent=True),
    Action(
        "filter", ("slash",), "Filter", "List", Stage.ask_filter, when=_list, prominent=True
    ),
    Action("open", ("enter",), "Open", "List", Stage.open_row,
           when=lambda place: _list(place) and place.has_row),
    Action("describe", ("d",), "Describe", "Resource", Stage.describe, when=_row, prominent=True),
    Action("yaml", ("y",), "YAML", "Resource", Stage.show_yaml, when=_row, prominent=True),
    Action("edit", ("e",), "Edit", "Resource", Stage.edit,
           when=lambda place: _may("Update")(place) and place.kind not in ("Secret", "Config"),
           prominent=True, changes=True),
    Action("create", ("n",), "New", "Resource", Stage.create,
           when=lambda place: _administers(place) and place.screen == "table"
           and "Create" in place.can,
           prominent=True, changes=True),
    Action("revoke", ("ctrl+d",), "Revoke", "Resource", Stage.delete, when=_of("Session"),
           prominent=True, changes=True),
    Action("delete", ("ctrl+d",), "Delete", "Resource", Stage.delete,
           when=lambda place: _may("Delete")(place) and place.kind != "Session",
           prominent=True, changes=True),
    Action("approve", ("a",), "Approve", "Resource", Stage.approve, when=_of(*_APPROVED),
           prominent=True, changes=True),
    Action("reject", ("shift+r", "R"), "Reject", "Resource", Stage.reject, when=_of(*_APPROVED),
           changes=True),
    Action("invite", ("i",), "Invite", "Resource", Stage.invite, when=_of("User"),
           prominent=True, changes=True),
    Action("secret", ("s",), "Set value", "Resource", Stage.set_secret,
           when=_of("Secret", "Config"), prominent=True, changes=True),
    Action("token", ("s",), "New token", "Resource", Stage.new_token, when=_of("Credential"),
           prominent=True, changes=True),
    Action("log", ("l",), "Log", "Insight", Stage.show_log, when=_of("Service", "User", "Session"),
           prominent=True),
    Action("access", ("w",), "Who/what", "Insight", Stage.show_access,
           when=_of("Service", "User", "Policy"), prominent=True),
    Action("usedby", ("u",), "Used by", "Insight", Stage.show_users,
           when=_of("Policy", "Secret", "Config"), prominent=True),
    Action("effect", ("p",), "Whose access", "Insight", Stage.show_effect, when=_of("Policy"),
           prominent=True),
    Action("test", ("t",), "Test", "Insight", Stage.test_policies, when=_policies,
           prominent=True),
    Action("live", ("shift+t", "T"), "Test live", "Insight", Stage.test_live, when=_policies,
           prominent=True),
    Action("why", ("x",), "Why?", "Insight", Stage.explain,
           when=lambda place: _entry(place) and place.view == "access", prominent=True),
    Action("entry", ("d",), "Details", "Insight", Stage.describe, when=_entry, prominent=True),
    Action("follow", ("f",), "Follow", "Insight", Stage.follow, when=_log, prominent=True),
    Action("system", ("s",), "System", "Insight", Stage.show_system,
           when=lambda place: _log(place) and place.view == "access", prominent=True),
    Action("sort", ("o",), "Sort by next column", "List", Stage.sort_next,
           when=lambda place: place.screen == "table"),
    Action("reverse", ("shift+o", "O"), "Reverse order", "List", Stage.sort_reverse,
           when=lambda place: place.screen == "table"),
    Action("apply", ("y",), "Apply", "Change", Stage.apply_plan, when=_plan,
           prominent=True, changes=True),
    Action("preview", ("p",), "Whose access it changes", "Change", Stage.preview_plan, when=_plan,
           prominent=True),
    Action("again", ("e",), "Edit again", "Change", Stage.edit_again,
           when=lambda place: place.screen in ("plan", "refused"),
           prominent=True, changes=True),
    Action("search", ("slash",), "Search", "Page", Stage.ask_search, when=_page, prominent=True),
    Action("next", ("n",), "Next place", "Page", Stage.search_next, when=_page),
    Action("before", ("shift+n", "N"), "Place before", "Page", Stage.search_before, when=_page),
    Action("copy", ("c",), "Copy", "General", Stage.copy,
           when=lambda place: _page(place) or (_list(place) and place.has_row), prominent=True),
    Action("refresh", ("ctrl+r",), "Read again", "General", Stage.refresh_view),
    Action("close", ("escape", "left_square_bracket"), "Close", "General", Stage.back,
           when=_page, prominent=True),
    Action("back", ("escape", "left_square_bracket"), "Back", "General", Stage.back,
           when=lambda place: not _page(place)),
    Action("forward", ("right_square_bracket",), "Forward", "General", Stage.forward),
    Action("theme", ("ctrl+t",), "Light or dark", "General", Stage.change_theme),
    Action("quit", ("q", "ctrl+c"), "Quit", "General", Stage.stop, prominent=True),
)  # fmt: skip
"""Every action. Where two share a key, never more than one is offered at a place."""

_SHOWN: Final = {
    "question_mark": "?", "colon": ":", "slash": "/", "left_square_bracket": "[",
    "right_square_bracket": "]", "escape": "esc", "enter": "⏎",
}  # fmt: skip


def key_name(key: str) -> str:
    """A key as people write it."""
    if key.startswith("shift+") and len(key) == len("shift+x"):
        return key[-1].upper()
    return _SHOWN.get(key, key.replace("ctrl+", "^"))


def offered(place: Place) -> Iterator[Action]:
    """What can be done at a place, in the registry's order."""
    return (action for action in ACTIONS if action.offered(place))


_SCREENS: Final = ("table", "log", "page", "plan", "refused", "overview")


def possible(action: Action, base: Place, views: Iterable[tuple[str, str]]) -> bool:
    """Whether an action is offered anywhere: on some screen, in some of the views (id, kind)."""
    verbs = frozenset({"Create", "Update", "Delete"})
    return any(
        action.offered(replace(base, screen=screen, view=view, kind=kind, has_row=True, can=verbs))
        for view, kind in views
        for screen in _SCREENS
    )


def by_key(key: str, place: Place) -> Action | None:
    """The action of a key at a place."""
    return next((action for action in offered(place) if key in action.keys), None)


def by_id(action_id: str) -> Action:
    """An action. Raises KeyError."""
    for action in ACTIONS:
        if action.id == action_id:
            return action
    raise KeyError(action_id)
