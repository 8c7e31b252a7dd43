from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from octelium.tui.actions import ACTIONS, Place, by_id, by_key, key_name, offered, possible
from octelium.tui.kinds import ADMINISTRATION, PERSON
from tests.conftest import SOAK
from tests.tui.fake import small
from tests.tui.pictures import goto, press, sees, showing, until

SCREENS = ("table", "log", "page", "plan", "refused", "overview")
VERBS = frozenset({"Create", "Update", "Delete"})
PLACES = [
    Place(screen, view.id, view.kind.name if view.kind else "", row, readonly, person, verbs)
    for screen, view, row, readonly, person, verbs in product(
        SCREENS, ADMINISTRATION, (True, False), (True, False), (True, False), (VERBS, frozenset())
    )
]


def test_a_key_means_one_thing_at_each_place() -> None:
    for place in PLACES:
        keys = [key for action in offered(place) for key in action.keys]
        assert len(keys) == len(set(keys)), place


def test_ids_are_unique_and_every_action_is_possible_somewhere() -> None:
    assert len({action.id for action in ACTIONS}) == len(ACTIONS)
    for action in ACTIONS:
        assert any(action.offered(place) for place in PLACES), action.id
        assert by_id(action.id) is action


def test_nothing_changes_read_only_or_for_a_person() -> None:
    for place in PLACES:
        if place.readonly:
            assert not any(action.changes for action in offered(place))
        if place.person and place.screen in ("table", "log"):
            assert not any(action.changes for action in offered(place)), place


def test_what_the_api_lacks_is_not_offered() -> None:
    gateway = Place("table", "gateway", "Gateway", has_row=True)
    assert by_key("e", gateway) is None
    assert by_key("ctrl+d", gateway) is None
    assert by_key("n", gateway) is None
    service = Place("table", "service", "Service", has_row=True, can=VERBS)
    edit = by_key("e", service)
    assert edit is not None
    assert edit.id == "edit"


def test_values_are_not_edited_as_text() -> None:
    secret = Place("table", "secret", "Secret", has_row=True, can=VERBS)
    assert by_key("e", secret) is None
    value = by_key("s", secret)
    assert value is not None
    assert value.id == "secret"


def test_sessions_are_revoked() -> None:
    action = by_key("ctrl+d", Place("table", "session", "Session", has_row=True, can=VERBS))
    assert action is not None
    assert action.title == "Revoke"


@pytest.mark.parametrize(
    ("key", "shown"),
    [("question_mark", "?"), ("ctrl+d", "^d"), ("shift+o", "O"), ("e", "e"), ("slash", "/")],
)
def test_keys_are_shown_as_people_write_them(key: str, shown: str) -> None:
    assert key_name(key) == shown


def test_what_is_never_possible_is_not_in_a_persons_help() -> None:
    views = [(view.id, view.kind.name if view.kind else "") for view in PERSON]
    assert not possible(by_id("delete"), Place(person=True), views)
    assert possible(by_id("describe"), Place(person=True), views)


def test_an_unknown_action() -> None:
    with pytest.raises(KeyError):
        by_id("nothing")


