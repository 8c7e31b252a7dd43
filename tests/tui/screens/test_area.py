from __future__ import annotations

from octelium.tui.lines import Tone
from tests.tui.fake import small
from tests.tui.pictures import sees, showing


async def test_every_screen_has_its_bars() -> None:
    async with showing(small()) as (app, pilot):
        screen = await sees(pilot, "Overview", "? Help")
        assert len(screen.splitlines()) == 24
        area = app.area
        assert area is not None
        area.tell("done", Tone.GOOD)
        await sees(pilot, "done")
        assert area.row() is None
        assert area.place().screen == "overview"
