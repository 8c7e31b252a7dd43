from __future__ import annotations

import pytest

from octelium.tui.screens.question import Question, style_sheet
from tests.tui.fake import small
from tests.tui.pictures import goto, press, sees, showing, until


def test_each_class_has_its_style_sheet() -> None:
    assert "{" + "name}" not in style_sheet("Ask", "2")
    assert "Ask Pager { height: 2; }" in style_sheet("Ask", "2")


@pytest.mark.parametrize("key", ["escape", "ctrl+c", "ctrl+q"])
async def test_a_question_is_given_up_and_the_view_is_back(key: str) -> None:
    async with showing(small()) as (app, pilot):
        await goto(pilot, "user")
        await sees(pilot, "▌ ann")
        for opening in ("colon", "slash", "i"):
            await press(pilot, opening, key)
            await until(pilot, lambda: len(app.screen_stack) == 2)
        assert not isinstance(app.screen, Question)
        assert app.is_running
