from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from octelium.tui.layout import GAP, layout
from octelium.tui.rows import Column

_columns = st.lists(
    st.builds(
        lambda title, rank, least, more: Column(
            title, lambda _: "", rank=rank, least=least, most=least + more
        ),
        st.text("ABC", min_size=1, max_size=8),
        st.integers(0, 6),
        st.integers(1, 20),
        st.integers(0, 30),
    ),
    min_size=1,
    max_size=9,
)


@given(_columns, st.lists(st.integers(0, 120), min_size=9, max_size=9), st.integers(1, 250))
def test_what_is_shown_fits(columns: list[Column], wanted: list[int], room: int) -> None:
    chosen = layout(columns, wanted, room)
    assert chosen[0][0] == 0
    assert sum(width for _, width in chosen) + GAP * (len(chosen) - 1) <= room
    assert all(width >= 1 for _, width in chosen)
    assert [index for index, _ in chosen] == sorted(index for index, _ in chosen)


def test_empty_columns_and_high_ranks_go_first() -> None:
    columns = [Column(title, lambda _: "", rank=rank, least=8, most=20)
               for title, rank in (("NAME", 0), ("A", 5), ("B", 1), ("C", 3))]  # fmt: skip
    assert [index for index, _ in layout(columns, [8, 8, 0, 8], 100)] == [0, 1, 3]
    assert [index for index, _ in layout(columns, [8, 8, 8, 8], 30)] == [0, 2, 3]
    assert layout(columns, [20, 8, 8, 8], 5) == [(0, 5)]
