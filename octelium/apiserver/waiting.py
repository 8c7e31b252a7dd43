"""Calls whose request has not arrived yet: for how long, and how many of them.

A call costs its caller nothing until it sends something, so calls that stay silent must not keep
others out. When there are too many, the one that has waited longest goes: a client that means it
sends its request at once.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_SHARE = 4
"""One caller may have the `_SHARE`th part of all places."""


class Waiting:
    """The places of one server. `most` of them; nobody keeps one longer than `seconds`."""

    def __init__(self, most: int, seconds: float) -> None:
        self._most = most
        self._share = max(1, most // _SHARE)
        self._seconds = seconds
        # Both in the order of arrival.
        self._all: dict[asyncio.Timeout, str] = {}
        self._by_caller: dict[str, dict[asyncio.Timeout, None]] = {}

    def __len__(self) -> int:
        return len(self._all)

    @asynccontextmanager
    async def place(self, caller: str) -> AsyncIterator[None]:
        """A place for as long as the block runs.

        Raises:
            TimeoutError: `seconds` went by, or the place was given to somebody else.
        """
        async with asyncio.timeout(self._seconds) as deadline:
            self._take(deadline, caller)
            try:
                yield
            finally:
                self._leave(deadline)

    def _take(self, deadline: asyncio.Timeout, caller: str) -> None:
        own = self._by_caller.get(caller, {})
        if len(own) >= self._share:
            self._evict(next(iter(own)))
        elif len(self._all) >= self._most:
            self._evict(next(iter(self._all)))
        self._all[deadline] = caller
        self._by_caller.setdefault(caller, {})[deadline] = None

    def _leave(self, deadline: asyncio.Timeout) -> None:
        caller = self._all.pop(deadline, None)
        if caller is None:
            return
        own = self._by_caller[caller]
        del own[deadline]
        if not own:
            del self._by_caller[caller]

    def _evict(self, deadline: asyncio.Timeout) -> None:
        self._leave(deadline)
        if not deadline.expired():  # else it is on its way out
            deadline.reschedule(asyncio.get_running_loop().time())
