"""What was fetched lately, so that many logins cause few requests."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from octelium.authserver.providers.fetch import FetchError
from octelium.http.tasks import spawn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

_LOG = logging.getLogger(__name__)
K = TypeVar("K", bound="Hashable")
V = TypeVar("V")


@dataclass(slots=True)
class _Entry(Generic[V]):
    """What is known of a key. Times are of the cache's clock."""

    value: V | None = None
    made: float = 0.0
    tried: float | None = None
    problem: str = ""
    running: asyncio.Task[None] | None = None


class Cache(Generic[K, V]):
    """Values by key, made by `make`, which raises FetchError when it cannot.

    A value is fresh for `lifetime` seconds. `make` runs once at a time for a key, and at most once
    in `pause` seconds, also when it fails; in that case a value that is younger than `keep` seconds
    stays good, so that nobody can make known things unknown by asking for unknown ones.
    """

    def __init__(
        self,
        make: Callable[[K], Awaitable[V]],
        *,
        lifetime: float,
        pause: float,
        keep: float = 0.0,
        most: int = 128,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make = make
        self._lifetime = lifetime
        self._pause = pause
        self._keep = max(keep, lifetime)
        self._most = most
        self._clock = clock
        self._entries: OrderedDict[K, _Entry[V]] = OrderedDict()

    async def get(self, key: K, *, younger: float | None = None) -> V:
        """The value of `key`, if possible one that was made less than `younger` seconds ago.

        Raises:
            FetchError: there is no value to be had.
        """
        entry = self._entry(key)
        wanted = self._lifetime if younger is None else younger
        if entry.value is not None and self._clock() - entry.made < wanted:
            return entry.value
        if entry.running is None and (
            entry.tried is None or self._clock() - entry.tried >= self._pause
        ):
            entry.running = spawn(self._renew(key, entry), name="fetching for IdentityProviders")
        if entry.running is not None:  # it goes on when this caller does not
            await asyncio.shield(entry.running)
        if entry.value is not None and self._clock() - entry.made < self._keep:
            return entry.value
        raise FetchError(entry.problem)

    async def _renew(self, key: K, entry: _Entry[V]) -> None:
        entry.tried = self._clock()
        entry.problem = "what was fetched a moment ago cannot be used"
        try:
            entry.value = await self._make(key)
        except FetchError as error:
            entry.problem = str(error)
            _LOG.warning("%s", error)
        else:
            entry.made = entry.tried
        finally:
            entry.running = None

    def _entry(self, key: K) -> _Entry[V]:
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = _Entry()
            if len(self._entries) > self._most:
                self._entries.popitem(last=False)
        else:
            self._entries.move_to_end(key)
        return entry
