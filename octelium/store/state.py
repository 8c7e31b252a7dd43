"""The current state in memory: every resource as wire bytes, and the ways to find it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from octelium.schema.kinds import KINDS
from octelium.store.errors import StoreUnusable
from octelium.store.indexes import index_values
from octelium.store.parts import OWNERS, PARTS
from octelium.store.upgrades import upgraded

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from octelium.store.indexes import Value
    from octelium.store.interface import Commit, Created, Record, Write
    from octelium.store.vault import Vault


class Item:
    """One version of one resource. Never changed once made.

    `data` are the wire bytes of its record, `part` the stored bytes of what is kept apart.
    """

    __slots__ = (
        "_message",
        "_values",
        "created",
        "data",
        "kind",
        "name",
        "part",
        "revision",
        "uid",
    )

    def __init__(
        self,
        kind: str,
        uid: str,
        name: str,
        data: bytes,
        part: bytes | None,
        revision: int,
        created: Created,
    ) -> None:
        self.kind = kind
        self.uid = uid
        self.name = name
        self.data = data
        self.part = part
        self.revision = revision
        self.created = created
        self._message: Any = None
        self._values: frozenset[Value] | None = None

    @property
    def message(self) -> Any:
        """The resource without its part, parsed once and shared: read it, never write to it."""
        if self._message is None:
            self._message = self.copy()
        return self._message

    def forget(self) -> None:
        """Keep the message no longer; whoever asks for it again has it parsed again."""
        self._message = None

    @property
    def values(self) -> frozenset[Value]:
        """Every index value under which the resource is found."""
        if self._values is None:
            self._values = frozenset(index_values(self.kind, self.message))
        return self._values

    def copy(self) -> Any:
        """The resource without its part, for the caller to keep."""
        return KINDS[self.kind].message.FromString(self.data)

    def whole(self, vault: Vault) -> Any:
        """The resource with its part, opened, for the caller to keep."""
        message = self.copy()
        if self.part is not None:
            part = PARTS[self.kind]
            part.give(message, part.decode(vault, self.uid, self.part))
        return message


@dataclass(frozen=True, slots=True)
class Change:
    """What one commit did to one resource: `before` and `after` are None where there is none.

    `deletion` is the version that a deletion leaves behind, whose metadata tells who deleted it.
    """

    kind: str
    uid: str
    name: str
    before: Item | None
    after: Item | None
    deletion: Item | None = None


@dataclass(frozen=True, slots=True)
class Committed:
    """One revision in terms of resources; `at` in unix seconds."""

    revision: int
    at: float
    changes: tuple[Change, ...]


class Shelf:
    """All resources of one kind, in order of creation."""

    __slots__ = ("_indexes", "by_name", "by_uid")

    def __init__(self) -> None:
        self.by_uid: dict[str, Item] = {}
        self.by_name: dict[str, Item] = {}
        self._indexes: dict[Value, dict[str, Item]] = {}

    def found(self, value: Value) -> dict[str, Item]:
        """The resources under one index value, by uid, in no order."""
        return self._indexes.get(value, {})

    def put(self, item: Item) -> None:
        """Add a resource, or replace its former version."""
        former = self.by_uid.get(item.uid)
        self.by_uid[item.uid] = item
        self.by_name[item.name] = item
        if former is not None:
            self._drop(former, former.values - item.values)
        for value in item.values:
            self._indexes.setdefault(value, {})[item.uid] = item

    def remove(self, uid: str) -> None:
        """Take a resource away."""
        item = self.by_uid.pop(uid)
        del self.by_name[item.name]
        self._drop(item, item.values)

    def _drop(self, item: Item, values: Iterable[Value]) -> None:
        for value in values:
            found = self._indexes[value]
            del found[item.uid]
            if not found:
                del self._indexes[value]


class State:
    """Every shelf, at one revision."""

    __slots__ = ("revision", "shelves")

    def __init__(self) -> None:
        self.revision = 0
        self.shelves: dict[str, Shelf] = {kind: Shelf() for kind in KINDS}

    def load(self, records: Iterable[Record], revision: int) -> None:
        """Take everything from the store, in order of creation."""
        parts: dict[tuple[str, str], bytes] = {}
        mains: list[Record] = []
        for record in records:
            if record.kind in OWNERS:
                parts[OWNERS[record.kind], record.uid] = upgraded(
                    record.kind, record.schema, record.data
                )
            else:
                mains.append(record)
        self.shelves = {kind: Shelf() for kind in KINDS}
        for record in mains:
            if record.kind not in self.shelves:
                raise StoreUnusable(
                    f"the store holds a {record.kind}, which this release does not know: "
                    "run the release that wrote it"
                )
            part = parts.get((record.kind, record.uid))
            data = upgraded(record.kind, record.schema, record.data)
            self.shelves[record.kind].put(
                Item(
                    *(record.kind, record.uid, record.name, data, part),
                    *(record.revision, record.created),
                )
            )
        self.revision = revision

    def apply(self, commit: Commit) -> Committed:
        """Take over the next commit of the store."""
        parts = {
            (OWNERS[write.kind], write.uid): write
            for write in commit.writes
            if write.kind in OWNERS
        }
        changes = []
        for position, write in enumerate(commit.writes):
            if write.kind in OWNERS:
                continue
            part = parts.pop((write.kind, write.uid), None)
            changes.append(self._apply(write, part, (commit.revision, position)))
        for (kind, uid), part in parts.items():
            changes.append(self._apply_part(kind, uid, part, commit.revision))
        self.revision = commit.revision
        return Committed(commit.revision, commit.at, tuple(changes))

    def _apply(self, write: Write, part: Write | None, created: Created) -> Change:
        shelf = self.shelves[write.kind]
        before = shelf.by_uid.get(write.uid)
        if write.deleted:
            shelf.remove(write.uid)
            last = Item(write.kind, write.uid, write.name, write.data, None, created[0], created)
            return Change(write.kind, write.uid, write.name, before, None, last)
        stored = before.part if before is not None else None
        if part is not None:
            stored = _bytes(part)
        if before is not None:
            revision, created = created[0], before.created
        else:
            revision = created[0]
        after = Item(write.kind, write.uid, write.name, write.data, stored, revision, created)
        shelf.put(after)
        return Change(write.kind, write.uid, write.name, before, after)

    def _apply_part(self, kind: str, uid: str, part: Write, revision: int) -> Change:
        shelf = self.shelves[kind]
        before = shelf.by_uid[uid]
        after = Item(kind, uid, before.name, before.data, _bytes(part), revision, before.created)
        shelf.put(after)
        return Change(kind, uid, before.name, before, after)

    def items(self) -> Iterator[Item]:
        """Everything, kind by kind."""
        for shelf in self.shelves.values():
            yield from shelf.by_uid.values()


def recalled(commit: Commit) -> Committed:
    """A former commit, without what was before it and without the parts that are stored apart."""
    changes = []
    for position, write in enumerate(commit.writes):
        if write.kind in OWNERS:
            continue
        item = Item(
            *(write.kind, write.uid, write.name),
            upgraded(write.kind, write.schema, write.data),
            None,
            commit.revision,
            (commit.revision, position),
        )
        after, deletion = (None, item) if write.deleted else (item, None)
        changes.append(Change(write.kind, write.uid, write.name, None, after, deletion))
    return Committed(commit.revision, commit.at, tuple(changes))


def _bytes(part: Write) -> bytes | None:
    return None if part.deleted or part.erase else part.data
