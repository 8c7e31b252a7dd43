from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from octelium.tui.inert import cell
from octelium.tui.lines import Line, Tone
from octelium.tui.pager import folded
from tests.tui.fake import small
from tests.tui.pictures import goto, press, sees, showing


@given(st.lists(st.text(max_size=120).map(cell), max_size=6), st.integers(8, 60))
def test_rows_fit_and_lose_nothing(texts: list[str], width: int) -> None:
    rows = folded([Line(text, Tone.DIM) for text in texts], width)
    assert all(cell_len(row.text) <= width for row in rows)
    assert all(row.tone is Tone.DIM for row in rows)
    kept = "".join(row.text.replace(" ", "") for row in rows)
    assert kept == "".join(text.replace(" ", "") for text in texts)


def test_what_goes_on_stands_below_its_beginning() -> None:
    assert [row.text for row in folded([Line("    one two three four")], 14)] == [
        "    one two", "    three four"
    ]  # fmt: skip


async def test_keys_move_the_lines() -> None:
    async with showing(small()) as (_, pilot):
        await goto(pilot, "svc")
        await sees(pilot, "▌ db.prod")
        await press(pilot, "question_mark")
        await sees(pilot, " General")
        await press(pilot, "end")
        screen = await sees(pilot, "What is dim cannot be done here.")
        assert " General" not in screen
        await press(pilot, "home")
        await sees(pilot, " General")
