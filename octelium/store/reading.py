"""Reading resources: the same for the current state and from within a transaction."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, TypeVar, overload

from google.protobuf.message import Message

from octelium.schema.kinds import KINDS
from octelium.schema.pb import meta_v1_pb2 as meta
from octelium.store.errors import InvalidArgument, NotFound
from octelium.store.metadata import label
from octelium.store.query import Page, ordered, paged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from octelium.store.indexes import Value
    from octelium.store.interface import Created
    from octelium.store.state import Item
    from octelium.store.vault import Vault

M = TypeVar("M", bound=Message)

_NAMES = {kind.message: kind.name for kind in KINDS.values()}


class Reader(ABC):
    """Typed look-ups. `kind` is the name of a kind, or its message class.

    What is returned belongs to the caller, save for `peek` and `peek_all`: their messages, and
    those that a `where` function sees, are shared and must not be written to.

    `by` selects through indexes, all of which must match: `{"status.userRef": uid}`,
    `{"specLabels.email": slug}`, `{"systemLabels.octelium-cert": "true"}`. `where` is then asked
    about each resource that is left; it sees it without the part that is stored apart.
    """

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    @abstractmethod
    def _by_uid(self, kind: str, uid: str) -> Item | None:
        """The item with a uid."""

    @abstractmethod
    def _by_name(self, kind: str, name: str) -> Item | None:
        """The item with a name."""

    @abstractmethod
    def _all(self, kind: str) -> Iterable[Item]:
        """Every item, in order of creation."""

    @abstractmethod
    def _found(self, kind: str, value: Value) -> Iterable[Item]:
        """Every item under an index value, in any order."""

    @overload
    def find(self, kind: type[M], *, uid: str = ..., name: str = ...) -> M | None: ...
    @overload
    def find(self, kind: str, *, uid: str = ..., name: str = ...) -> Any: ...
    def find(self, kind: str | type[M], *, uid: str = "", name: str = "") -> M | Any:
        """One whole resource, or None; when both are given, the name decides.

        Raises InvalidArgument when neither is given.
        """
        item = self._item(_name(kind), uid, name)
        return None if item is None else item.whole(self._vault)

    @overload
    def get(self, kind: type[M], *, uid: str = ..., name: str = ...) -> M: ...
    @overload
    def get(self, kind: str, *, uid: str = ..., name: str = ...) -> Any: ...
    def get(self, kind: str | type[M], *, uid: str = "", name: str = "") -> M | Any:
        """As `find`, but raises NotFound when there is none."""
        item = self._item(_name(kind), uid, name)
        if item is None:
            raise NotFound(f"{label(_name(kind))} {name or uid} does not exist")
        return item.whole(self._vault)

    @overload
    def peek(self, kind: type[M], *, uid: str = ..., name: str = ...) -> M | None: ...
    @overload
    def peek(self, kind: str, *, uid: str = ..., name: str = ...) -> Any: ...
    def peek(self, kind: str | type[M], *, uid: str = "", name: str = "") -> M | Any:
        """As `find`, but shared, read-only and without the part that is stored apart."""
        item = self._item(_name(kind), uid, name)
        return None if item is None else item.message

    @overload
    def peek_all(self, kind: type[M], *, by: Mapping[str, str] | None = ...) -> list[M]: ...
    @overload
    def peek_all(self, kind: str, *, by: Mapping[str, str] | None = ...) -> list[Any]: ...
    def peek_all(
        self, kind: str | type[M], *, by: Mapping[str, str] | None = None
    ) -> list[M] | list[Any]:
        """All selected, in order of creation; shared, read-only, without their parts."""
        return [item.message for item in self._select(_name(kind), by, None)]

    @overload
    def page(
        self,
        kind: type[M],
        options: meta.CommonListOptions | None = ...,
        *,
        by: Mapping[str, str] | None = ...,
        where: Callable[[M], bool] | None = ...,
        whole: bool = ...,
    ) -> Page[M]: ...
    @overload
    def page(
        self,
        kind: str,
        options: meta.CommonListOptions | None = ...,
        *,
        by: Mapping[str, str] | None = ...,
        where: Callable[[Any], bool] | None = ...,
        whole: bool = ...,
    ) -> Page[Any]: ...
    def page(
        self,
        kind: str | type[M],
        options: meta.CommonListOptions | None = None,
        *,
        by: Mapping[str, str] | None = None,
        where: Callable[[Any], bool] | None = None,
        whole: bool = False,
    ) -> Page[M] | Page[Any]:
        """One page of what is selected, in the order asked for; with their parts if `whole`.

        Raises InvalidArgument for a page or order that cannot be, NotFound for a page beyond the
        end (the first page may be empty).
        """
        options = options or meta.CommonListOptions()
        found = paged(ordered(self._select(_name(kind), by, where), options), options)
        messages = [item.whole(self._vault) if whole else item.copy() for item in found.items]
        return Page(messages, found.page, found.items_per_page, found.total_count)

    def count(
        self,
        kind: str | type[Message],
        *,
        by: Mapping[str, str] | None = None,
        where: Callable[[Any], bool] | None = None,
    ) -> int:
        """How many are selected."""
        return len(self._select(_name(kind), by, where))

    def exists(self, kind: str | type[Message], *, by: Value) -> bool:
        """Whether an index has anything under a value; takes as long however much that is."""
        return next(iter(self._found(_name(kind), by)), None) is not None

    def _item(self, kind: str, uid: str, name: str) -> Item | None:
        if name:
            return self._by_name(kind, name)
        if uid:
            return self._by_uid(kind, uid)
        raise InvalidArgument(f"{label(kind)}: a name or a uid is needed")

    def _select(
        self, kind: str, by: Mapping[str, str] | None, where: Callable[[Any], bool] | None
    ) -> list[Item]:
        if by:
            first, *others = by.items()
            found = self._found(kind, first)
            if others:
                found = (item for item in found if item.values.issuperset(others))
            items = sorted(found, key=_created)
        else:
            items = [*self._all(kind)]
        return [item for item in items if where(item.message)] if where is not None else items

    @overload
    def list(
        self,
        kind: type[M],
        *,
        by: Mapping[str, str] | None = ...,
        where: Callable[[M], bool] | None = ...,
        whole: bool = ...,
    ) -> list[M]: ...
    @overload
    def list(
        self,
        kind: str,
        *,
        by: Mapping[str, str] | None = ...,
        where: Callable[[Any], bool] | None = ...,
        whole: bool = ...,
    ) -> list[Any]: ...
    def list(
        self,
        kind: str | type[M],
        *,
        by: Mapping[str, str] | None = None,
        where: Callable[[Any], bool] | None = None,
        whole: bool = False,
    ) -> list[M] | list[Any]:
        """All selected, in order of creation; with their parts (Secret data opened) if `whole`."""
        items = self._select(_name(kind), by, where)
        return [item.whole(self._vault) if whole else item.copy() for item in items]


def _created(item: Item) -> Created:
    return item.created


def _name(kind: str | type[Message]) -> str:
    """Raises InvalidArgument for what is no kind."""
    name = kind if isinstance(kind, str) else _NAMES.get(kind)
    if name is None or name not in KINDS:
        raise InvalidArgument(f"{kind} is no kind of resource")
    return name
