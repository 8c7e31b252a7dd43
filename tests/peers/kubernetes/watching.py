"""Watches: events of changes as lines of JSON, bookmarks, resumption, expiry.

Kubernetes documentation, "Efficient detection of changes".
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from typing import TYPE_CHECKING, Any

from tests.peers.kubernetes.failure import Failure

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from tests.peers.kubernetes.resources import Resource
    from tests.peers.kubernetes.store import Change, Object, Store


class CutError(Exception):
    """The connection ends in the middle, by the test."""


class Watch:
    """One running watch."""

    def __init__(
        self,
        store: Store,
        resource: Resource,
        namespace: str,
        matches: Callable[[Object], bool],
        shown: Callable[[Object], Object],
    ) -> None:
        self.store = store
        self.resource = resource
        self.namespace = namespace
        self.matches = matches
        self.shown = shown
        self.pending: deque[Change | str] = deque()
        self._loop = asyncio.get_running_loop()
        self._more = asyncio.Event()
        self.version = 0

    def tell(self, one: Change | str) -> None:
        """A change; `bookmark`, `cut` or `end` from the test. From any thread."""
        self.pending.append(one)
        self._loop.call_soon_threadsafe(self._more.set)

    async def events(
        self, version: str, *, initial: bool, bookmarks: bool, timeout: float, every: float
    ) -> AsyncGenerator[bytes]:
        """Lines, until the time is over (seconds). `every`: seconds between bookmarks."""
        with self.store.lock:
            try:
                first = self._begin(version, initial=initial)
            except Failure as failure:
                yield _line("ERROR", failure.status)
                return
            self.store.listeners.append(self.tell)
        try:
            for given in first:
                yield _line("ADDED", self.shown(given))
            if initial:
                notes = {"k8s.io/initial-events-end": "true"}
                yield self._bookmark(notes)
            async for line in self._follow(bookmarks, timeout, every):
                yield line
        finally:
            self.store.listeners.remove(self.tell)

    def _begin(self, version: str, *, initial: bool) -> list[Object]:
        if version in ("", "0") or initial:
            self.version = self.store.version
            return [
                one for one in self.store.all(self.resource, self.namespace) if self.matches(one)
            ]
        try:
            wanted = int(version)
        except ValueError:
            raise Failure(400, "BadRequest", f"invalid resource version: {version!r}") from None
        self.store.reached(wanted)
        self.version = wanted
        self.pending.extend(self.store.since(wanted))
        return []

    async def _follow(self, bookmarks: bool, timeout: float, every: float) -> AsyncGenerator[bytes]:
        end = self._loop.time() + timeout
        mark = self._loop.time() + every
        while True:
            self._more.clear()
            while self.pending:
                one = self.pending.popleft()
                if one == "cut":
                    raise CutError
                if one == "end":
                    return
                if isinstance(one, str):
                    if bookmarks:
                        yield self._bookmark()
                    continue
                self.version = one.version
                line = self._event(one)
                if line is not None:
                    yield line
            left = min(end, mark if bookmarks else end) - self._loop.time()
            try:
                await asyncio.wait_for(self._more.wait(), max(left, 0))
            except TimeoutError:
                if self._loop.time() >= end:
                    if bookmarks:
                        yield self._bookmark()
                    return
                self.version = max(self.version, self.store.version)
                yield self._bookmark()
                mark = self._loop.time() + every

    def _event(self, change: Change) -> bytes | None:
        if change.resource is not self.resource:
            return None
        if self.namespace and change.now["metadata"].get("namespace") != self.namespace:
            return None
        here = change.sort != "DELETED" and self.matches(change.now)
        before = change.before is not None and self.matches(change.before)
        if here:
            return _line("MODIFIED" if before else "ADDED", self.shown(change.now))
        if not before:
            return None
        assert change.before is not None
        last = change.before | {
            "metadata": change.before["metadata"] | {"resourceVersion": str(change.version)}
        }
        return _line("DELETED", self.shown(last))

    def _bookmark(self, notes: dict[str, str] | None = None) -> bytes:
        meta: dict[str, Any] = {"resourceVersion": str(self.version), "creationTimestamp": None}
        if notes:
            meta["annotations"] = notes
        given = {
            "kind": self.resource.kind,
            "apiVersion": self.resource.api_version,
            "metadata": meta,
        }
        return _line("BOOKMARK", given)


def _line(sort: str, given: Any) -> bytes:
    return json.dumps({"type": sort, "object": given}, separators=(",", ":")).encode() + b"\n"
