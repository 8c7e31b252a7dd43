from __future__ import annotations

from octelium.tui.lines import told
from tests.tui.fake import small
from tests.tui.pictures import press, sees, showing


async def test_a_page_lies_over_the_view_and_is_closed() -> None:
    async with showing(small()) as (app, pilot):
        await sees(pilot, "Overview")
        app.show_page("A page", told("some \x1b text"))
        await sees(pilot, "A page", "some \\x1b text")
        await press(pilot, "escape")
        await sees(pilot, "Overview", "Requests")
