"""What a role gets to see of the resources, as snapshots and as commits.

The data plane gets the kinds that requests need, the public halves of the signing keys, and of the
Secrets only those that its Services name and the certificates; their data is opened on the way. The
gateway gets what connects Sessions, and of the Secrets only its own keys. The controller gets the
containers of Services, and of the Secrets only those that containers name.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from octelium.replica.entries import is_certificate, is_system
from octelium.replica.errors import FeedError
from octelium.replica.gateway_key import LABEL as GATEWAY_KEY_LABEL
from octelium.replica.reduced import REDUCED
from octelium.replica.secret_names import container_secret_names, secret_names
from octelium.schema.pb import feed_v1_pb2 as feed
from octelium.store.errors import StoreError
from octelium.store.parts import PARTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from octelium.replica.reduced import Reduce
    from octelium.schema.pb import core_v1_pb2 as core
    from octelium.store.resources import Committed, Item, Resources

ROLES: Mapping[str, frozenset[str]] = {
    "data-plane": frozenset(
        {
            *("ClusterConfig", "ContainerState", "Device", "Group", "Namespace", "Policy"),
            *("PolicyTrigger", "Region", "Service", "Session", "User"),
        }
    ),
    "gateway": frozenset({"ClusterConfig", "Gateway", "Session"}),
    "controller": frozenset({"ClusterConfig", "Service"}),
}
"""The kinds that each role sees, whole or as `reduced` tells. Secrets and keys are chosen one by
one."""

_NAMES: Mapping[str, Callable[[core.Service], frozenset[str]]] = {
    "data-plane": secret_names,
    "controller": container_secret_names,
}
"""Role → which Secrets a Service names for it. Other roles see none by name."""

_LOG = logging.getLogger(__name__)

_SIGNING_LABEL = ("systemLabels.octelium-root-secret", "true")
_PIECE = 1024 * 1024
"""Bytes of resources in one piece of a snapshot."""


class Source:
    """The view of one role. It has to be told every commit, in order, from its making on.

    A Secret that does not open, or a signing key that cannot be read, is missing from the view,
    and logged: what depends on it fails, nothing else does.
    """

    def __init__(self, resources: Resources, role: str) -> None:
        """Raises FeedError for an unknown role."""
        if role not in ROLES:
            raise FeedError(f"unknown role {role!r}")
        self._resources = resources
        self._kinds = ROLES[role]
        self._reduced = REDUCED.get(role, {})
        self._role = role
        self._names = _NAMES.get(role)
        self._by_service: dict[str, frozenset[str]] = {}
        self._named: Counter[str] = Counter()
        self._shown: set[str] = set()
        if self._names is not None:
            for item in resources.items("Service"):
                self._name(item.uid, self._names(item.message))
        self._shown.update(item.uid for item in resources.items("Secret") if self._visible(item))

    def snapshot(self, instance: bytes) -> Iterator[feed.Commit]:
        """Everything, at the revision of the call, in pieces that are made one by one."""
        items = [item for kind in sorted(self._kinds) for item in self._resources.items(kind)]
        secrets = [*self._resources.items("Secret")]
        items += [item for item in secrets if item.uid in self._shown]
        keys = [item for item in secrets if self._is_key(item)]
        return self._pieces(self._resources.revision, instance, items, keys)

    def _pieces(
        self, revision: int, instance: bytes, items: list[Item], keys: list[Item]
    ) -> Iterator[feed.Commit]:
        piece = feed.Commit(revision=revision, snapshot_begin=True, instance=instance)
        size = 0
        for change in self._snapshot_changes(items, keys):
            piece.changes.append(change)
            size += len(change.data)
            if size >= _PIECE:
                yield piece
                piece, size = feed.Commit(revision=revision), 0
        piece.snapshot_end = True
        yield piece

    def _snapshot_changes(self, items: list[Item], keys: list[Item]) -> Iterator[feed.Change]:
        for item in items:
            yield from self._put(item, with_part=True)
        for key in keys:
            yield self._key(key)

    def commit(self, committed: Committed) -> feed.Commit:
        """One commit as the role sees it; perhaps empty, yet a revision to be followed."""
        message = feed.Commit(revision=committed.revision)
        touched: dict[str, Item | None] = {}
        names: set[str] = set()
        for change in committed.changes:
            if (reduce := self._reduced.get(change.kind)) is not None:
                message.changes.extend(_reduced_change(reduce, change.before, change.after))
            elif change.kind in self._kinds:
                message.changes.extend(self._change(change.uid, change.before, change.after))
            if change.kind == "Service" and self._names is not None:
                after = change.after
                names |= self._name(
                    change.uid, self._names(after.message) if after else frozenset()
                )
            elif change.kind == "Secret":
                touched[change.uid] = change.after
                message.changes.extend(self._key_change(change.before, change.after))
        for secret in self._resources.items("Secret") if names else ():
            if secret.name in names:
                touched.setdefault(secret.uid, secret)
        changed = {change.uid for change in committed.changes}
        for uid, item in touched.items():
            message.changes.extend(self._secret_change(uid, item, changed=uid in changed))
        return message

    def _change(self, uid: str, before: Item | None, after: Item | None) -> Iterable[feed.Change]:
        if after is not None:
            yield from self._put(after, with_part=before is None or before.part is not after.part)
        elif before is not None:
            yield feed.Change(kind=before.kind, uid=uid, name=before.name, deleted=True)
            if before.part is not None:
                yield feed.Change(kind=PARTS[before.kind].record_kind, uid=uid, deleted=True)

    def _put(self, item: Item, *, with_part: bool) -> Iterable[feed.Change]:
        if item.kind == "Secret":
            yield self._opened(item)
            return
        if item.kind in self._reduced:
            yield from _reduced_change(self._reduced[item.kind], None, item)
            return
        if with_part and item.part is not None:
            apart = PARTS[item.kind].record_kind
            yield feed.Change(kind=apart, uid=item.uid, data=item.part)
        yield feed.Change(kind=item.kind, uid=item.uid, name=item.name, data=item.data)

    def _secret_change(
        self, uid: str, item: Item | None, *, changed: bool
    ) -> Iterable[feed.Change]:
        if item is not None and self._visible(item):
            if changed or uid not in self._shown:
                self._shown.add(uid)
                yield from self._put(item, with_part=True)
        elif uid in self._shown:
            self._shown.discard(uid)
            yield feed.Change(kind="Secret", uid=uid, deleted=True)

    def _key_change(self, before: Item | None, after: Item | None) -> Iterable[feed.Change]:
        if after is not None and self._is_key(after):
            yield self._key(after)
        elif before is not None and self._is_key(before):
            yield feed.Change(kind="VerificationKey", uid=before.uid, deleted=True)

    def _is_key(self, item: Item) -> bool:
        return self._role == "data-plane" and _SIGNING_LABEL in item.values

    def _key(self, item: Item) -> feed.Change:
        change = feed.Change(kind="VerificationKey", uid=item.uid, name=item.name)
        try:
            data = self._resources.whole(item).data
            binary = data.WhichOneof("type") == "value_bytes"
            key = load_pem_private_key(data.value_bytes if binary else data.value.encode(), None)
            change.data = key.public_key().public_bytes(
                Encoding.DER, PublicFormat.SubjectPublicKeyInfo
            )
        except (StoreError, ValueError, TypeError) as error:
            _LOG.error("signing key %s cannot be read: %s", item.name, error)
            change.deleted = True
        return change

    def _opened(self, item: Item) -> feed.Change:
        change = feed.Change(kind="Secret", uid=item.uid, name=item.name)
        try:
            change.data = self._resources.whole(item).SerializeToString()
        except StoreError as error:
            _LOG.error("Secret %s is withheld from its readers: %s", item.name, error)
            change.deleted = True
        return change

    def _visible(self, item: Item) -> bool:
        if self._role == "gateway":
            return GATEWAY_KEY_LABEL in item.message.metadata.system_labels
        if is_system(item.message):
            return self._role == "data-plane" and is_certificate(item.message)
        return item.name in self._named

    def _name(self, service: str, names: frozenset[str]) -> frozenset[str]:
        """Note what a Service names from here on; returns the names it began or ceased to name."""
        former = self._by_service.pop(service, frozenset())
        if names:
            self._by_service[service] = names
        self._named.update(names - former)
        for name in former - names:
            self._named[name] -= 1
            if not self._named[name]:
                del self._named[name]
        return names ^ former


def _reduced_change(
    reduce: Reduce, before: Item | None, after: Item | None
) -> Iterable[feed.Change]:
    """Nothing, unless a commit changes what is to be seen."""
    old = None if before is None else reduce(before.message)
    new = None if after is None else reduce(after.message)
    if after is not None and new is not None and new != old:
        yield feed.Change(kind=after.kind, uid=after.uid, name=after.name, data=new)
    elif before is not None and old is not None and new is None:
        yield feed.Change(kind=before.kind, uid=before.uid, name=before.name, deleted=True)
