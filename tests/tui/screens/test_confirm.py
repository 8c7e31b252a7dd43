from __future__ import annotations

import pytest

from octelium.tui.screens.confirm import Confirm
from tests.tui.fake import small
from tests.tui.pictures import press, sees, showing, until


@pytest.mark.parametrize(
    ("key", "answer"), [("y", True), ("Y", True), ("n", False), ("escape", None), ("enter", None)]
)
async def test_answers(key: str, answer: bool | None) -> None:
    async with showing(small()) as (app, pilot):
        found: list[bool | None] = []
        app.question(Confirm("Do it \x1b?", found.append, "a detail"))
        await sees(pilot, "Do it \\x1b?", "a detail", "y  yes")
        await press(pilot, "x", key)
        await until(pilot, lambda: bool(found))
        assert found == [answer]


async def test_a_long_detail_is_moved() -> None:
    async with showing(small()) as (app, pilot):
        detail = "\n".join(f"line {number}" for number in range(30))
        app.question(Confirm("Do it?", lambda _: None, detail))
        await sees(pilot, "Do it?", "line 5")
        await press(pilot, "end")
        await sees(pilot, "line 29", "y  yes")
