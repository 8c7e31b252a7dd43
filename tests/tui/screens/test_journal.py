from __future__ import annotations

import threading

from octelium.tui.journal import access_row
from octelium.tui.screens.browse import UNKNOWN
from tests.tui.fake import access, small
from tests.tui.pictures import goto, press, sees, showing


async def test_a_log_follows_until_one_moves_up() -> None:
    data = small()
    async with showing(data) as (_, pilot):
        await goto(pilot, "access")
        await sees(pilot, "▌ 17:45:43")
        for number in range(4, 30):
            one = access(
                number, user="eve", service="s", path=f"/{number}", allowed=False, code=403
            )
            data.push((access_row(one), one))
        await sees(pilot, "/29", "Access log 29")
        await press(pilot, "up")
        await sees(pilot, "standing still")
        one = access(40, user="eve", service="s", path="/forty", allowed=True, code=200)
        data.push((access_row(one), one))
        screen = await sees(pilot, "Access log 30")
        assert "/forty" not in screen
        await press(pilot, "f")
        await sees(pilot, "following", "/forty")


async def test_nothing_is_counted_while_the_cluster_is_away() -> None:
    data = small()
    async with showing(data) as (_, pilot):
        await sees(pilot, "Overview")
        data.gate = threading.Event()
        await goto(pilot, "access")
        await sees(pilot, f"Access log {UNKNOWN}")
        data.feeds[-1].warn("the Cluster is away")
        await sees(pilot, f"Access log {UNKNOWN}", "The Cluster does not answer.")
        data.gate.set()
        await sees(pilot, "Access log 3", "GET /admin")


async def test_a_log_is_filtered_and_what_was_lost_is_told() -> None:
    data = small()
    async with showing(data) as (_, pilot):
        await goto(pilot, "access")
        await sees(pilot, "GET /admin")
        await press(pilot, "slash", *"denied", "enter")
        await sees(pilot, "1 of 3  /denied")
        data.feeds[-1].lost = 7
        await sees(pilot, "7 entries came too fast to be shown.")
