from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from octelium.cli.table import shortened, table, width


def test_columns_are_aligned_without_lines_around() -> None:
    text = table(["NAME", "PORT"], [["wiki.default", "80"], ["a", ""]])
    assert text == "NAME          PORT\nwiki.default  80\na             -"


def test_wide_characters_take_two_columns() -> None:
    assert width("大") == 2
    assert width("e\u0301") == 1
    assert table(["A", "B"], [["大", "x"], ["ab", "y"]]) == "A   B\n大  x\nab  y"


@given(st.lists(st.tuples(st.text(), st.text(), st.text()), max_size=4))
def test_one_line_for_each_row(rows: list[tuple[str, str, str]]) -> None:
    lines = table(["A", "B", "C"], rows).split("\n")
    assert len(lines) == len(rows) + 1


def test_what_is_too_long_is_cut() -> None:
    assert shortened("abc", 3) == "abc"
    assert shortened("abcd", 3) == "ab…"
    assert shortened("\u4e2d\u4e2d\u4e2d", 4) == "\u4e2d…"


def test_one_long_name_does_not_multiply_with_the_rows() -> None:
    text = table(["NAME", "PORT"], [["x" * 100_000, "80"], *([["a", "1"]] * 1000)])
    assert len(text) < 500_000
    assert "x" * 100_000 + "  80" in text
