"""What the gateway knows of the Cluster: the network, its keys, and who is connected."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from google.protobuf.message import DecodeError

from octelium.gateway.peers import PeerError, Ranges, TunnelPeer, peer_of, ranges_of
from octelium.replica.errors import FeedError
from octelium.replica.gateway_key import LABEL, GatewayKeyError, GatewayKeys, keys_from
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from octelium.replica.committed import CommittedRevision
    from octelium.schema.pb import feed_v1_pb2 as feed

_LOG = logging.getLogger(__name__)
_CLASSES: dict[str, type[Any]] = {
    "ClusterConfig": core.ClusterConfig,
    "Gateway": core.Gateway,
    "Session": core.Session,
    "Secret": core.Secret,
}
_Resource = core.ClusterConfig | core.Gateway | core.Secret | bytes
"""A resource; Sessions stay bytes, because there are many and each is asked for once or twice."""


class View:
    """The feed of role `gateway` at one revision; a Follower keeps it up to date.

    `ranges` and `keys` are None while the Cluster has no Gateway. `peers` are by the uid of the
    Session. `listeners` are called after each commit with the uids of Sessions that it touched;
    they must not block. A Session that cannot be a peer is none, and logged.

    `handed` is the revision of the last commit, 0 after a snapshot: other readers may still have to
    get that commit, while what a snapshot tells was published before.
    """

    def __init__(self) -> None:
        self.revision = 0
        self.handed = 0
        self.ranges: Ranges | None = None
        self.keys: GatewayKeys | None = None
        self.peers: dict[str, TunnelPeer] = {}
        self.listeners: list[Callable[[Iterable[str]], None]] = []
        self._resources: dict[tuple[str, str], _Resource] = {}
        self._snapshot: list[feed.Change] | None = None

    @property
    def loading(self) -> bool:
        """Whether a snapshot has begun and not ended."""
        return self._snapshot is not None

    def behind(self, committed: CommittedRevision) -> bool:
        """Whether something was committed that is not here yet."""
        return committed.value > self.revision

    def abandon(self) -> None:
        """Forget the beginning of a snapshot whose end will not come."""
        self._snapshot = None

    def apply(self, commit: feed.Commit) -> None:
        """Take over the next commit, or a piece of a snapshot, which takes effect with its end.

        Raises:
            FeedError: a gap, or bytes that are no resource; nothing has changed.
        """
        if commit.snapshot_begin:
            self._snapshot = []
        if self._snapshot is not None:
            self._snapshot.extend(commit.changes)
            if not commit.snapshot_end:
                return
            resources = _parsed(self._snapshot)
            self._snapshot = None
            before = self._resources
            self._resources = {key: each for key, each in resources.items() if each is not None}
            touched = {key for key in before.keys() | self._resources if key[0] == "Session"}
            self.handed = 0
            self._take(commit.revision, {*touched, ("ClusterConfig", "")})
            return
        if commit.revision != self.revision + 1:
            raise FeedError(f"revision {commit.revision} does not follow {self.revision}")
        changed = _parsed(commit.changes)
        self.handed = commit.revision
        for key, resource in changed.items():
            if resource is None:
                self._resources.pop(key, None)
            else:
                self._resources[key] = resource
        self._take(commit.revision, changed)

    def _take(self, revision: int, changed: Iterable[tuple[str, str]]) -> None:
        keys = set(changed)
        kinds = {kind for kind, _ in keys}
        if kinds - {"Session"}:
            ranges = self._ranges()
            if ranges != self.ranges:
                self.ranges = ranges
                keys |= {key for key in self._resources if key[0] == "Session"}
            self.keys = self._keys()
        touched = {uid for kind, uid in keys if kind == "Session"}
        for uid in touched:
            peer = self._peer(uid)
            if peer is None:
                self.peers.pop(uid, None)
            else:
                self.peers[uid] = peer
        self.revision = revision
        if keys:
            for listener in self.listeners:
                listener(touched)

    def _all(self, kind: str) -> list[_Resource]:
        return [each for (name, _), each in sorted(self._resources.items()) if name == kind]

    def _ranges(self) -> Ranges | None:
        for config in self._all("ClusterConfig"):
            assert isinstance(config, core.ClusterConfig)
            try:
                return ranges_of(config)
            except PeerError:
                _LOG.exception("no tunnels")
        return None

    def _keys(self) -> GatewayKeys | None:
        """Of the first Gateway whose keys are here."""
        secrets: dict[str, core.Secret] = {}
        for secret in self._all("Secret"):
            assert isinstance(secret, core.Secret)
            secrets[secret.metadata.system_labels.get(LABEL, "")] = secret
        for gateway in self._all("Gateway"):
            assert isinstance(gateway, core.Gateway)
            if (found := secrets.get(gateway.metadata.uid)) is not None:
                try:
                    return keys_from(found)
                except GatewayKeyError:
                    _LOG.exception("the Gateway %s has no key", gateway.metadata.name)
        return None

    def _peer(self, uid: str) -> TunnelPeer | None:
        session = self._resources.get(("Session", uid))
        if session is None or self.ranges is None:
            return None
        assert isinstance(session, bytes)
        try:
            return peer_of(core.Session.FromString(session), self.ranges)
        except PeerError as error:
            _LOG.error("Session %s gets no tunnel: %s", uid, error)
            return None


def _parsed(changes: Iterable[feed.Change]) -> Mapping[tuple[str, str], _Resource | None]:
    found: dict[tuple[str, str], _Resource | None] = {}
    for change in changes:
        if change.kind not in _CLASSES:
            raise FeedError(f"unknown kind {change.kind!r}")
        try:
            made = None if change.deleted else _CLASSES[change.kind].FromString(change.data)
        except DecodeError as error:
            raise FeedError(f"{change.kind} {change.uid} cannot be read: {error}") from error
        found[change.kind, change.uid] = change.data if isinstance(made, core.Session) else made
    return found
