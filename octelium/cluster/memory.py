"""Memory that was needed for a while goes back to the kernel.

glibc keeps what is freed between blocks that are still in use; see malloc_trim(3). After a burst,
such as a thousand clients that connect at once, that is a large part of a process.
"""

from __future__ import annotations

import asyncio
import ctypes
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

EVERY: Final = 10.0
"""Seconds between two looks at how much the process has done."""
_CALM: Final = 0.05
"""Of a core: whoever does more is busy, and is not held up for milliseconds."""


def trim() -> None:
    """Give back what is free. Does nothing where the C library is another."""
    call = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if call is not None:
        call(ctypes.c_size_t(0))


async def give_back(
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    used: Callable[[], float] = time.process_time,
    give: Callable[[], None] = trim,
) -> None:
    """Give back once whenever the process, having been busy, is calm; until cancelled.

    `used` tells the seconds of CPU that the process has had.
    """
    before, was_busy = used(), True
    while True:
        await sleep(EVERY)
        now = used()
        is_busy = now - before > EVERY * _CALM
        if was_busy and not is_busy:
            give()
            now = used()
        before, was_busy = now, is_busy
