"""A transaction: reads that see its own writes, and one commit for all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from google.protobuf.message import Message

from octelium.schema.kinds import kind_of
from octelium.schema.names import is_stored_name
from octelium.schema.schema_id import SCHEMA_ID
from octelium.store.errors import AlreadyExists, InvalidArgument, NotFound, ResourceChanged
from octelium.store.interface import Write
from octelium.store.metadata import Actor, keep_stamps, label, stamp_changed, stamp_created
from octelium.store.parts import PARTS
from octelium.store.reading import Reader
from octelium.store.state import Item

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from octelium.schema.pb import meta_v1_pb2 as meta
    from octelium.store.indexes import Value
    from octelium.store.state import State
    from octelium.store.vault import Vault

M = TypeVar("M", bound=Message)

_NOT_YET = (1 << 62, 0)
"""Sorts what is being created behind everything that exists."""


class Transaction(Reader):
    """Changes that take effect together. `at` is the instant (unix seconds) they all carry.

    `revision` is that of the commit once it is made, else the one that the transaction reads.
    """

    def __init__(self, state: State, vault: Vault, actor: Actor, at: float) -> None:
        super().__init__(vault)
        self.actor = actor
        self.at = at
        self.revision = state.revision
        self._state = state
        self._staged: dict[tuple[str, str], Item] = {}
        self._deleted: dict[tuple[str, str], Item] = {}
        self._names: dict[tuple[str, str], Item] = {}
        self._ended = False

    @property
    def changed(self) -> bool:
        """Whether there is anything to commit."""
        return bool(self._staged or self._deleted)

    def create(self, message: M) -> M:
        """Add a resource and return it as stored, with uid, versions, times and actor.

        Raises InvalidArgument for a name that the store cannot keep, AlreadyExists for one that
        is taken.
        """
        self._check_open()
        draft: Any = _copy(message)
        kind, name = kind_of(message).name, draft.metadata.name
        if not is_stored_name(name):
            raise InvalidArgument(f"{label(kind)}: {name!r} is no valid name")
        if self._by_name(kind, name) is not None:
            raise AlreadyExists(f"{label(kind)} {name} already exists")
        stamp_created(draft, self.actor, self.at)
        self._stage(kind, draft, None)
        return self._result(message, draft.metadata.uid)

    def update(self, message: M) -> M:
        """Replace a resource, found by its uid, and return it as stored.

        A message equal to what is stored writes nothing. A part that is stored apart (the data of
        a Secret or Config, the lists of a Session) stays as it is when the message carries none.
        Raises NotFound; ResourceChanged when the message is not made from the current version;
        InvalidArgument for another name.
        """
        self._check_open()
        draft: Any = _copy(message)
        kind, metadata = kind_of(message).name, draft.metadata
        current = self._by_uid(kind, metadata.uid)
        if current is None:
            raise NotFound(f"{label(kind)} {metadata.uid or metadata.name} does not exist")
        stored = current.message.metadata
        if metadata.resource_version != stored.resource_version:
            raise ResourceChanged(f"{label(kind)} {current.name} has changed: read it again")
        if metadata.name != current.name:
            raise InvalidArgument(f"{label(kind)} {current.name}: the name cannot change")
        keep_stamps(draft, current.message)
        if self._equal(current, draft):
            return self._result(message, current.uid)
        stamp_changed(draft, self._seen(kind, current.uid), self.actor, self.at)
        self._stage(kind, draft, current)
        return self._result(message, current.uid)

    def delete(self, kind: str | type[M], uid: str) -> Any:
        """Remove a resource and return its last version, without its part.

        Raises NotFound.
        """
        self._check_open()
        name = kind if isinstance(kind, str) else kind.DESCRIPTOR.name
        current = self._by_uid(name, uid)
        if current is None:
            raise NotFound(f"{label(name)} {uid} does not exist")
        last = current.copy()
        stamp_changed(last, self._seen(name, uid), self.actor, self.at)
        self._staged.pop((name, uid), None)
        self._names.pop((name, current.name), None)
        if uid in self._state.shelves[name].by_uid:
            self._deleted[name, uid] = _item(name, last, None, current)
        return last

    def end(self) -> None:
        """Refuse any further change: the block is left, and what it changed is decided."""
        self._ended = True

    def discard(self) -> None:
        """Forget every change, so that leaving the transaction commits nothing."""
        self._staged.clear()
        self._deleted.clear()
        self._names.clear()

    def writes(self) -> Iterator[Write]:
        """What the store is to commit."""
        for (kind, uid), last in self._deleted.items():
            yield Write(kind, uid, last.name, SCHEMA_ID, last.data, deleted=True)
            if self._state.shelves[kind].by_uid[uid].part is not None:
                apart = PARTS[kind].record_kind
                yield Write(apart, uid, uid, SCHEMA_ID, b"", deleted=True, erase=True)
        for (kind, uid), item in self._staged.items():
            yield Write(kind, uid, item.name, SCHEMA_ID, item.data)
            before = self._state.shelves[kind].by_uid.get(uid)
            if item.part is not None and (before is None or before.part is not item.part):
                yield Write(PARTS[kind].record_kind, uid, uid, SCHEMA_ID, item.part)

    def _check_open(self) -> None:
        if self._ended:
            raise RuntimeError("the transaction has ended: nothing more can be changed in it")

    def _stage(self, kind: str, draft: Any, current: Item | None) -> None:
        stored = current.part if current is not None else None
        part = PARTS.get(kind)
        if part is not None and (plain := part.take(draft)) is not None:
            uid = draft.metadata.uid
            if stored is None or part.decode(self._vault, uid, stored) != plain:
                stored = part.encode(self._vault, uid, plain)
        item = _item(kind, draft, stored, current)
        self._staged[kind, item.uid] = item
        self._names[kind, item.name] = item

    def _equal(self, current: Item, draft: Any) -> bool:
        """Whether a draft says nothing that is not stored."""
        part = PARTS.get(current.kind)
        if part is None:
            return bool(draft.SerializeToString(deterministic=True) == current.data)
        bare = _copy(draft)
        plain = part.take(bare)
        if bare.SerializeToString(deterministic=True) != current.data:
            return False
        if plain is None:
            return True
        return current.part is not None and plain == part.decode(
            self._vault, current.uid, current.part
        )

    def _seen(self, kind: str, uid: str) -> meta.Metadata | None:
        """The metadata of a resource as others see it."""
        item = self._state.shelves[kind].by_uid.get(uid)
        return None if item is None else item.message.metadata

    def _result(self, message: M, uid: str) -> M:
        return self.get(type(message), uid=uid)

    def _by_uid(self, kind: str, uid: str) -> Item | None:
        if (kind, uid) in self._deleted:
            return None
        return self._staged.get((kind, uid)) or self._state.shelves[kind].by_uid.get(uid)

    def _by_name(self, kind: str, name: str) -> Item | None:
        staged = self._names.get((kind, name))
        if staged is not None:
            return staged
        item = self._state.shelves[kind].by_name.get(name)
        return None if item is None or (kind, item.uid) in self._deleted else item

    def _all(self, kind: str) -> Iterable[Item]:
        shelf = self._state.shelves[kind].by_uid
        if not self.changed:
            yield from shelf.values()
            return
        for uid, item in shelf.items():
            if (kind, uid) not in self._deleted:
                yield self._staged.get((kind, uid), item)
        for (staged_kind, uid), item in self._staged.items():
            if staged_kind == kind and uid not in shelf:
                yield item

    def _found(self, kind: str, value: Value) -> Iterable[Item]:
        for uid, item in self._state.shelves[kind].found(value).items():
            if (kind, uid) not in self._deleted and (kind, uid) not in self._staged:
                yield item
        for (staged_kind, _), item in self._staged.items():
            if staged_kind == kind and value in item.values:
                yield item


def _item(kind: str, draft: Any, part: bytes | None, current: Item | None) -> Item:
    data = draft.SerializeToString(deterministic=True)
    created = current.created if current is not None else _NOT_YET
    return Item(kind, draft.metadata.uid, draft.metadata.name, data, part, 0, created)


def _copy(message: M) -> M:
    copy = type(message)()
    copy.CopyFrom(message)
    return copy
