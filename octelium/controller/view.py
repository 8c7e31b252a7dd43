"""What the controller knows of the Cluster: which containers it shall keep, with which Secrets."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError

from octelium.controller.managed import (
    Managed,
    Opened,
    managed_of,
    with_secrets,
)
from octelium.replica.entries import SecretEntry
from octelium.replica.errors import FeedError
from octelium.schema.containers import container_secrets
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from octelium.controller.managed import Key
    from octelium.replica.committed import CommittedRevision
    from octelium.schema.pb import feed_v1_pb2 as feed

_LOG = logging.getLogger(__name__)


class View:
    """The feed of role `controller` at one revision; a Follower keeps it up to date.

    `cluster` is what tells this Cluster from all others, and empty while it is unknown. It is the
    uid of the ClusterConfig, which comes along in a backup and has nothing to do with the machine.
    `listeners` are called after each commit that changed anything, and when a snapshot begins, ends
    or is given up; True tells them that it has ended. They must not block.
    """

    def __init__(self) -> None:
        self.revision = 0
        self.cluster = ""
        self.listeners: list[Callable[[bool], None]] = []
        self._services: dict[str, tuple[Managed, ...]] = {}
        self._secrets: dict[str, Opened] = {}
        self._by_name: dict[str, Opened] = {}
        self._users: dict[str, set[str]] = {}
        """The Services, by their uids, that name a Secret."""
        self._clusters: dict[str, str] = {}
        self._wants: dict[Key, Managed] = {}
        self._changed: set[Key] = set()
        self._snapshot: list[feed.Change] | None = None
        self._loaded = False

    @property
    def loading(self) -> bool:
        """Whether a snapshot has begun and not ended."""
        return self._snapshot is not None

    @property
    def complete(self) -> bool:
        """Whether it is all that the Cluster has: nothing may be taken for gone until then."""
        return self._loaded and self._snapshot is None and bool(self.cluster)

    def wants(self) -> Mapping[Key, Managed]:
        """The containers that Services ask for: those of a snapshot by the age of their Services.

        It is always up to date. A commit costs what it changes, however many there are.
        """
        return self._wants

    def take_changed(self) -> frozenset[Key]:
        """The containers that have come, changed or gone since the last question."""
        found, self._changed = frozenset(self._changed), set()
        return found

    def behind(self, committed: CommittedRevision) -> bool:
        """Whether something was committed that is not here yet."""
        return committed.value > self.revision

    def abandon(self) -> None:
        """Forget the beginning of a snapshot whose end will not come.

        What is here then is the Cluster as it once was, and whole.
        """
        if self._snapshot is not None:
            self._snapshot = None
            self._tell()

    def apply(self, commit: feed.Commit) -> None:
        """Take over the next commit, or a piece of a snapshot, which takes effect with its end.

        Raises:
            FeedError: a gap, or bytes that are no resource; nothing has changed.
        """
        if commit.snapshot_begin:
            self._snapshot = []
            self._tell()
        if self._snapshot is not None:
            self._snapshot.extend(commit.changes)
            if not commit.snapshot_end:
                return
            fresh = View()
            fresh._take(self._snapshot)
            self._snapshot = None
            self._changed |= fresh._changed | self._wants.keys()
            self._services, self._secrets = fresh._services, fresh._secrets
            self._by_name, self._users = fresh._by_name, fresh._users
            self._clusters, self.cluster = fresh._clusters, fresh.cluster
            self._wants, self._loaded = fresh._wants, True
            self.revision = commit.revision
            self._tell(anew=True)
            return
        if commit.revision != self.revision + 1:
            raise FeedError(f"revision {commit.revision} does not follow {self.revision}")
        self._take(commit.changes)
        self.revision = commit.revision
        if commit.changes:
            self._tell()

    def _take(self, changes: Iterable[feed.Change]) -> None:
        services: dict[str, core.Service | None] = {}
        secrets: dict[str, Opened | None] = {}
        clusters: dict[str, str | None] = {}
        for change in changes:
            try:
                if change.kind == "Service":
                    services[change.uid] = (
                        None if change.deleted else core.Service.FromString(change.data)
                    )
                elif change.kind == "Secret":
                    secrets[change.uid] = None if change.deleted else _opened(change)
                elif change.kind == "ClusterConfig":
                    clusters[change.uid] = None if change.deleted else change.uid
                else:
                    raise FeedError(f"unknown kind {change.kind!r}")
            except DecodeError as error:
                raise FeedError(f"{change.kind} {change.uid} cannot be read: {error}") from error
        for uid, cluster in clusters.items():
            if cluster is None:
                self._clusters.pop(uid, None)
            else:
                self._clusters[uid] = cluster
        self.cluster = min(self._clusters, default="")
        named = self._put_secrets(secrets)
        renewed = {uid for name in named for uid in self._users.get(name, ())} - services.keys()
        for uid in renewed:
            self._put(uid, [with_secrets(one, self._by_name) for one in self._services[uid]])
        for uid, service in sorted(services.items(), key=_age):
            self._put(uid, () if service is None else managed_of(service, self._by_name))

    def _put_secrets(self, secrets: Mapping[str, Opened | None]) -> set[str]:
        """Take over Secrets, and return their names."""
        before = [self._secrets.pop(uid) for uid in secrets if uid in self._secrets]
        for one in before:
            if self._by_name.get(one.name) is one:
                del self._by_name[one.name]
        there = [one for one in secrets.values() if one is not None]
        for one in there:
            self._secrets[one.uid] = self._by_name[one.name] = one
        return {one.name for one in (*before, *there)}

    def _put(self, uid: str, containers: Sequence[Managed]) -> None:
        """Have a Service want these containers, which keep their places in the order."""
        before = {one.key: one for one in self._services.pop(uid, ())}
        after = {one.key: one for one in containers}
        for key, one in before.items():
            for name in container_secrets(one.container):
                self._forget(name, uid)
            if key not in after:
                del self._wants[key]
                self._changed.add(key)
        for key, one in after.items():
            for name in container_secrets(one.container):
                self._users.setdefault(name, set()).add(uid)
            if before.get(key) != one:
                self._wants[key] = one
                self._changed.add(key)
        if containers:
            self._services[uid] = tuple(containers)

    def _forget(self, name: str, uid: str) -> None:
        users = self._users.get(name, set())
        users.discard(uid)
        if not users:
            self._users.pop(name, None)

    def _tell(self, *, anew: bool = False) -> None:
        for listener in tuple(self.listeners):
            try:
                listener(anew)
            except Exception:  # noqa: BLE001  (the others, and the next commit, must go on)
                _LOG.exception("a listener failed at revision %d", self.revision)


def _opened(change: feed.Change) -> Opened:
    return Opened(change.uid, change.name, SecretEntry(change.uid, change.name, change.data).value)


def _age(entry: tuple[str, core.Service | None]) -> tuple[int, int, str]:
    uid, service = entry
    if service is None:
        return 0, 0, uid
    created = service.metadata.created_at
    return created.seconds, created.nanos, uid
