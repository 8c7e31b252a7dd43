from __future__ import annotations

from octelium.tui.screens.choose import Item, matching
from tests.tui.fake import small
from tests.tui.pictures import goto, press, sees, showing, text, until

ITEMS = [
    Item("service", "Services", "", ("svc", "service")),
    Item("session", "Sessions", "", ("sess", "session")),
    Item("device", "Devices", "of people", ("dev",)),
]


def ids(typed: str) -> list[str]:
    return [item.id for item in matching(ITEMS, typed)]


def test_the_best_match_is_first() -> None:
    assert ids("") == ["service", "session", "device"]
    assert ids("svc") == ["service"]
    assert ids("se") == ["service", "session"]
    assert ids("SESS ann") == ["session"]
    assert ids("vice") == ["service", "device"]
    assert ids("people") == ["device"]
    assert ids("zzz") == []


def test_a_title_of_several_words_is_meant_as_a_whole() -> None:
    items = [Item("test", "Test"), Item("live", "Test live"), Item("goto", "Go to Users")]
    assert [item.id for item in matching(items, "test", is_whole=True)] == ["test", "live"]
    assert [item.id for item in matching(items, "Test live", is_whole=True)] == ["live"]
    assert [item.id for item in matching(items, "to users", is_whole=True)] == ["goto"]


async def test_a_choice_is_moved_and_given_up() -> None:
    async with showing(small()) as (app, pilot):
        await press(pilot, "colon", *"se")
        await sees(pilot, "▌Services")
        await press(pilot, "down")
        await sees(pilot, "▌Sessions")
        await press(pilot, "up", "down", "enter")
        await sees(pilot, "Sessions 2")
        await press(pilot, "colon", *"zzz", "enter")
        await sees(pilot, "Nothing has that name.")
        await press(pilot, "escape")
        await until(pilot, lambda: len(app.screen_stack) == 2)


async def test_a_filter_that_is_given_up_is_as_before() -> None:
    async with showing(small()) as (app, pilot):
        await goto(pilot, "user")
        await sees(pilot, "▌ ann")
        await press(pilot, "slash")
        await until(pilot, lambda: len(app.screen_stack) == 3)
        await press(pilot, *"zzz", "escape")
        await sees(pilot, "Users 2")


async def test_control_c_leaves_a_question_and_then_the_program() -> None:
    async with showing(small()) as (app, pilot):
        await goto(pilot, "user")
        await sees(pilot, "▌ ann")
        await press(pilot, "ctrl+d")
        await sees(pilot, "Delete User ann?")
        await press(pilot, "ctrl+c")
        await sees(pilot, "▌ ann")
        assert "Delete User ann?" not in text(app)
        await press(pilot, "ctrl+c")
        await until(pilot, lambda: not app.is_running)
