from __future__ import annotations

import threading

import pytest

from octelium.client.errors import ApiError
from octelium.schema.pb import user_v1_pb2 as user_v1
from octelium.tui.actions import ACTIONS
from octelium.tui.app import Terminal
from octelium.tui.data import Update
from octelium.tui.kinds import ADMINISTRATION, PERSON
from tests.conftest import SOAK
from tests.tui.fake import access, item, small
from tests.tui.hostile import HOSTILE
from tests.tui.pictures import goto, press, sees, showing, text, until
from tests.tui.test_inert import harmless


def test_the_application_can_do_every_action() -> None:
    assert all(callable(getattr(Terminal, action.run.__name__, None)) for action in ACTIONS)


async def test_it_begins_with_the_overview() -> None:
    async with showing(small()) as (_, pilot):
        await sees(pilot, "Overview", "Requests", "services 3", "workers: 2 answer", "root@")


async def test_every_kind_has_its_view() -> None:
    data = small()
    async with showing(data) as (_, pilot):
        for view in ADMINISTRATION:
            if view.kind is None:
                continue
            await goto(pilot, view.words[-1])
            name = data.items[view.kind.name][0].metadata.name
            await sees(pilot, f"{view.title} {len(data.items[view.kind.name])}", "▌", name)
            if SOAK:
                await press(pilot, "d")
                await sees(pilot, f"{view.title} / ", "Spec:")
                await press(pilot, "escape")
            await press(pilot, "y")
            await sees(pilot, "/ YAML", f"kind: {view.kind.name}")


async def test_changes_come_by_themselves_and_the_row_stays_selected() -> None:
    data = small()
    async with showing(data) as (app, pilot):
        await goto(pilot, "user")
        await sees(pilot, "▌ ann")
        view = next(view for view in ADMINISTRATION if view.id == "user")
        data.push(Update([view.row(item("User", "aaron", spec={"type": "HUMAN"}))]))
        screen = await sees(pilot, "Users 3", "aaron")
        assert "▌ ann" in screen
        data.push(Update(removed=[data.items["User"][0].metadata.uid]))
        await sees(pilot, "Users 2")
        assert "ann" not in text(app).replace("aaron", "")


async def test_a_filter_follows_each_letter_and_escape_ends_it() -> None:
    async with showing(small()) as (_, pilot):
        await goto(pilot, "svc")
        await press(pilot, "slash", *"wiki")
        await until(pilot, lambda: len(pilot.app.screen_stack) == 3)
        await press(pilot, "enter")
        await sees(pilot, "Services 1 of 3  /wiki")
        await press(pilot, "escape")
        await sees(pilot, "Services 3")


async def test_words_after_the_view_filter_it() -> None:
    async with showing(small()) as (_, pilot):
        await press(pilot, "colon", *"sess", "space", *"bob", "enter")
        await sees(pilot, "Sessions 1 of 2  /bob", "bob-q9")


async def test_sorting_goes_through_the_columns() -> None:
    async with showing(small()) as (_, pilot):
        await goto(pilot, "user")
        await press(pilot, "o")
        await sees(pilot, "TYPE▲", "Sorted by TYPE, rising.")
        await press(pilot, "O")
        screen = await sees(pilot, "TYPE▼", "▌ ", "ci ", "ann ")
        assert screen.index("ci ") < screen.index("ann ")


async def test_history_goes_back_and_forward() -> None:
    async with showing(small()) as (_, pilot):
        await goto(pilot, "user")
        await goto(pilot, "grp")
        await sees(pilot, "Groups 1")
        await press(pilot, "left_square_bracket")
        await sees(pilot, "Users 2")
        await press(pilot, "right_square_bracket")
        await sees(pilot, "Groups 1")


async def test_why_explains_the_selected_entry() -> None:
    async with showing(small()) as (_, pilot):
        await goto(pilot, "access")
        await sees(pilot, "GET /admin", "denied", "GET /x", "following")
        await press(pilot, "up")
        await sees(pilot, "standing still")
        await press(pilot, "x")
        await sees(pilot, "Why? / aaaa-bbbb-24-0000-0002", "add Group ops to User ann")


async def test_the_log_of_one_service() -> None:
    async with showing(small()) as (_, pilot):
        await goto(pilot, "svc")
        await sees(pilot, "▌ db.prod")
        await press(pilot, "l")
        screen = await sees(pilot, "Access log of service db.prod 1", "GET /x")
        assert "wiki" not in screen


async def test_the_authentication_log() -> None:
    async with showing(small()) as (_, pilot):
        await goto(pilot, "authlog")
        await sees(pilot, "no such User", "refused")
        await press(pilot, "d")
        await sees(pilot, "passkey: refused", "198.51.100.7")


