"""All objects of the emulated cluster, with one counter of versions and a bounded history."""

from __future__ import annotations

import copy
import threading
import uuid
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from tests.peers.kubernetes.failure import gone, too_large

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.peers.kubernetes.resources import Resource

Object = dict[str, Any]
Key = tuple[str, str, str]
"""Qualified plural, namespace, name."""


@dataclass(frozen=True, slots=True)
class Change:
    """One write."""

    version: int
    sort: Literal["ADDED", "MODIFIED", "DELETED"]
    resource: Resource
    now: Object
    before: Object | None


class Store:
    """Objects by key. Nothing that it gives out may be changed: what is stored is replaced."""

    def __init__(self, history: int = 1000) -> None:
        self.lock = threading.RLock()
        self.version = 100
        self.oldest = 100
        """Changes up to this version are forgotten."""
        self.changes: deque[Change] = deque()
        self.history = history
        self.objects: dict[Key, tuple[Resource, Object]] = {}
        self._by_kind: dict[str, dict[Key, Object]] = {}
        self._by_owner: dict[str, set[Key]] = {}
        self.listeners: list[Callable[[Change], None]] = []

    def get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """An object, or None."""
        found = self.objects.get((resource.qualified, namespace, name))
        return None if found is None else found[1]

    def all(self, resource: Resource, namespace: str = "") -> list[Object]:
        """Those of a kind, of one namespace or of all, by name."""
        return [one for key, one in self._of(resource) if not namespace or key[1] == namespace]

    def _of(self, resource: Resource) -> Iterator[tuple[Key, Object]]:
        with self.lock:
            yield from sorted(self._by_kind.get(resource.qualified, {}).items(), key=_key)

    def of_owner(self, resource: Resource, uid: str) -> list[Object]:
        """Those of a kind that refer to an owner, by name."""
        with self.lock:
            keys = sorted(self._by_owner.get(uid, ()))
            return [self.objects[key][1] for key in keys if key[0] == resource.qualified]

    def _index(self, key: Key, before: Object | None, now: Object | None) -> None:
        for given in (before,) if before is not None else ():
            for one in given["metadata"].get("ownerReferences") or ():
                self._by_owner.get(one["uid"], set()).discard(key)
        if now is None:
            del self._by_kind[key[0]][key]
            return
        self._by_kind.setdefault(key[0], {})[key] = now
        for one in now["metadata"].get("ownerReferences") or ():
            self._by_owner.setdefault(one["uid"], set()).add(key)

    def by_uid(self, uid: str) -> tuple[Resource, Object] | None:
        """The object that has a uid."""
        with self.lock:
            for resource, given in self.objects.values():
                if given["metadata"]["uid"] == uid:
                    return resource, given
        return None

    def put(self, resource: Resource, given: Object) -> Object:
        """Store a new object or a new state of one. The same again changes nothing."""
        with self.lock:
            meta = given["metadata"]
            key = (resource.qualified, meta.get("namespace", ""), meta["name"])
            known = self.objects.get(key)
            before = None if known is None else known[1]
            if before is not None and same(before, given):
                return before
            self.version += 1
            made = copy.deepcopy(given)
            if before is None:
                made["metadata"].setdefault("uid", str(uuid.uuid4()))
                made["metadata"].setdefault("creationTimestamp", now())
            made["metadata"]["resourceVersion"] = str(self.version)
            self.objects[key] = (resource, made)
            self._index(key, before, made)
            sort: Literal["ADDED", "MODIFIED"] = "ADDED" if before is None else "MODIFIED"
            self._record(Change(self.version, sort, resource, made, before))
            return made

    def remove(self, resource: Resource, given: Object) -> Object:
        """Forget an object; its last state."""
        with self.lock:
            meta = given["metadata"]
            key = (resource.qualified, meta.get("namespace", ""), meta["name"])
            _, before = self.objects.pop(key)
            self._index(key, before, None)
            self.version += 1
            last = before | {
                "metadata": before["metadata"] | {"resourceVersion": str(self.version)}
            }
            self._record(Change(self.version, "DELETED", resource, last, before))
            return last

    def _record(self, change: Change) -> None:
        self.changes.append(change)
        while len(self.changes) > self.history:
            self.oldest = self.changes.popleft().version
        for listener in list(self.listeners):
            listener(change)

    def forget(self) -> None:
        """Drop the whole history: whoever resumes from before now gets 410."""
        with self.lock:
            self.version += 1
            self.changes.clear()
            self.oldest = self.version

    def since(self, version: int) -> list[Change]:
        """What has changed after a version. Raises `Failure` 410 if that is forgotten."""
        with self.lock:
            if version < self.oldest:
                raise gone(f"too old resource version: {version} ({self.oldest})")
            return [change for change in self.changes if change.version > version]

    def reached(self, version: int) -> None:
        """Raise `Failure` 504 unless the version is there."""
        if version > self.version:
            raise too_large(version, self.version)


def _key(pair: tuple[Key, Object]) -> Key:
    return pair[0]


def now() -> str:
    """As `metav1.Time` writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def same(one: Object, other: Object) -> bool:
    """Whether two states differ in nothing but the version and the times of managed fields."""
    return _plain(one) == _plain(other)


def _plain(given: Object) -> Object:
    meta = {k: v for k, v in given["metadata"].items() if k != "resourceVersion"}
    if "managedFields" in meta:
        meta["managedFields"] = [
            {k: v for k, v in entry.items() if k != "time"} for entry in meta["managedFields"]
        ]
    return given | {"metadata": meta}
