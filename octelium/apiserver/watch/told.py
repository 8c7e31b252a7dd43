"""Changes as watches tell them: encoded once, whoever may see them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from octelium.apiserver.core.rules import all_rules
from octelium.schema.pb import ext_v1_pb2 as ext

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from octelium.store.indexes import Value
    from octelium.store.resources import Change, Committed, Item

_FIELDS: Final = {
    field.message_type.full_name: field.name
    for field in ext.WatchedChange.DESCRIPTOR.oneofs_by_name["resource"].fields
    if field.message_type is not None
}
_TYPES: Final = ext.ChangeType__
_DECISIVE: Final = frozenset({"Policy", "PolicyTrigger", "Group", "ClusterConfig"})
"""Kinds of which any resource may change what anybody may list."""
_API: Final = frozenset({("Service", "default.octelium-api"), ("Namespace", "octelium-api")})
_NOTHING: Final[frozenset[Value]] = frozenset()


class Told:
    """What one commit did to one resource, or that it did nothing which anybody may list.

    What List methods select by (to whom a resource belongs, whether it is hidden) stays the same
    for all of its life, so any version tells it.
    """

    __slots__ = (
        "_data",
        "_item",
        "_type",
        "ends",
        "is_decisive",
        "is_listed",
        "kind",
        "revision",
        "uid",
        "values",
    )

    def __init__(self, revision: int, kind: str = "", uid: str = "") -> None:
        self.revision = revision
        self.kind = kind
        self.uid = uid
        self.ends = True
        """Whether it is the last one of its commit."""
        self.is_listed = False
        self.is_decisive = False
        """Whether it may change what others may list than the resource itself."""
        self.values = _NOTHING
        """The index values of the resource."""
        self._item: Item | None = None
        self._type = _TYPES.CHANGE_UNKNOWN
        self._data: bytes | None = None

    @classmethod
    def of(cls, revision: int, change: Change, *, existed: bool) -> Told:
        """What a change of the store is to those who watch; `existed`: there was a version."""
        told = cls(revision, change.kind, change.uid)
        told.ends = False
        told.is_decisive = change.kind in _DECISIVE or (change.kind, change.name) in _API
        item = change.after or change.deletion
        if item is None or change.kind not in all_rules():
            return told
        told.is_listed = not item.message.metadata.is_system_hidden
        told.values = item.values
        told._item = item
        if change.after is None:
            told._type = _TYPES.DELETED
        else:
            told._type = _TYPES.MODIFIED if existed else _TYPES.ADDED
        return told

    @property
    def size(self) -> int:
        """About how many bytes it keeps in memory."""
        return 1024 if self._item is None else 1024 + 4 * len(self._item.data)

    @property
    def data(self) -> bytes:
        """The change as a member of `WatchResponse.changes`, as bytes.

        Members of a repeated field follow each other on the wire, so any of them, joined, are a
        response (https://protobuf.dev/programming-guides/encoding/).
        """
        if self._data is None:
            assert self._item is not None
            told = ext.WatchedChange(
                revision=self.revision, type=self._type, kind=self.kind, uid=self.uid
            )
            shown: Any = all_rules()[self.kind].shown(self._item.message)
            getattr(told, _FIELDS[shown.DESCRIPTOR.full_name]).CopyFrom(shown)
            self._data = ext.WatchResponse(changes=[told]).SerializeToString()
        return self._data


def tell(committed: Committed) -> list[Told]:
    """What a commit does, as it happens."""
    return _ended(
        committed.revision,
        [
            Told.of(committed.revision, change, existed=change.before is not None)
            for change in committed.changes
            if not _is_same(change)
        ],
    )


def recall(commits: Iterable[Committed]) -> Iterator[Told]:
    """What commits did that no longer tell what they replaced."""
    for committed in commits:
        yield from _ended(
            committed.revision,
            [
                Told.of(committed.revision, change, existed=_existed(change))
                for change in committed.changes
            ],
        )


def response(changes: Iterable[Told], revision: int = 0) -> bytes:
    """A `WatchResponse` on the wire."""
    end = ext.WatchResponse(revision=revision).SerializeToString()
    return b"".join([*(change.data for change in changes), end])


def _is_same(change: Change) -> bool:
    """Whether only what is stored apart has changed, which nobody lists."""
    before, after = change.before, change.after
    return before is not None and after is not None and before.data == after.data


def _existed(change: Change) -> bool:
    return change.after is not None and bool(change.after.message.metadata.last_resource_version)


def _ended(revision: int, changes: list[Told]) -> list[Told]:
    if not changes:
        return [Told(revision)]
    changes[-1].ends = True
    return changes
