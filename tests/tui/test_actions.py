from __future__ import annotations

from itertools import product

import pytest

from octelium.tui.actions import ACTIONS, Place, by_id, by_key, key_name, offered, possible
from octelium.tui.kinds import ADMINISTRATION, PERSON

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
