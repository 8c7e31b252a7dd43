from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual import events

from octelium.client.errors import ApiError
from octelium.tui.keyboard import Keyboard
from octelium.tui.screens.question import Question
from tests.tui.fake import Fake, small
from tests.tui.pictures import goto, press, sees, showing, until

if TYPE_CHECKING:
    from textual.pilot import Pilot

DANGEROUS = ("d", "i", "s", "a", "e", "n", "ctrl+d", "R", "y", "q")


class Screen:
    """Takes keys once it is ready; some keys put another screen on top, or take one away."""

    def __init__(self, stack: list[Screen], *, is_ready: bool) -> None:
        self.stack = stack
        self.is_ready = is_ready
        self.taken: list[str] = []

    def take_key(self, key: str, character: str | None) -> None:
        assert self.stack[-1] is self
        self.taken.append(key)
        if key == "o":
            self.stack.append(Screen(self.stack, is_ready=False))
        elif key == "c" and len(self.stack) > 1:
            self.stack.pop()

    def take_text(self, text: str) -> None:
        self.taken.append(text)


def begin() -> tuple[Keyboard, list[Screen], list[str]]:
    stack: list[Screen] = []
    left: list[str] = []
    stack.append(Screen(stack, is_ready=True))
    return Keyboard(lambda: stack[-1], lambda: left.append("left")), stack, left


def key(name: str) -> events.Key:
    return events.Key(name, name if len(name) == 1 else None)


@given(st.lists(st.sampled_from(["x", "o", "c", "ready"]), max_size=40))
def test_keys_go_to_the_screen_that_those_before_them_led_to(steps: list[str]) -> None:
    """However late screens are, the outcome is that of screens which are there at once."""
    keyboard, stack, _ = begin()
    seen = [stack[0]]

    def all_ready() -> None:
        while not stack[-1].is_ready:
            seen.append(stack[-1])
            stack[-1].is_ready = True
            keyboard.go_on()

    for step in steps:
        if step == "ready":
            all_ready()
        else:
            keyboard.take(key(step))
    all_ready()
    assert not keyboard.is_waiting
    depth, expected = [0], [[]]  # type: ignore[var-annotated]
    for step in steps:
        if step == "ready":
            continue
        expected[depth[-1]].append(step)
        if step == "o":
            depth.append(len(expected))
            expected.append([])
        elif step == "c" and len(depth) > 1:
            depth.pop()
    assert [screen.taken for screen in seen] == expected


def test_what_is_pasted_keeps_its_place_among_the_keys() -> None:
    keyboard, stack, _ = begin()
    for event in (key("o"), events.Paste("one"), key("x")):
        keyboard.take(event)
    assert keyboard.is_waiting
    stack[-1].is_ready = True
    keyboard.go_on()
    assert stack[-1].taken == ["one", "x"]


@pytest.mark.parametrize("name", ["ctrl+c", "ctrl+q"])
def test_leaving_forgets_what_was_typed_before(name: str) -> None:
    keyboard, stack, left = begin()
    for event in (key("o"), key("d"), key(name)):
        keyboard.take(event)
    assert left == ["left"]
    stack.pop()
    keyboard.go_on()
    assert stack[-1].taken == ["o"]


def test_a_screen_that_takes_no_keys_gets_none() -> None:
    keyboard = Keyboard(object, lambda: None)
    keyboard.take(key("x"))
    assert keyboard.is_waiting
    keyboard.forget()
    assert not keyboard.is_waiting


async def on_user(pilot: Pilot[None]) -> None:
    await goto(pilot, "user")
    await sees(pilot, "▌ ann")


def untouched(data: Fake) -> bool:
    return not data.done and not data.values


async def test_what_is_typed_after_the_palette_key_lands_in_the_palette() -> None:
    data = small()
    async with showing(data) as (app, pilot):
        await on_user(pilot)
        await press(pilot, "ctrl+p", *"invite")
        await sees(pilot, "▌Invite")
        await press(pilot, "enter")
        await sees(pilot, "Make a link by which ann signs in?")
        await press(pilot, "escape", "ctrl+p", *DANGEROUS)
        assert isinstance(app.screen, Question)
        await press(pilot, "escape")
        await until(pilot, lambda: len(app.screen_stack) == 2)
        assert untouched(data)


async def test_a_whole_walk_is_typed_ahead() -> None:
    data = small()
    async with showing(data) as (_, pilot):
        await sees(pilot, "Overview", "root@")
        # The view, a filter, and then what must wait for the rows.
        await press(pilot, "colon", *"user", "enter")
        await sees(pilot, "▌ ann")
        await press(pilot, "slash", *"ci", "enter", "ctrl+d", "n", "ctrl+p", *"desc", "enter")
        await sees(pilot, "Users / ci", "Spec:")
        assert untouched(data)