async def test_help_and_palette_are_made_from_the_registry() -> None:
    async with showing(small(), size=(100, 90)) as (_, pilot):
        await goto(pilot, "user")
        await sees(pilot, "▌ ann")
        await press(pilot, "question_mark")
        screen = await sees(pilot, "General", "Moving")
        assert all(action.title in screen for action in ACTIONS)
        await press(pilot, "escape", "ctrl+p", *"invite")
        await sees(pilot, "▌Invite")
        await press(pilot, "enter")
        await sees(pilot, "Make a link by which ann signs in?")


async def test_read_only_offers_no_change_and_does_none() -> None:
    data = small()
    async with showing(data, size=(80, 70), readonly=True) as (app, pilot):
        await goto(pilot, "user")
        screen = await sees(pilot, "read-only", "▌ ann")
        assert "Delete" not in screen
        for action in ACTIONS:
            if action.changes:
                await press(pilot, action.keys[0])
        await pilot.pause(0.1)
        assert data.done == []
        await press(pilot, "question_mark")
        assert "Delete" not in await sees(pilot, "Moving")
        assert app.is_running


async def test_a_person_sees_no_administration() -> None:
    data = small()
    service = user_v1.Service(api_version="user/v1", kind="Service")
    service.metadata.name = "wiki.default"
    data.items = {"Service": [service]}
    async with showing(data, size=(80, 70), views=PERSON, person=True, readonly=True) as (_, pilot):
        await sees(pilot, "My Services 1", "wiki.default")
        await press(pilot, "question_mark")
        screen = await sees(pilot, "Moving")
        assert "Invite" not in screen
        assert "authlog" not in screen


async def test_errors_are_told_inert_with_what_to_do() -> None:
    data = small()
    data.failing = ApiError("UNAVAILABLE", "gone \x1b[2J away\u202e", "", "start it again")
    async with showing(data) as (app, pilot):
        await goto(pilot, "user")
        screen = await sees(pilot, "gone \\x1b[2J away\\u202e: start it again")
        assert harmless(screen.replace("\n", ""))
        data.failing = None
        await press(pilot, "ctrl+r")
        await sees(pilot, "Users 2")
        assert app.is_running


async def test_nothing_blocks_and_escape_gives_up() -> None:
    data = small()
    async with showing(data) as (_, pilot):
        await goto(pilot, "user")
        await sees(pilot, "▌ ann")
        data.gate = threading.Event()
        await press(pilot, "d")
        await sees(pilot, "reading…")
        await press(pilot, "down")
        await sees(pilot, "▌ ci")
        await press(pilot, "escape")
        await sees(pilot, "Given up.")
        data.gate.set()
        await pilot.pause(0.1)
        assert "Spec:" not in text(pilot.app)  # type: ignore[arg-type]


async def test_light_and_dark() -> None:
    async with showing(small(), light=True) as (app, pilot):
        await sees(pilot, "Overview")
        assert app.theme == "octelium-light"
        await press(pilot, "ctrl+t")
        assert app.theme == "octelium-dark"


async def test_hostile_texts_are_shown_inert_everywhere() -> None:
    data = small()
    data.items["User"] = [
        item(
            "User", f"u{i}", spec={"groups": [t.encode("utf-8", "replace").decode()], "email": "x"}
        )
        for i, t in enumerate(HOSTILE)
    ]
    data.accesses = [
        access(i, user="ann", service="wiki", path=t.encode("utf-8", "replace").decode(),
               allowed=False, code=403)
        for i, t in enumerate(HOSTILE)
    ]  # fmt: skip
    async with showing(data, size=(200, 60)) as (app, pilot):
        await goto(pilot, "user")
        await sees(pilot, "u21")
        assert harmless(text(app).replace("\n", ""))
        await press(pilot, "d")
        await sees(pilot, "Spec:")
        assert harmless(text(app).replace("\n", ""))
        await press(pilot, "escape")
        await goto(pilot, "access")
        await sees(pilot, "\\x1b[2J", "[bold red]markup[/]")
        assert harmless(text(app).replace("\n", ""))
        await press(pilot, "d")
        await sees(pilot, "Access log / ")
        assert harmless(text(app).replace("\n", ""))


@pytest.mark.parametrize("size", [(20, 5), (40, 10), (300, 100)])
async def test_any_size_is_drawn(size: tuple[int, int]) -> None:
    async with showing(small(), size=size) as (app, pilot):
        for word in ("svc", "sess", "access", "overview"):
            await goto(pilot, word)
            await pilot.pause(0.05)
        assert app.is_running
