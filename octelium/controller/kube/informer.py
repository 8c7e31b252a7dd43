"""Objects of one kind, kept as they are at the server: listed once, then watched.

A watch goes on from the last version seen, also after an interruption. Where the server no longer
knows that version (410) everything is listed again, and so it is at times anyway, should a watch
ever have missed something. See Kubernetes, "API concepts", "Efficient detection of changes".
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from typing import TYPE_CHECKING, Any, Protocol

from octelium.controller.backoff import Backoff
from octelium.controller.kube.api import OPEN
from octelium.controller.kube.errors import (
    AbsentError,
    BusyError,
    ExpiredError,
    KubeError,
    RefusedError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Hashable

    from octelium.controller.kube.api import Listing
    from octelium.controller.kube.kinds import Kind

_LOG = logging.getLogger(__name__)

RESYNC = 300.0
"""Seconds after which everything is listed again."""
SILENCE = 150.0
"""Seconds without a word, twice the server's longest pause, after which a connection is dead."""
SHORTEST = 1.0
"""Seconds that lie at least between the beginnings of two lists, or of two watches."""
HEALTHY = 10.0
"""Seconds after which an open watch counts as well, even if nothing happens."""
REFUSED = 30.0
"""Seconds until a list that is refused is tried again."""

Object = dict[str, Any]


class Watching(Protocol):
    """The calls that an informer needs."""

    async def list(self, kind: Kind, selector: str = "") -> Listing:
        """All of them."""

    def watch(
        self, kind: Kind, selector: str, version: str, *, seconds: int, silence: float
    ) -> AsyncGenerator[tuple[str, Object]]:
        """What happens after a version."""


def whole(value: Object) -> Object:
    """Nothing of the object is left out."""
    return value


