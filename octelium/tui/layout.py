"""How columns share the width of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from octelium.tui.rows import Column

GAP: Final = 2
"""Columns of the terminal between two of the table."""


def layout(columns: Sequence[Column], wanted: Sequence[int], room: int) -> list[tuple[int, int]]:
    """Which columns are shown, and how wide: index and width. `wanted` 0: nothing stands there.

    The first column is always shown. What is too wide shrinks, the widest first, no further than
    to its `least`; then the columns of the highest rank go.
    """
    chosen = [index for index in range(len(columns)) if wanted[index] or not index]
    while True:
        widths = {
            index: min(max(wanted[index], len(columns[index].title)), columns[index].most)
            for index in chosen
        }
        excess = sum(widths.values()) + GAP * (len(chosen) - 1) - room
        while excess > 0:
            slack = {index: widths[index] - columns[index].least for index in chosen}
            loose = [index for index in chosen if slack[index] > 0]
            if not loose:
                break
            index = max(loose, key=lambda index: (widths[index], columns[index].rank))
            cut = min(slack[index], max(1, excess // 2))
            widths[index] -= cut
            excess -= cut
        if excess <= 0 or len(chosen) == 1:
            if excess > 0:
                widths[chosen[0]] = max(1, widths[chosen[0]] - excess)
            return [(index, widths[index]) for index in chosen]
        chosen.remove(max(chosen[1:], key=lambda index: (columns[index].rank, index)))
