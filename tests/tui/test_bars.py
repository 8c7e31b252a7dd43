from __future__ import annotations

from tests.tui.fake import small
from tests.tui.pictures import goto, sees, showing, text


async def test_the_bars_tell_where_one_is_and_what_can_be_done() -> None:
    async with showing(small()) as (app, pilot):
        await goto(pilot, "sess")
        screen = await sees(pilot, "Sessions 2", "root@octelium.localhost", "^d Revoke")
        assert screen.splitlines()[0].startswith(" Sessions 2")
        assert "? Help" in screen.splitlines()[-1]
        app.tell("said \x1b[2J this\nand that")
        await sees(pilot, "said \\x1b[2J this\\nand that")
        assert len(text(app).splitlines()) == 24