_SEARCHED = (("y",), "kind: User"), (("slash", *"ann", "enter"), "line 1 of 2")
WALK: Any = {
    # action: view, what is there first, keys and what they lead to before, what it leads to
    "help": ("user", "▌ ann", (), "General"),
    "goto": ("user", "▌ ann", (), "Which view; further words"),
    "palette": ("user", "▌ ann", (), "▌Help"),
    "filter": ("user", "▌ ann", (), "words   !not"),
    "open": ("user", "▌ ann", (), "Users / ann"),
    "describe": ("user", "▌ ann", (), "Users / ann"),
    "yaml": ("user", "▌ ann", (), "Users / ann / YAML"),
    "edit": ("user", "▌ ann", (), "User ann / changes, not applied yet"),
    "create": ("grp", "▌ ops", (), "Group NEW / new, not applied yet"),
    "revoke": ("sess", "▌ ann-x7k2", (), "Revoke Session ann-x7k2?"),
    "delete": ("user", "▌ ann", (), "Delete User ann?"),
    "approve": ("dev", "▌ laptop", (), "Approve Device laptop?"),
    "reject": ("authn", "▌ key-1", (), "Reject Authenticator key-1?"),
    "invite": ("user", "▌ ann", (), "Make a link by which ann signs in?"),
    "secret": ("cfg", "▌ app", (), "Value of Config app"),
    "token": ("cred", "▌ ann-token", (), "Make a token of Credential"),
    "log": ("svc", "▌ db.prod", (), "Access log of service db.prod 1"),
    "access": ("svc", "▌ db.prod", (), "Services / db.prod / access"),
    "usedby": ("sec", "▌ api-key", (), "What uses Secret api-key"),
    "effect": ("pol", "▌ staff", (), "If Policy staff were disabled"),
    "test": ("pol", "▌ staff", (), "Tests on files: file or directory"),
    "live": ("pol", "▌ staff", (), "Tests on the Cluster: file or"),
    "why": ("access", "GET /x", (), "What would turn it round"),
    "entry": ("authlog", "no such User", (), "passkey: refused"),
    "follow": ("access", "GET /x", (), "standing still"),
    "system": ("access", "(without system)", (), "Access log 3   "),
    "sort": ("user", "▌ ann", (), "Sorted by TYPE, rising."),
    "reverse": ("user", "▌ ann", (), "Sorted by NAME, falling."),
    "apply": ("user", "▌ ann", ((("e",), "not applied yet"),), "User ann updated"),
    "preview": ("user", "▌ ann", ((("e",), "not applied yet"),), "Access that changes"),
    "again": ("user", "▌ ann", ((("e",), "not applied yet"),), "not applied yet"),
    "search": ("user", "▌ ann", ((("y",), "kind: User"),), "text to search for"),
    "next": (
        "user",
        "▌ ann",
        _SEARCHED,
        "line 2 of 2",
    ),
    "before": (
        "user",
        "▌ ann",
        _SEARCHED,
        "line 2 of 2",
    ),
    "copy": ("user", "▌ ann", (), "Copied the name."),
    "refresh": ("user", "▌ ann", ((("i", "n", "o"), "Sorted by"),), "▌ ann"),
    "close": ("user", "▌ ann", ((("y",), "kind: User"),), "▌ ann"),
    "back": ("user", "▌ ann", ((("slash", *"ci", "enter"), "▌ ci"),), "Users 2 "),
    "forward": ("user", "▌ ann", (), "▌ ann"),
    "theme": ("user", "▌ ann", (), "▌ ann"),
    "quit": ("user", "▌ ann", (), ""),
}


def write(_app: Any, given: str) -> str:
    return given.replace("HUMAN", "WORKLOAD").replace("NAME", "NEW")


@pytest.mark.parametrize("way", ["keys", "the palette"] if SOAK else ["keys"])
async def test_every_action_by_key_and_by_palette(way: str) -> None:
    assert WALK.keys() == {action.id for action in ACTIONS}
    is_by_key = way == "keys"
    size = (80, 24) if is_by_key else (200, 60)
    data = small()
    options: Any = {"edit_text": write, "run_tests": lambda _path, _live: []}
    async with showing(data, size=size, **options) as (app, pilot):
        for name, (view, there, steps, leads) in WALK.items():
            action = by_id(name)
            await goto(pilot, view)
            await sees(pilot, there)
            for keys, then in steps:
                await press(pilot, *keys)
                await sees(pilot, then)
            area = app.area
            assert area is not None
            assert action.offered(area.place()), name
            theme, feeds = app.theme, len(data.feeds)
            app.drafts.drop("User", "ann")
            app.drafts.drop("Group", "")
            if is_by_key or name == "palette":
                await press(pilot, action.keys[0])
            else:
                await press(pilot, "ctrl+p", *action.title, "enter")
            if name == "quit":
                await until(pilot, lambda: not app.is_running)
                break
            await sees(pilot, leads)
            if name == "theme":
                assert app.theme != theme
            elif name == "refresh":
                assert len(data.feeds) == feeds + 1
