"""Streams that stand still: what they may hold of the kernel's memory, and who has to go.

A direction of a stream stands still when its target takes no more. Then the buffers of both its
sockets fill up, with up to some megabytes each (tcp(7), tcp_rmem and tcp_wmem), and nobody but the
other side can say for how long. So they are counted, and measured again each second.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import struct
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, Protocol

MOMENT: Final = 10.0
"""Seconds after which what stands still does so for good."""
REVIEW: Final = 1.0
"""Seconds between two looks at what is held."""
MOST_BYTES: Final = 256 << 20
_PART: Final = 16
"""Of the machine's memory, the part that streams may hold, of a process on each core."""
_OF_ALL: Final = 2
"""A User's part of what a process may hold."""
_SO_MEMINFO: Final = 55
_MEMINFO = struct.Struct("=9I")


class Stalled(Protocol):
    """A direction of a stream."""

    @property
    def owner(self) -> str:
        """Whose share it takes."""

    def held(self) -> int:
        """Bytes of memory that wait in it."""

    def give_up(self, error: OSError) -> None:
        """End the stream."""


@dataclass(frozen=True, slots=True)
class StallLimits:
    """Numbers of directions, and bytes, of all and of one owner."""

    most: int = 1024
    most_each: int = 256
    most_bytes: int = MOST_BYTES
    most_bytes_each: int = MOST_BYTES // _OF_ALL

    @classmethod
    def of(cls, most: int, most_each: int, memory: int, cores: int) -> StallLimits:
        """Those of a process on a machine with so many bytes of memory, and cores."""
        most_bytes = min(MOST_BYTES, memory // _PART // cores)
        return cls(most, most_each, most_bytes, most_bytes // _OF_ALL)


class _Share:
    """What one owner has. `since` tells when something moved last; the longest unmoved is first."""

    __slots__ = ("bytes", "held", "since")

    def __init__(self) -> None:
        self.since: OrderedDict[Stalled, float] = OrderedDict()
        self.held: dict[Stalled, int] = {}
        self.bytes = 0


class Stalls:
    """The directions that stand still, within limits.

    Whatever is one too many ends the one in which nothing moved longest: of its own owner if that
    has too many, else of whoever has most. Half of an owner's share, and all that an owner holds
    beyond its bytes, is for those that stand still for a moment only, as they do where a network is
    slow. Where all together hold too much, the owner who holds most loses one after the other.

    Attributes:
        ended: streams that had to make room for others.
        count: directions that stand still.
        bytes: what they held when last looked at.
    """

    def __init__(self, limits: StallLimits | None = None) -> None:
        self.limits = limits or StallLimits()
        self.ended = 0
        self.count = 0
        self.bytes = 0
        self._shares: dict[str, _Share] = {}
        self._timer: asyncio.TimerHandle | None = None

    def hold(self, stalled: Stalled) -> None:
        """A direction stands still from now on; or something has moved, but not all."""
        share = self._shares.setdefault(stalled.owner, _Share())
        now = asyncio.get_running_loop().time()
        news = stalled not in share.since
        share.since[stalled] = now
        if not news:
            share.since.move_to_end(stalled)
            return
        self.count += 1
        self._measure(share, stalled)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(REVIEW, self._tick)
        if len(share.since) > self.limits.most_each:
            self._make_room(share)
        elif self.count > self.limits.most:
            self._make_room(max(self._shares.values(), key=lambda each: len(each.since)))
        half = self.limits.most_each // 2
        while len(share.since) > half and now - next(iter(share.since.values())) >= MOMENT:
            self._make_room(share)
        self._fit()

    def release(self, stalled: Stalled) -> None:
        """A direction does not stand still, or not any more."""
        share = self._shares.get(stalled.owner)
        if share is not None and stalled in share.since:
            del share.since[stalled]
            held = share.held.pop(stalled)
            share.bytes -= held
            self.bytes -= held
            self.count -= 1
            if not share.since:
                del self._shares[stalled.owner]

    def review(self) -> None:
        """Look again at what is held: buffers fill up while a direction stands still."""
        now = asyncio.get_running_loop().time()
        for share in list(self._shares.values()):
            for stalled in list(share.since):
                self._measure(share, stalled)
            most = self.limits.most_bytes_each
            while share.bytes > most and now - next(iter(share.since.values())) >= MOMENT:
                self._make_room(share)
        self._fit()

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self._timer = None
        self.review()
        if self.count:
            self._timer = asyncio.get_running_loop().call_later(REVIEW, self._tick)

    def _measure(self, share: _Share, stalled: Stalled) -> None:
        held = stalled.held()
        more = held - share.held.get(stalled, 0)
        share.held[stalled] = held
        share.bytes += more
        self.bytes += more

    def _fit(self) -> None:
        while self.bytes > self.limits.most_bytes:
            self._make_room(max(self._shares.values(), key=lambda each: each.bytes))

    def _make_room(self, share: _Share) -> None:
        self.ended += 1
        problem = "the stream stood still, and others needed its place"
        longest = next(iter(share.since))
        self.release(longest)
        longest.give_up(OSError(errno.ENOBUFS, problem))


def kernel_bytes(source: socket.socket | None, target: socket.socket | None) -> int:
    """The memory of what waits to be read from one socket and to leave by another one.

    It is counted as the kernel does, with what packets take beside their data (sock_diag(7),
    SK_MEMINFO_RMEM_ALLOC and SK_MEMINFO_WMEM_QUEUED). Of a closed socket, and of None, it is none.
    """
    return _memory(source)[0] + _memory(target)[5]


def _memory(one: socket.socket | None) -> tuple[int, ...]:
    if one is None:
        return (0,) * 9
    try:
        data = one.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
    except OSError as error:
        if error.errno != errno.EBADF:
            raise
        return (0,) * 9
    return _MEMINFO.unpack(data)


def memory() -> int:
    """Bytes of memory that this machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
