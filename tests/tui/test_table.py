from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.tui.app import Terminal
from octelium.tui.data import Update
from octelium.tui.kinds import ADMINISTRATION
from octelium.tui.screens.browse import Browse
from tests.tui.fake import Fake, item
from tests.tui.pictures import goto, press, sees, showing, text, until

if TYPE_CHECKING:
    import pytest

    from octelium.tui.rows import Row

VIEW = next(view for view in ADMINISTRATION if view.id == "user")


def many(count: int) -> Fake:
    return Fake({"User": [item("User", f"user-{number:05}") for number in range(count)]})


async def test_only_rows_that_are_seen_are_drawn() -> None:
    async with showing(many(5000)) as (app, pilot):
        await goto(pilot, "user")
        await sees(pilot, "Users 5000", "▌ user-00000")
        area = app.area
        assert isinstance(area, Browse)
        drawn: list[int] = []
        at = area.model.at

        def watched(index: int) -> Row:
            drawn.append(index)
            return at(index)

        area.model.at = watched  # type: ignore[method-assign]  # to watch it
        await press(pilot, "end")
        await sees(pilot, "▌ user-04999")
        assert len(set(drawn)) < 100
        await press(pilot, "pageup", "home")
        await sees(pilot, "▌ user-00000")


async def test_the_selected_row_stays_where_it_is_as_others_come() -> None:
    data = many(100)
    async with showing(data) as (app, pilot):
        await goto(pilot, "user")
        await sees(pilot, "▌ user-00000")
        await press(pilot, "pagedown", "pagedown")
        await sees(pilot, "▌ user-00038")
        before = [line.find("▌") for line in text(app).splitlines()].index(0)
        data.push(Update([VIEW.row(item("User", f"a-{number}")) for number in range(5)]))
        screen = await sees(pilot, "Users 105", "▌ user-00038")
        assert [line.find("▌") for line in screen.splitlines()].index(0) == before


async def test_the_mouse_selects_and_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Terminal, "CLICK_CHAIN_TIME_THRESHOLD", 60.0)
    async with showing(many(100)) as (app, pilot):
        await goto(pilot, "user")
        await sees(pilot, "▌ user-00000")
        await pilot.click(offset=(5, 6))
        await sees(pilot, "▌ user-00004")
        area = app.area
        assert isinstance(area, Browse)
        await pilot.click(area.table, offset=(5, 3), times=2)
        await until(pilot, lambda: "Spec:" in text(app))


async def test_an_empty_table_says_so() -> None:
    async with showing(Fake()) as (_, pilot):
        await goto(pilot, "user")
        await sees(pilot, "There are no users.")
        await press(pilot, "down", "end", "d", "enter")
        await sees(pilot, "There are no users.")


async def test_what_an_empty_table_says_is_folded() -> None:
    words = " ".join(f"word-{number}" for number in range(20))
    async with showing(many(0)) as (app, pilot):
        await goto(pilot, "user")
        await sees(pilot, "There are no users.")
        area = app.area
        assert isinstance(area, Browse)
        area.table.empty = words
        area.table.refresh()
        await sees(pilot, "word-0 ", "word-19")
