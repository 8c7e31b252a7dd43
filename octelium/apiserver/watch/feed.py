"""What is being told at present, and how far each who watches has come.

There is one sequence of changes for all. It begins where the slowest reader is, and exists only
while somebody reads. A reader is a place in it: one that takes nothing keeps nothing in memory of
its own, and loses its place when the sequence has grown too long.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from octelium.apiserver.watch.told import tell
from octelium.store.errors import Compacted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from octelium.apiserver.watch.told import Told
    from octelium.store.resources import Committed, Resources

MOST_CHANGES: Final = 8192
MOST_BYTES: Final = 32 << 20
"""About; the changes of one commit are kept together, however many they are."""
_SLACK: Final = 256
"""Changes that everybody has, before they are dropped."""


class Reader:
    """A place in the sequence, at first its end. `revision` is the last one before it."""

    def __init__(self, feed: Feed, place: int, revision: int) -> None:
        self.place = place
        self.revision = revision
        self._feed = feed
        self._more = asyncio.Event()

    def wake(self) -> None:
        """Tell that there is more."""
        self._more.set()

    async def wait(self, seconds: float) -> None:
        """Wait until there is more, at most so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._more.wait()

    def take(self, most: int, size: int = MOST_BYTES) -> list[Told]:
        """The next changes, at most so many, and no more once they have reached about `size` bytes.

        Raises:
            Compacted: They are not kept any more.
        """
        found = self._feed.slice(self.place, most, size)
        self.place += len(found)
        if found:
            last = found[-1]
            self.revision = last.revision if last.ends else last.revision - 1
        if not self._feed.goes_beyond(self.place):
            self._more.clear()
        return found

    @property
    def is_behind(self) -> bool:
        """Whether there is something to take."""
        return self._feed.goes_beyond(self.place)


class Feed:
    """The sequence of changes that are being told."""

    def __init__(
        self, resources: Resources, *, changes: int = MOST_CHANGES, size: int = MOST_BYTES
    ) -> None:
        self._resources = resources
        self._most_changes = changes
        self._most_bytes = size
        self._told: list[Told] = []
        self._begin = 0
        self._size = 0
        self._readers: set[Reader] = set()
        self._unsubscribe: Callable[[], None] | None = None

    def __len__(self) -> int:
        """How many changes are kept."""
        return len(self._told)

    @contextlib.contextmanager
    def reader(self) -> Iterator[Reader]:
        """A reader of what is committed from now on."""
        reader = Reader(self, self._begin + len(self._told), self._resources.revision)
        self._readers.add(reader)
        if self._unsubscribe is None:
            self._unsubscribe = self._resources.subscribe(self._take)
        try:
            yield reader
        finally:
            self._readers.discard(reader)
            if not self._readers:
                self._unsubscribe()
                self._unsubscribe = None
            self._drop_known()

    def goes_beyond(self, place: int) -> bool:
        """Whether there is a change at a place, or was."""
        return place < self._begin + len(self._told)

    def slice(self, place: int, most: int, size: int) -> list[Told]:
        """Changes from a place on, as `Reader.take`.

        Raises:
            Compacted: The place lies before what is kept.
        """
        if place < self._begin:
            raise Compacted("the changes were read too slowly: list anew, then watch from there")
        if place - self._begin > _SLACK:
            self._drop_known()
        start = end = place - self._begin
        last = min(start + most, len(self._told))
        while end < last and size > 0:
            size -= self._told[end].size
            end += 1
        return self._told[start:end]

    def _take(self, committed: Committed) -> None:
        for told in tell(committed):
            self._told.append(told)
            self._size += told.size
        self._bound(committed.revision)
        for reader in self._readers:
            reader.wake()

    def _bound(self, newest: int) -> None:
        """Drop the older half once there is too much; who still wants it has lost its place."""
        if len(self._told) <= self._most_changes and self._size <= self._most_bytes:
            return
        self._drop_known()
        count, size = len(self._told), self._size
        if count <= self._most_changes and size <= self._most_bytes:
            return
        gone = 0
        for told in self._told:
            if told.revision == newest or (
                count <= self._most_changes // 2 and size <= self._most_bytes // 2
            ):
                break
            gone, count, size = gone + 1, count - 1, size - told.size
        self._drop(gone)

    def _drop_known(self) -> None:
        """Drop what every reader has taken that did not lose its place."""
        end = self._begin + len(self._told)
        places = (reader.place for reader in self._readers if reader.place >= self._begin)
        self._drop(min(places, default=end) - self._begin)

    def _drop(self, count: int) -> None:
        if count > 0:
            self._size -= sum(told.size for told in self._told[:count])
            del self._told[:count]
            self._begin += count