QUESTIONS: Any = {
    # name: view, row, keys that open it, what is typed then, what is seen
    "filter": ("user", "▌ ann", ("slash",), "idani", "/idani"),
    "goto": ("user", "▌ ann", ("colon",), "didan", "Nothing has that name."),
    "palette": ("user", "▌ ann", ("ctrl+p",), "didan", "Nothing has that name."),
    "secret": ("sec", "▌ api-key", ("s",), "idyni", "•••••"),
    "new secret": ("sec", "▌ api-key", ("n",), "idyni", "idyni"),
    "tests": ("pol", "▌ staff", ("t",), "idyni", "idyni"),
}


@pytest.mark.parametrize("name", QUESTIONS)
async def test_every_question_gets_what_is_typed_after_its_key(name: str) -> None:
    view, row, keys, typed, seen = QUESTIONS[name]
    data = small()
    async with showing(data, run_tests=lambda _path, _live: []) as (app, pilot):
        await goto(pilot, view)
        await sees(pilot, row)
        await press(pilot, *keys, *typed)
        await sees(pilot, seen)
        await press(pilot, "escape")
        await until(pilot, lambda: len(app.screen_stack) == 2)
        assert untouched(data)


@pytest.mark.parametrize(
    ("view", "row", "opening"),
    [("user", "▌ ann", "ctrl+d"), ("user", "▌ ann", "i"), ("sess", "▌ ann-x7k2", "ctrl+d"),
     ("sess", "▌ ann-x7k2", "a"), ("cred", "▌ ann-token", "s"), ("pol", "▌ staff", "ctrl+d")],
)  # fmt: skip
async def test_no_is_no_however_fast(view: str, row: str, opening: str) -> None:
    data = small()
    async with showing(data) as (app, pilot):
        await goto(pilot, view)
        await sees(pilot, row)
        await press(pilot, opening, "x", "escape")
        await until(pilot, lambda: len(app.screen_stack) == 2)
        await press(pilot, opening, "n")
        await until(pilot, lambda: len(app.screen_stack) == 2)
        assert untouched(data)


async def test_what_is_typed_while_an_edit_is_read_is_not_meant_for_the_view() -> None:
    data = small()
    texts: list[str] = []

    def edit(_app: Any, given: str) -> str:
        texts.append(given)
        return given

    async with showing(data, edit_text=edit) as (_, pilot):
        await on_user(pilot)
        data.gate = threading.Event()
        await press(pilot, "e", "i", "y", "down", "ctrl+d", "y")
        screen = await sees(pilot, "Not yet: reading (esc gives up).")
        assert "▌ ann" in screen
        data.gate.set()
        await until(pilot, lambda: bool(texts))
        await sees(pilot, "Nothing was changed.")
        assert untouched(data)


async def test_a_change_that_is_under_way_is_not_made_twice() -> None:
    data = small()
    async with showing(data) as (_, pilot):
        await goto(pilot, "sess")
        await sees(pilot, "▌ ann-x7k2")
        data.gate = threading.Event()
        await press(pilot, "ctrl+d", "y", "ctrl+d", "y", "q")
        await sees(pilot, "Not yet: revoking")
        await until(pilot, lambda: bool(data.begun))  # one that has not is not done at all
        await press(pilot, "escape")
        await sees(pilot, "It may be done all the same")
        data.gate.set()
        await until(pilot, lambda: bool(data.done))
        assert data.done == [("delete", "Session", "ann-x7k2")]


async def test_who_uses_it_is_known_before_one_agrees_to_delete_it() -> None:
    data = small()
    async with showing(data) as (_, pilot):
        await goto(pilot, "pol")
        await sees(pilot, "▌ staff")
        data.gate = threading.Event()
        await press(pilot, "ctrl+d", "y")
        await sees(pilot, "Delete Policy staff?", "looking who uses it…")
        data.gate.set()
        await sees(pilot, "wiki.default", "y  yes")
        assert untouched(data)
        await press(pilot, "y")
        await sees(pilot, "Policy staff deleted")


async def test_that_it_is_not_known_who_uses_it_is_told() -> None:
    data = small()
    async with showing(data) as (_, pilot):
        await goto(pilot, "pol")
        await sees(pilot, "▌ staff")
        data.failing = ApiError("PERMISSION_DENIED", "you may not", "")
        await press(pilot, "ctrl+d")
        await sees(pilot, "Who uses it is not known: PermissionDenied: you may not", "y  yes")


async def test_a_page_that_comes_late_does_not_lie_over_a_question() -> None:
    data = small()
    async with showing(data) as (app, pilot):
        await on_user(pilot)
        data.gate = threading.Event()
        await press(pilot, "d", "slash", *"an")
        data.gate.set()
        await sees(pilot, "1 of 2", "/an")
        await press(pilot, "q")
        await sees(pilot, "/anq")
        assert app.is_running


async def test_a_text_that_is_pasted_over_a_view_means_nothing() -> None:
    data = small()
    async with showing(data) as (app, pilot):
        await on_user(pilot)
        app.post_message(events.Paste("i\ny\nq"))
        await press(pilot, "down")
        await sees(pilot, "▌ ci")
        assert untouched(data)
        await press(pilot, "i")
        app.post_message(events.Paste("y"))
        await press(pilot, "n")
        await until(pilot, lambda: len(app.screen_stack) == 2)
        assert untouched(data)
