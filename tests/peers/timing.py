"""Times that a busy machine only makes longer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_TRIES: Final = 8


def best(measure: Callable[[], float], bar: float) -> float:
    """The least of several measurements, or the first one below a bar.

    Each measures the same thing anew. What else a machine does adds to a time and takes nothing
    off, so the least one is nearest to what is measured; something slow is slow every time.
    """
    least = float("inf")
    for _ in range(_TRIES):
        least = min(least, measure())
        if least < bar:
            break
    return least


async def best_awaited(measure: Callable[[], Awaitable[float]], bar: float) -> float:
    """`best` of what is awaited."""
    least = float("inf")
    for _ in range(_TRIES):
        least = min(least, await measure())
        if least < bar:
            break
    return least
