"""What work costs, told so that a busy machine does not change the answer."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

_TRIES: Final = 8


def calls(work: Callable[[], object]) -> int:
    """Function calls, of Python and of C, that work makes in this thread: the same everywhere.

    What work does within one call of C is not seen.
    """
    with _counted() as count:
        work()
    return count[0]


async def calls_awaited(work: Callable[[], Awaitable[object]]) -> int:
    """`calls` of what is awaited, with all that the event loop does meanwhile."""
    with _counted() as count:
        await work()
    return count[0]


@contextmanager
def _counted() -> Iterator[list[int]]:
    count = [0]

    def note(_frame: Any, event: str, _argument: Any) -> None:
        count[0] += event.endswith("call")

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        yield count
    finally:
        sys.setprofile(before)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """CPU seconds of this thread after which something would hold up a worker.

    Only for what takes minutes where it goes wrong and a fortieth of the limit where it goes right:
    that no machine mistakes.
    """
    began = time.thread_time()
    yield
    spent = time.thread_time() - began
    assert spent < seconds, f"{spent:.2f} s of CPU"


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
