from __future__ import annotations

import pytest
from textual import events

from octelium.tui.screens.writing import Ask, Narrow
from tests.tui.fake import small
from tests.tui.hostile import HOSTILE
from tests.tui.pictures import press, sees, showing, text, until
from tests.tui.test_inert import harmless


async def test_the_keys_of_a_line() -> None:
    async with showing(small()) as (app, pilot):
        found: list[str | None] = []
        app.question(Ask("Which?", found.append, value="old words"))
        await press(
            pilot, *"one two", "ctrl+w", *"three", "home", "delete", "X", "end", "backspace"
        )
        await press(pilot, "left", "!", "ctrl+a", "ctrl+k", *"ab", "space", "c", "enter")
        await until(pilot, lambda: bool(found))
        assert found == ["ab c"]


async def test_what_was_typed_is_there() -> None:
    async with showing(small()) as (app, pilot):
        found: list[str | None] = []
        app.question(Ask("Which?", found.append, value="old words"))
        await press(pilot, *"one two", "ctrl+w", *"three", "home", "delete", "X", "end", "enter")
        await until(pilot, lambda: found == ["Xne three"])


async def test_a_hidden_text_may_have_lines() -> None:
    pem = "-----BEGIN\nabc\n-----END\n"
    async with showing(small()) as (app, pilot):
        found: list[str | None] = []
        app.question(Ask("Value?", found.append, hidden=True))
        app.post_message(events.Paste(pem.replace("\n", "\r\n")))
        await sees(pilot, "4 lines", "••••")
        assert "BEGIN" not in text(app)
        await press(pilot, "enter")
        await until(pilot, lambda: bool(found))
        app.question(Ask("Value?", found.append, hidden=True))
        app.post_message(events.Paste("one line\n"))
        await press(pilot, "enter")
        await until(pilot, lambda: len(found) == 2)
        assert found == [pem, "one line"]


@pytest.mark.parametrize("hostile", HOSTILE)
async def test_what_is_pasted_is_one_line_and_inert(hostile: str) -> None:
    async with showing(small()) as (app, pilot):
        found: list[str | None] = []
        app.question(Ask("Which?", found.append))
        app.post_message(events.Paste(f"{hostile}\nsecond"))
        await press(pilot, "z", "enter")
        await until(pilot, lambda: bool(found))
        assert found[0] is not None
        assert found[0].isprintable()
        assert "second" not in found[0]


async def test_a_text_that_is_followed_is_as_before_when_given_up() -> None:
    async with showing(small()) as (app, pilot):
        seen: list[str] = []
        app.question(Narrow("old", seen.append, "hint"))
        await press(pilot, "x", "backspace", "escape")
        await until(pilot, lambda: seen == ["oldx", "old", "old"])
        assert harmless(text(app).replace("\n", ""))
