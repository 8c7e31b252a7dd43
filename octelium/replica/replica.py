"""The readers' view of the store: every resource that a role may see, indexed, in memory."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from google.protobuf.message import DecodeError

from octelium.replica.addresses import AddressIndex, Packed
from octelium.replica.entries import (
    ClusterConfigEntry,
    ContainerEntry,
    ContainerStateEntry,
    DeviceEntry,
    Entry,
    GroupEntry,
    NamespaceEntry,
    PolicyEntry,
    PolicyTriggerEntry,
    PublicKey,
    RegionEntry,
    SecretEntry,
    ServiceEntry,
    SessionEntry,
    UserEntry,
    VerificationKeyEntry,
)
from octelium.replica.errors import FeedError
from octelium.replica.triggers import Trigger, triggers_of
from octelium.schema.pb import feed_v1_pb2 as feed
from octelium.store.parts import PARTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from octelium.replica.committed import CommittedRevision

__all__ = [
    "ClusterConfigEntry",
    "ContainerEntry",
    "ContainerStateEntry",
    "DeviceEntry",
    "Entry",
    "GroupEntry",
    "NamespaceEntry",
    "PolicyEntry",
    "PolicyTriggerEntry",
    "PublicKey",
    "RegionEntry",
    "Replica",
    "SecretEntry",
    "ServiceEntry",
    "SessionEntry",
    "Trigger",
    "UserEntry",
    "VerificationKeyEntry",
]

_LOG = logging.getLogger(__name__)

Changed = frozenset[tuple[str, str]]
"""Kind and uid of each resource that a commit added, replaced or removed."""

AnyEntry = Entry[Any] | VerificationKeyEntry

_PAST = PARTS["Session"].record_kind
_WITHHELD = frozenset({"Secret", "VerificationKey"})


class Replica:
    """The resources at one revision. Dictionaries are changed in place, so they may be kept.

    `loaded` tells an empty Cluster from a replica that nothing has reached yet. `generations`
    holds for each kind a number that grows whenever a resource of it comes or goes: what a failed
    look-up, or a walk over all of them, depends on. `listeners` are called after each commit with
    what it changed; they must not block. `containers` tells of a Service's containers by its uid
    and the name of the config that asks for them. Everything happens in the thread of the event
    loop: between two awaits a reader sees one revision.
    """

    def __init__(self) -> None:
        self.revision = 0
        self.loaded = False
        self.namespaces: dict[str, NamespaceEntry] = {}
        self.regions: dict[str, RegionEntry] = {}
        self.services: dict[str, ServiceEntry] = {}
        self.users: dict[str, UserEntry] = {}
        self.groups: dict[str, GroupEntry] = {}
        self.sessions: dict[str, SessionEntry] = {}
        self.devices: dict[str, DeviceEntry] = {}
        self.policies: dict[str, PolicyEntry] = {}
        self.secrets: dict[str, SecretEntry] = {}
        self.namespaces_by_name: dict[str, NamespaceEntry] = {}
        self.service_by_name: dict[str, ServiceEntry] = {}
        self.users_by_name: dict[str, UserEntry] = {}
        self.groups_by_name: dict[str, GroupEntry] = {}
        self.policies_by_name: dict[str, PolicyEntry] = {}
        self.secrets_by_name: dict[str, SecretEntry] = {}
        self.containers: dict[tuple[str, str], ContainerEntry] = {}
        self.cluster_config: ClusterConfigEntry | None = None
        self.triggers: tuple[Trigger, ...] = ()
        self.verification_keys: dict[bytes, PublicKey] = {}
        self.listeners: list[Callable[[Changed], None]] = []
        self.generations: dict[str, int] = dict.fromkeys(_CLASSES, 0)
        self._cluster_configs: dict[str, ClusterConfigEntry] = {}
        self._policy_triggers: dict[str, PolicyTriggerEntry] = {}
        self._container_states: dict[str, ContainerStateEntry] = {}
        self._keys: dict[str, VerificationKeyEntry] = {}
        self._past: dict[str, bytes] = {}
        self._session_addresses: AddressIndex[SessionEntry] = AddressIndex()
        self._service_addresses: AddressIndex[ServiceEntry] = AddressIndex()
        self._serving: dict[str, dict[str, SessionEntry]] = {}
        self._snapshot: list[feed.Change] | None = None
        self._tables: dict[str, tuple[dict[str, Any], dict[str, Any] | None]] = {
            "Namespace": (self.namespaces, self.namespaces_by_name),
            "Region": (self.regions, None),
            "Service": (self.services, self.service_by_name),
            "User": (self.users, self.users_by_name),
            "Group": (self.groups, self.groups_by_name),
            "Session": (self.sessions, None),
            "Device": (self.devices, None),
            "Policy": (self.policies, self.policies_by_name),
            "PolicyTrigger": (self._policy_triggers, None),
            "Secret": (self.secrets, self.secrets_by_name),
            "ClusterConfig": (self._cluster_configs, None),
            "ContainerState": (self._container_states, None),
            "VerificationKey": (self._keys, None),
        }

    @property
    def loading(self) -> bool:
        """Whether a snapshot has begun and not ended."""
        return self._snapshot is not None

    def session_at(self, address: Packed | str) -> SessionEntry | None:
        """The connected Session whose tunnel address this is, as text or packed."""
        return self._session_addresses.at(address)

    def service_at(self, address: Packed | str) -> ServiceEntry | None:
        """The Service whose address in the private network this is, as text or packed."""
        return self._service_addresses.at(address)

    def serving(self, service_uid: str) -> Iterable[SessionEntry]:
        """The connected Sessions whose clients serve a Service, whoever they belong to."""
        return self._serving.get(service_uid, {}).values()

    def behind(self, committed: CommittedRevision) -> bool:
        """Whether something was committed, and perhaps acknowledged, that is not here yet."""
        return committed.value > self.revision

    def apply(self, commit: feed.Commit) -> None:
        """Take over the next commit, or a piece of a snapshot, which takes effect with its end.

        A snapshot leaves entries alone whose bytes are the same. Raises FeedError, with nothing
        changed, for a gap or for bytes that are no such resource.
        """
        if commit.snapshot_begin:
            self._snapshot = []
        if self._snapshot is not None:
            self._snapshot.extend(commit.changes)
            if not commit.snapshot_end:
                return
            changes, self._snapshot = self._against(self._snapshot), None
        elif commit.revision == self.revision + 1:
            changes = list(commit.changes)
        else:
            raise FeedError(f"revision {commit.revision} does not follow {self.revision}")
        self._take(changes, commit.revision)

    def fork(self) -> Replica:
        """A replica of its own that begins as this one and shares its entries; nobody listens."""
        other = Replica()
        for kind, (table, names) in self._tables.items():
            copy, named = other._tables[kind]
            copy.update(table)
            if names is not None and named is not None:
                named.update(names)
        other.cluster_config, other.triggers = self.cluster_config, self.triggers
        other.verification_keys.update(self.verification_keys)
        other.containers.update(self.containers)
        other.generations.update(self.generations)
        other._past.update(self._past)
        self._session_addresses.copy_to(other._session_addresses)
        self._service_addresses.copy_to(other._service_addresses)
        for uid, sessions in self._serving.items():
            other._serving[uid] = dict(sessions)
        other.revision, other.loaded = self.revision, self.loaded
        return other

    def contents(self) -> Iterator[feed.Change]:
        """The resources that decisions are made of: `revise` makes an empty replica the same.

        Secrets and keys are left out.
        """
        for uid, data in self._past.items():
            yield feed.Change(kind=_PAST, uid=uid, data=data)
        for kind, (table, _) in self._tables.items():
            if kind not in _WITHHELD:
                for uid, entry in table.items():
                    yield feed.Change(kind=kind, uid=uid, name=entry.name, data=entry.data)

    def revise(self, changes: Iterable[feed.Change]) -> None:
        """Take over changes of a hypothesis, as the next revision. Raises FeedError as `apply`."""
        self._take(list(changes), self.revision + 1)

    def abandon(self) -> None:
        """Forget the beginning of a snapshot whose end will not come."""
        self._snapshot = None

    def _against(self, snapshot: list[feed.Change]) -> list[feed.Change]:
        """The changes that lead from what is here to a snapshot."""
        present = {(change.kind, change.uid) for change in snapshot}
        past = {change.uid: change.data for change in snapshot if change.kind == _PAST}
        changes = []
        for change in snapshot:
            table, _ = self._tables.get(change.kind, ({}, None))
            entry = table.get(change.uid)
            same = entry is not None and entry.data == change.data and entry.name == change.name
            if change.kind == "Session":
                same = same and past.get(change.uid) == self._past.get(change.uid)
            if not same:
                changes.append(change)
        for kind, (table, _) in self._tables.items():
            for uid, entry in table.items():
                if (kind, uid) not in present:
                    changes.append(_deletion(kind, uid, entry.name))
        changes += [_deletion(_PAST, uid, "") for uid in self._past if (_PAST, uid) not in present]
        return changes

    def _take(self, changes: Iterable[feed.Change], revision: int) -> None:
        past = {change.uid: change for change in changes if change.kind == _PAST}
        prepared: list[tuple[feed.Change, AnyEntry | None]] = []
        for change in changes:
            if change.kind in _CLASSES:
                prepared.append((change, self._entry(change, past.get(change.uid))))
            elif change.kind != _PAST:
                raise FeedError(f"unknown kind {change.kind!r}")
        for uid, change in past.items():
            if change.deleted:
                self._past.pop(uid, None)
            else:
                self._past[uid] = change.data
        for change, entry in prepared:
            self._put(change, entry, revision)
        self.revision = revision
        self.loaded = True
        self._notify(frozenset((change.kind, change.uid) for change, _ in prepared))

    def _entry(self, change: feed.Change, past: feed.Change | None) -> AnyEntry | None:
        if change.deleted:
            return None
        try:
            if change.kind == "Session":
                former = self._past.get(change.uid)
                if past is not None:
                    former = None if past.deleted else past.data
                return SessionEntry(change.uid, change.name, change.data, former)
            entry: AnyEntry = _CLASSES[change.kind](change.uid, change.name, change.data)
        except (DecodeError, ValueError) as error:
            raise FeedError(f"{change.kind} {change.uid} cannot be read: {error}") from error
        return entry

    def _put(self, change: feed.Change, entry: AnyEntry | None, revision: int) -> None:
        kind, uid = change.kind, change.uid
        table, names = self._tables[kind]
        former = table.get(uid)
        if names is not None and former is not None:
            # Its name may have passed to another resource already.
            holder = names.pop(former.name, None)
            if holder is not None and holder is not former:
                names[former.name] = holder
        if entry is None:
            table.pop(uid, None)
        else:
            table[uid] = entry
            if names is not None:
                names[entry.name] = entry
        if (former is None) != (entry is None):
            self.generations[kind] += 1
        if kind == "Session":
            self._session_addresses.put(former, entry, revision)  # type: ignore[arg-type]  # its kind
            self._serve(former, entry)  # type: ignore[arg-type]  # likewise
        elif kind == "Service":
            self._service_addresses.put(former, entry, revision)  # type: ignore[arg-type]  # its kind
        elif kind == "ContainerState":
            self._put_containers(former, entry)  # type: ignore[arg-type]  # likewise
        elif kind == "VerificationKey":
            self.verification_keys.clear()
            self.verification_keys.update(
                (key.key_id, key.public_key) for key in self._keys.values()
            )
        elif kind in ("ClusterConfig", "PolicyTrigger"):
            self.cluster_config = next(iter(self._cluster_configs.values()), None)
            self.triggers = triggers_of(self.cluster_config, self._policy_triggers.values())

    def _serve(self, former: SessionEntry | None, entry: SessionEntry | None) -> None:
        if former is not None:
            for uid, _ in former.serves:
                sessions = self._serving.get(uid, {})
                sessions.pop(former.uid, None)
                if not sessions:
                    self._serving.pop(uid, None)
        if entry is not None:
            for uid, _ in entry.serves:
                self._serving.setdefault(uid, {})[entry.uid] = entry

    def _put_containers(
        self, former: ContainerStateEntry | None, entry: ContainerStateEntry | None
    ) -> None:
        if former is not None:
            for config in former.containers:
                self.containers.pop((former.service_uid, config), None)
        if entry is not None:
            for config, container in entry.containers.items():
                self.containers[entry.service_uid, config] = container

    def _notify(self, changed: Changed) -> None:
        if not changed:
            return
        for listener in tuple(self.listeners):
            try:
                listener(changed)
            except Exception:  # noqa: BLE001  (the others, and the next commit, must go on)
                _LOG.exception("a listener failed at revision %d", self.revision)


def _deletion(kind: str, uid: str, name: str) -> feed.Change:
    return feed.Change(kind=kind, uid=uid, name=name, deleted=True)


_CLASSES: dict[str, type[Any]] = {
    entry.kind: entry
    for entry in (
        *(NamespaceEntry, RegionEntry, ServiceEntry, UserEntry, GroupEntry, SessionEntry),
        *(DeviceEntry, PolicyEntry, PolicyTriggerEntry, SecretEntry, ClusterConfigEntry),
        *(ContainerStateEntry, VerificationKeyEntry),
    )
}
