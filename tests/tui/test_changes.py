from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from octelium.client.errors import ApiError, ClientError
from octelium.tui.lines import Line, told
from tests.tui.fake import LINK, small
from tests.tui.pictures import goto, press, sees, showing, text, until

if TYPE_CHECKING:
    from textual.app import App


class Editor:
    """Gives each text back with some words exchanged."""

    def __init__(self, *changes: tuple[str, str]) -> None:
        self.changes = list(changes)
        self.texts: list[str] = []

    def __call__(self, _app: App[None], text: str) -> str:
        self.texts.append(text)
        old, new = self.changes.pop(0) if self.changes else ("", "")
        return text.replace(old, new) if old else text


async def test_an_edit_is_checked_shown_previewed_and_applied() -> None:
    data, editor = small(), Editor(("HUMAN", "WORKLOAD"))
    async with showing(data, edit_text=editor) as (_, pilot):
        await goto(pilot, "user")
        await sees(pilot, "▌ ann")
        await press(pilot, "e")
        await sees(pilot, "User ann / changes, not applied yet", "+  type: WORKLOAD", "y Apply")
        assert data.done == []
        await press(pilot, "p")
        await sees(pilot, "refused → allowed")
        await press(pilot, "escape", "y")
        await sees(pilot, "User ann updated", "▌ ann")
        assert data.done == [("apply", "User", "ann")]


async def test_a_refused_text_is_kept_to_go_on_with() -> None:
    data, editor = small(), Editor(("name: ann", "name: bob"), ("name: bob", "name: ann"))
    async with showing(data, edit_text=editor) as (_, pilot):
        await goto(pilot, "user")
        await sees(pilot, "▌ ann")
        await press(pilot, "e")
        screen = await sees(pilot, "refused, nothing was changed", "the name must stay ann")
        assert "y Apply" not in screen
        await press(pilot, "y", "e")
        await sees(pilot, "That changes nothing.")
        assert "name: bob" in editor.texts[1]
        assert data.done == []


async def test_an_unchanged_text_changes_nothing() -> None:
    data = small()
    async with showing(data, edit_text=Editor()) as (_, pilot):
        await goto(pilot, "user")
        await sees(pilot, "▌ ann")
        await press(pilot, "e")
        await sees(pilot, "Nothing was changed.")
        await press(pilot, "n")
        await pilot.pause(0.1)
        assert data.done == []


async def test_an_editor_that_fails_is_told() -> None:
    def broken(_app: Any, _text: str) -> str:
        raise ClientError("there is no editor 'x'", "set EDITOR")

    async with showing(small(), edit_text=broken) as (_, pilot):
        await goto(pilot, "user")
        await sees(pilot, "▌ ann")
        await press(pilot, "n")
        await sees(pilot, "there is no editor 'x': set EDITOR")


async def test_a_new_resource_begins_with_a_template() -> None:
    data, editor = small(), Editor(("NAME", "carol"))
    async with showing(data, edit_text=editor) as (_, pilot):
        await goto(pilot, "user")
        await sees(pilot, "▌ ann")
        await press(pilot, "n")
        await sees(pilot, "User carol / new, not applied yet")
        await press(pilot, "y")
        await until(pilot, lambda: bool(data.done))
        assert data.done == [("apply", "User", "carol")]


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
        await until(pilot, lambda: data.values.get("new-one") == "x")


async def test_what_uses_a_policy_and_who_may() -> None:
    async with showing(small()) as (_, pilot):
        await goto(pilot, "pol")
        await sees(pilot, "▌ staff")
        await press(pilot, "u")
        await sees(pilot, "What uses Policy staff", "wiki.default")
        await goto(pilot, "user")
        await sees(pilot, "▌ ann")
        await press(pilot, "w")
        await sees(pilot, "Users / ann / access", "allowed")


async def test_tests_of_policies_are_run() -> None:
    asked: list[str] = []

    def run(path: str) -> list[Line]:
        asked.append(path)
        return told("All passed.")

    async with showing(small(), run_tests=run) as (_, pilot):
        await goto(pilot, "pol")
        await sees(pilot, "▌ staff")
        await press(pilot, "t")
        await sees(pilot, "File or directory")
        await press(pilot, *"/x", "enter")
        await sees(pilot, "Tests / /x", "All passed.")
        assert asked == ["/x"]


async def test_a_refused_change_is_told_and_the_plan_stays() -> None:
    data, editor = small(), Editor(("HUMAN", "WORKLOAD"))
    async with showing(data, edit_text=editor) as (_, pilot):
        await goto(pilot, "user")
        await sees(pilot, "▌ ann")
        await press(pilot, "e")
        await sees(pilot, "not applied yet")
        data.failing = ApiError("OUT_OF_RANGE", "changed by somebody else", "", "edit it again")
        await press(pilot, "y")
        await sees(pilot, "changed by somebody else: edit it again", "not applied yet")
        assert data.done == []


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
