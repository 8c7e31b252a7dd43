from __future__ import annotations

from typing import TYPE_CHECKING, Any

from octelium.client.errors import ApiError, ClientError
from octelium.tui.drafts import Drafts
from tests.tui.fake import small
from tests.tui.pictures import goto, press, sees, showing, until

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from textual.app import App
    from textual.pilot import Pilot


class Editor:
    """Gives each text back with some words exchanged."""

    def __init__(self, *changes: tuple[str, str]) -> None:
        self.changes = list(changes)
        self.texts: list[str] = []
        self.empties = False

    def __call__(self, _app: App[None], text: str) -> str:
        self.texts.append(text)
        if self.empties:
            return "# nothing\n"
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
        await sees(pilot, "Nothing was changed.")
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
        await sees(pilot, "▌ carol")
        assert data.done == [("apply", "User", "carol")]


async def test_what_was_just_made_is_selected_and_keys_mean_it() -> None:
    data, editor = small(), Editor(("NAME", "zoe"))
    async with showing(data, edit_text=editor) as (_, pilot):
        await goto(pilot, "user")
        await sees(pilot, "▌ ann")
        await press(pilot, "slash", *"ann", "enter")
        await sees(pilot, "Users 1 of 2  /ann")
        await press(pilot, "n")
        await sees(pilot, "User zoe / new, not applied yet")
        await press(pilot, "y")
        # What would hide it has ended.
        await sees(pilot, "▌ zoe", "Users 3 ")
        await press(pilot, "i")
        await sees(pilot, "Make a link by which zoe signs in?")


async def test_a_new_resource_that_cannot_be_read_is_told_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data, editor = small(), Editor(("NAME", "carol"))
    monkeypatch.setattr(data, "_add", lambda _kind, _name: None)  # gone at once
    async with showing(data, edit_text=editor) as (_, pilot):
        await goto(pilot, "user")
        await sees(pilot, "▌ ann")
        await press(pilot, "n")
        await sees(pilot, "User carol / new, not applied yet")
        await press(pilot, "y")
        await sees(pilot, "User carol updated", "▌ ann")


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


async def on_ann(pilot: Pilot[None]) -> None:
    await goto(pilot, "user")
    await sees(pilot, "▌ ann")


async def test_a_text_that_was_left_is_gone_on_with() -> None:
    data, editor = small(), Editor(("HUMAN", "WORKLOAD"))
    async with showing(data, edit_text=editor) as (_, pilot):
        await on_ann(pilot)
        await press(pilot, "e")
        await sees(pilot, "not applied yet")
        await press(pilot, "escape")
        await sees(pilot, "The text is kept: edit goes on with it.")
        await press(pilot, "e")
        await sees(pilot, "Go on with the text of User ann that was not applied?")
        await press(pilot, "escape")
        await sees(pilot, "▌ ann")
        assert len(editor.texts) == 1
        await press(pilot, "e")
        await sees(pilot, "Go on with the text of User ann")
        await press(pilot, "y")
        # It is not changed further, and still a change.
        await sees(pilot, "not applied yet", "+  type: WORKLOAD")
        assert "WORKLOAD" in editor.texts[1]
        await press(pilot, "y")
        await sees(pilot, "User ann updated")
        await press(pilot, "e")
        await until(pilot, lambda: len(editor.texts) == 3)
        assert "HUMAN" in editor.texts[2]


async def test_a_text_that_was_left_is_begun_anew_or_emptied() -> None:
    data, editor = small(), Editor(("HUMAN", "WORKLOAD"))
    async with showing(data, edit_text=editor) as (app, pilot):
        await on_ann(pilot)
        await press(pilot, "e")
        await sees(pilot, "not applied yet")
        await press(pilot, "escape", "e")
        await sees(pilot, "Go on with the text")
        await press(pilot, "n")
        await sees(pilot, "Nothing was changed.")
        assert "HUMAN" in editor.texts[1]
        assert app.drafts.find("User", "ann") is not None
        editor.empties = True
        await press(pilot, "e")
        await sees(pilot, "Go on with the text of User ann")
        await press(pilot, "y")
        await until(pilot, lambda: len(editor.texts) == 3)
        await until(pilot, lambda: app.drafts.find("User", "ann") is None)
        assert data.done == []


async def test_a_text_outlasts_a_failed_apply_and_the_program(tmp_path: Path) -> None:
    data, editor = small(), Editor(("HUMAN", "WORKLOAD"))
    drafts = Drafts(tmp_path, "octelium.localhost")
    async with showing(data, edit_text=editor, drafts=drafts) as (app, pilot):
        await on_ann(pilot)
        await press(pilot, "e")
        await sees(pilot, "not applied yet")
        data.failing = ApiError("UNAVAILABLE", "the Cluster is away", "")
        await press(pilot, "y")
        await sees(pilot, "the Cluster is away", "not applied yet")
        await press(pilot, "q")
        await until(pilot, lambda: not app.is_running)
    data.failing = None
    editor = Editor()
    drafts = Drafts(tmp_path, "octelium.localhost")
    async with showing(data, edit_text=editor, drafts=drafts) as (_, pilot):
        await on_ann(pilot)
        await press(pilot, "e")
        await sees(pilot, "Go on with the text of User ann")
        await press(pilot, "y")
        await sees(pilot, "not applied yet", "+  type: WORKLOAD")
        await press(pilot, "y")
        await sees(pilot, "User ann updated")
        assert list(tmp_path.iterdir()) == []


async def test_what_somebody_else_changed_meanwhile_is_said() -> None:
    data, editor = small(), Editor(("HUMAN", "WORKLOAD"))
    async with showing(data, edit_text=editor) as (_, pilot):
        await on_ann(pilot)
        await press(pilot, "e")
        await sees(pilot, "not applied yet")
        ann = data.items["User"][0]
        ann.metadata.resource_version = "2"
        ann.spec.email = "other@x.ch"
        await press(pilot, "e")
        await sees(pilot, "Somebody else has changed it", "-  email: other@x.ch")


async def test_one_is_asked_before_a_text_is_lost() -> None:
    data, editor = small(), Editor(("HUMAN", "WORKLOAD"))
    async with showing(data, edit_text=editor) as (app, pilot):
        await on_ann(pilot)
        await press(pilot, "e")
        await sees(pilot, "not applied yet")
        await press(pilot, "q")
        await sees(pilot, "Quit?", "are lost then")
        await press(pilot, "escape")
        await sees(pilot, "not applied yet")
        assert app.is_running
        await press(pilot, "ctrl+c", "y")
        await until(pilot, lambda: not app.is_running)


async def test_a_text_of_a_resource_that_is_gone_becomes_a_new_one() -> None:
    data, editor = small(), Editor(("HUMAN", "WORKLOAD"))
    async with showing(data, edit_text=editor) as (_, pilot):
        await on_ann(pilot)
        await press(pilot, "e")
        await sees(pilot, "not applied yet")
        del data.items["User"][0]
        await press(pilot, "e")
        await sees(pilot, "User ann / new, not applied yet")


async def test_a_text_that_cannot_be_kept_in_a_file_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "file"
    folder.write_text("")
    editor = Editor(("HUMAN", "WORKLOAD"))
    async with showing(small(), edit_text=editor, drafts=Drafts(folder)) as (app, pilot):
        await on_ann(pilot)
        await press(pilot, "e")
        await sees(pilot, "not applied yet")
        await press(pilot, "escape")
        await sees(pilot, "▌ ann", "The text is kept")
        assert app.drafts.would_be_lost is False
        assert editor.texts
