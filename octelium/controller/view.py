"""What the controller knows of the Cluster: which containers it shall keep, with which Secrets."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TypeVar

from google.protobuf.message import DecodeError

from octelium.controller.managed import Managed, Opened, managed_of
from octelium.replica.entries import SecretEntry
from octelium.replica.errors import FeedError
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from octelium.controller.managed import Key
    from octelium.replica.committed import CommittedRevision
    from octelium.schema.pb import feed_v1_pb2 as feed

T = TypeVar("T")

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
        self._services: dict[str, core.Service] = {}
        self._secrets: dict[str, Opened] = {}
        self._clusters: dict[str, str] = {}
        self._wants: dict[Key, Managed] | None = None
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
        """The containers that Services ask for. The same object until something changes."""
        if self._wants is None:
            secrets = {secret.name: secret for secret in self._secrets.values()}
            self._wants = {
                managed.key: managed
                for service in self._services.values()
                for managed in managed_of(service, secrets)
            }
        return self._wants

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
            self._services, self._secrets = fresh._services, fresh._secrets
            self._clusters, self.cluster = fresh._clusters, fresh.cluster
            self._wants, self._loaded = None, True
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
        _put(self._services, services)
        _put(self._secrets, secrets)
        _put(self._clusters, clusters)
        self.cluster = min(self._clusters, default="")
        self._wants = None

    def _tell(self, *, anew: bool = False) -> None:
        for listener in tuple(self.listeners):
            try:
                listener(anew)
            except Exception:  # noqa: BLE001  (the others, and the next commit, must go on)
                _LOG.exception("a listener failed at revision %d", self.revision)


def _opened(change: feed.Change) -> Opened:
    return Opened(change.uid, change.name, SecretEntry(change.uid, change.name, change.data).value)


def _put(table: dict[str, T], changes: Mapping[str, T | None]) -> None:
    for uid, value in changes.items():
        if value is None:
            table.pop(uid, None)
        else:
            table[uid] = value
