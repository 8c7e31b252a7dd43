"""Queues in which everybody has a turn, however many things one of them waits for."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

T = TypeVar("T")


class Turns(Generic[T]):
    """What waits, by who asked for it. Each thing waits once."""

    __slots__ = ("_queues",)

    def __init__(self) -> None:
        self._queues: OrderedDict[Hashable, OrderedDict[T, None]] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._queues)

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    def add(self, asker: Hashable, thing: T) -> None:
        """Let a thing wait behind those of the same asker; one that waits keeps its place."""
        self._queues.setdefault(asker, OrderedDict())[thing] = None

    def discard(self, asker: Hashable, thing: T) -> None:
        """Let a thing wait no longer; harmless if it does not."""
        queue = self._queues.get(asker)
        if queue is not None:
            queue.pop(thing, None)
            if not queue:
                del self._queues[asker]

    def take(self, may: Callable[[Hashable], bool] | None = None) -> T | None:
        """The next thing of the asker whose last turn is the longest ago, or None.

        Askers that `may` says no of keep waiting.
        """
        for asker, queue in self._queues.items():
            if may is None or may(asker):
                thing, _ = queue.popitem(last=False)
                if queue:
                    self._queues.move_to_end(asker)
                else:
                    del self._queues[asker]
                return thing
        return None