class Informer:
    """The objects of `kind` with the labels of `selector`, by name.

    `trim` leaves out what nobody reads, for the sake of memory. `group` says under which key an
    object is found with `of`; None leaves it out altogether. `heard` is told the group of each
    object that came, changed or went.
    """

    def __init__(
        self,
        api: Watching,
        kind: Kind,
        selector: str,
        *,
        group: Callable[[Object], Hashable | None],
        heard: Callable[[Hashable], None],
        trim: Callable[[Object], Object] = whole,
        resync: float = RESYNC,
        silence: float = SILENCE,
    ) -> None:
        self._api = api
        self._selector = selector
        self._group = group
        self._heard = heard
        self._trim = trim
        self._resync = resync
        self._silence = silence
        self._backoff = Backoff(0.25, 10.0)
        self._version = ""
        self._listed = -SHORTEST
        self._list_at = 0.0
        self._opened = float("inf")
        self._grouped: dict[Hashable, dict[str, Object]] = {}
        self.kind = kind
        self.objects: dict[str, tuple[Hashable, Object]] = {}
        self.synced = False
        """Whether there has been a list."""
        self.trouble: KubeError | None = None
        """Why it does not hear of changes at present; None if it does."""
        self.listed: list[Callable[[], None]] = []
        """Called after each list."""
        self.recovered: list[Callable[[], None]] = []
        """Called when the server answers again after a failure."""

    def of(self, group: Hashable) -> dict[str, Object]:
        """The objects of a group, by name."""
        return self._grouped.get(group, {})

    @property
    def groups(self) -> tuple[Hashable, ...]:
        """All groups that have objects."""
        return tuple(self._grouped)

    def put(self, value: Object) -> None:
        """Take an answer of the server over at once, unless something newer has been heard."""
        name = str(value["metadata"]["name"])
        before = self.objects.get(name)
        newest = {"metadata": {"resourceVersion": self._version}} if before is None else before[1]
        if not _older(value, newest):
            self._store(name, value)

    def going(self, name: str) -> None:
        """An object has been deleted: it counts as on its way out until the server says more."""
        before = self.objects.get(name)
        if before is not None and not before[1]["metadata"].get("deletionTimestamp"):
            group, value = before
            value = {**value, "metadata": {**value["metadata"], "deletionTimestamp": "sent"}}
            self.objects[name] = (group, value)
            self._grouped[group][name] = value

    async def run(self) -> None:
        """List and watch until cancelled."""
        while True:
            try:
                await self._round()
            except ExpiredError as error:
                _LOG.info("%s are listed again: %s", self.kind.plural, error)
                self._version = ""
            except KubeError as error:
                if self.trouble is None or str(self.trouble) != str(error):
                    _LOG.warning("%s are not followed: %s", self.kind.plural, error)
                self.trouble = error
                if time.monotonic() > self._opened + HEALTHY:
                    # What broke had been well: this is a first failure.
                    self._backoff.reset()
                    self._opened = float("inf")
                slow = isinstance(error, RefusedError | AbsentError)
                asked = error.retry_after if isinstance(error, BusyError) else 0.0
                await asyncio.sleep(self._backoff.next(REFUSED if slow else asked))

    async def _round(self) -> None:
        if not self._version:
            await asyncio.sleep(max(0.0, self._listed + SHORTEST - time.monotonic()))
            listing = await self._api.list(self.kind, self._selector)
            self._replace(listing)
            self._listed = time.monotonic()
            # Not all informers are to list at the same moment; nobody gains by guessing when.
            self._backoff.reset()
            self._list_at = self._listed + self._resync * random.uniform(0.9, 1.1)  # noqa: S311
            self._well()
        began = time.monotonic()
        seconds = int(self._list_at - began)
        if seconds < 1:
            self._version = ""
            return
        events = self._api.watch(
            self.kind, self._selector, self._version, seconds=seconds, silence=self._silence
        )
        async with contextlib.aclosing(events):
            async for what, value in events:
                self._well()
                if what == OPEN:
                    self._opened = time.monotonic()
                else:
                    self._backoff.reset()
                    self._hear(what, value)
        # The server may end a watch whenever it likes, but not make this a busy loop.
        await asyncio.sleep(max(0.0, began + SHORTEST - time.monotonic()))

    def _well(self) -> None:
        """The server answers."""
        if self.trouble is not None:
            _LOG.info("%s are followed again", self.kind.plural)
            self.trouble = None
            for callback in self.recovered:
                callback()

    def _hear(self, what: str, value: Object) -> None:
        meta = value.get("metadata") or {}
        version = str(meta.get("resourceVersion", ""))
        name = str(meta.get("name", ""))
        if what in ("ADDED", "MODIFIED"):
            before = self.objects.get(name)
            if before is None or not _older(value, before[1]):
                self._store(name, value)
        elif what == "DELETED":
            before = self.objects.get(name)
            if before is not None and not _older(value, before[1]):
                self._drop(name)
        if version:
            self._version = version

    def _replace(self, listing: Listing) -> None:
        names = {str(one["metadata"]["name"]) for one in listing.objects}
        for name in [name for name in self.objects if name not in names]:
            self._drop(name)
        for one in listing.objects:
            self._store(str(one["metadata"]["name"]), one)
        self._version = listing.version
        self.synced = True
        for callback in self.listed:
            callback()

    def _store(self, name: str, value: Object) -> None:
        group = self._group(value)
        before = self.objects.get(name)
        if before is not None and before[0] != group:
            self._drop(name)
        if group is None:
            return
        if before is not None and _same(before[1], value):
            return
        kept = self._trim(value)
        self.objects[name] = (group, kept)
        self._grouped.setdefault(group, {})[name] = kept
        self._heard(group)

    def _drop(self, name: str) -> None:
        before = self.objects.pop(name, None)
        if before is None:
            return
        members = self._grouped[before[0]]
        del members[name]
        if not members:
            del self._grouped[before[0]]
        self._heard(before[0])


def _older(value: Object, other: Object) -> bool:
    """Whether `value` is an earlier version than `other`.

    Versions of one kind grow as decimal numbers (Kubernetes, "API concepts", "Resource versions");
    from a server that counts otherwise everything is taken as it comes.
    """
    first = str(value["metadata"].get("resourceVersion", ""))
    second = str(other["metadata"].get("resourceVersion", ""))
    return first.isdecimal() and second.isdecimal() and int(first) < int(second)


def _same(value: Object, other: Object) -> bool:
    one, two = value["metadata"], other["metadata"]
    version = one.get("resourceVersion")
    return (
        version is not None
        and version == two.get("resourceVersion")
        and one.get("uid") == two.get("uid")
        and one.get("deletionTimestamp") == two.get("deletionTimestamp")
    )
