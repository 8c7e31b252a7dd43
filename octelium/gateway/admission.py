"""When a Session's peer is let in: once everybody who decides knows whose address it has.

The feed hands a commit to one reader after the other and then publishes its revision, by which
workers tell that they are behind. Until then a packet of a new peer could reach a worker to which
its address is nobody's, or still that of another Session.

Who is a peer no more stays for a moment, so that the ends of its connections still reach it, which
workers cut at the same commit. What it sends then is nobody's, and refused; its address rests. One
with another key goes at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from octelium.gateway.keeper import PeerKeeper
    from octelium.gateway.view import View

_AGAIN = 0.001
LINGER = 0.25
"""Seconds for which the tunnel of a Session that has ended stays."""


class Committed(Protocol):
    """The greatest revision that every reader has been handed."""

    @property
    def value(self) -> int:
        """The revision."""


class Admission:
    """Hands what a view hears of to a keeper, in an event loop, from `start` to `close`."""

    def __init__(
        self, view: View, keeper: PeerKeeper, committed: Committed, *, linger: float = LINGER
    ) -> None:
        self._view = view
        self._keeper = keeper
        self._committed = committed
        self._linger = linger
        self._waiting: set[str] = set()
        self._leaving: deque[tuple[asyncio.TimerHandle, list[str]]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Take over everybody who is connected now, and whoever comes."""
        self._view.listeners.append(self._take)
        self._take([*self._view.peers])

    def close(self) -> None:
        """Take over nothing more."""
        self._view.listeners.remove(self._take)
        if self._timer is not None:
            self._timer.cancel()
        for timer, _ in self._leaving:
            timer.cancel()

    def _take(self, uids: Iterable[str]) -> None:
        peers = self._view.peers
        self._keeper.remove([uid for uid in uids if uid in peers], peers)
        if gone := [uid for uid in uids if uid not in peers and uid in self._keeper.present]:
            timer = asyncio.get_running_loop().call_later(self._linger, self._remove)
            self._leaving.append((timer, gone))
        self._waiting.update(uids)
        if self._timer is None:
            self._admit()

    def _remove(self) -> None:
        """Drop those who left first, unless they are back."""
        _, gone = self._leaving.popleft()
        self._keeper.remove(gone, self._view.peers)

    def _admit(self) -> None:
        self._timer = None
        if not self._waiting:
            return
        if self._committed.value < self._view.handed:
            self._timer = asyncio.get_running_loop().call_later(_AGAIN, self._admit)
            return
        waiting, self._waiting = self._waiting, set()
        self._keeper.admit(waiting, self._view.peers)
