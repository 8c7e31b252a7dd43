"""Times that a busy machine only makes longer."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def best(measure: Callable[[], float], bar: float, tries: int = 8) -> float:
    """The least of so many measurements, or the first one below a bar.

    Each measures the same thing anew. What else a machine does adds to a time and takes nothing
    off, so the least one is nearest to what is measured; something slow is slow every time.
    """
    least = float("inf")
    for _ in range(tries):
        least = min(least, measure())
        if least < bar:
            break
    return least
