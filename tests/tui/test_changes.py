from __future__ import annotations

import pytest

from tests.tui.fake import LINK, small
from tests.tui.pictures import goto, press, sees, showing, text


@pytest.mark.parametrize(("answer", "done"), [("y", True), ("n", False), ("escape", False)])
async def test_deleting_asks_first(answer: str, done: bool) -> None:
    data = small()
    async with showing(data) as (_, pilot):
        await goto(pilot, "sess")
        await sees(pilot, "▌ ann-x7k2")
        await press(pilot, "ctrl+d")
        await sees(pilot, "Revoke Session ann-x7k2?")
        await press(pilot, answer)
        await sees(pilot, "Sessions 1" if done else "Sessions 2")
        assert data.done == ([("delete", "Session", "ann-x7k2")] if done else [])


@pytest.mark.parametrize(
    ("word", "kind", "name"),
    [
        ("dev", "Device", "laptop"),
        ("authn", "Authenticator", "key-1"),
        ("sess", "Session", "ann-x7k2"),
    ],
)
async def test_what_waits_is_approved_or_rejected(word: str, kind: str, name: str) -> None:
    data = small()
    async with showing(data) as (_, pilot):
        await goto(pilot, word)
        await sees(pilot, f"▌ {name}")
        await press(pilot, "a", "y")
        await sees(pilot, f"{kind} {name} is active")
        await press(pilot, "R", "y")
        await sees(pilot, f"{kind} {name} is rejected")
        assert data.done == [("state", kind, name, "ACTIVE"), ("state", kind, name, "REJECTED")]


async def test_an_invitation_is_a_picture_with_its_link() -> None:
    data = small()
    async with showing(data) as (_, pilot):
        await goto(pilot, "user")
        await sees(pilot, "▌ ann")
        await press(pilot, "i", "y")
        await sees(pilot, "Invitation / ann", "For ann, and nobody else", "▄▄▄▄▄")
        await press(pilot, "end")
        await sees(pilot, LINK[:70])
        assert data.done == [("invite", "ann")]


async def test_a_value_is_not_echoed() -> None:
    data = small()
    async with showing(data) as (app, pilot):
        await goto(pilot, "sec")
        await sees(pilot, "▌ api-key")
        await press(pilot, "s")
        await sees(pilot, "Value of Secret api-key")
        await press(pilot, *"hunter2")
        await sees(pilot, "•••••••")
        assert "hunter2" not in text(app)
        await press(pilot, "enter")
        await sees(pilot, "Secret api-key has a new value")
        assert data.values == {"api-key": "hunter2"}
        await press(pilot, "n", *"new-one", "enter")
        await sees(pilot, "Value of Secret new-one")
        await press(pilot, "x", "enter")
        await sees(pilot, "▌ new-one")
        assert data.values["new-one"] == "x"


async def test_who_uses_it_stands_in_the_question() -> None:
    data = small()
    async with showing(data) as (_, pilot):
        await goto(pilot, "pol")
        await sees(pilot, "▌ staff")
        await press(pilot, "ctrl+d")
        await sees(pilot, "Delete Policy staff?", "wiki.default")
        await press(pilot, "escape")
        await sees(pilot, "Policies 1")
        assert data.done == []


async def test_a_token_of_a_credential_is_made_and_shown() -> None:
    data = small()
    async with showing(data) as (_, pilot):
        await goto(pilot, "cred")
        await sees(pilot, "▌ ann-token")
        await press(pilot, "s")
        await sees(pilot, "Make a token of Credential ann-token?")
        await press(pilot, "y")
        await sees(pilot, "Token of ann-token", "AQpp-token")
        assert data.done == [("token", "ann-token")]
