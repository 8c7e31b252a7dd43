"""Selecting, ordering and paging resources."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from octelium.schema.jsonform import to_json
from octelium.schema.pb import meta_v1_pb2 as meta
from octelium.store.errors import InvalidArgument, NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from octelium.store.interface import Created
    from octelium.store.state import Item

M = TypeVar("M")

LAST_PAGE = 10_000
DEFAULT_PAGE_SIZE = 200
LARGEST_PAGE = 1_000

_STEP = re.compile(r"[a-z][a-zA-Z0-9]{0,127}")
_ORDER = meta.CommonListOptionsOrderByType__
_MODE = meta.CommonListOptionsOrderByMode__


@dataclass(frozen=True, slots=True)
class Filter:
    """A test on one field of a resource's JSON form.

    `field` is a dotted path. EQ compares; as the JSON form leaves defaults out, False, 0 and ""
    also match an absent field. INCLUDES asks whether a list of strings holds `value`. Raises
    InvalidArgument for a path that cannot be one.
    """

    field: str
    op: Literal["EQ", "INCLUDES"]
    value: str | bool | int | float

    def __post_init__(self) -> None:
        if not all(_STEP.fullmatch(step) for step in self.field.split(".")):
            raise InvalidArgument(f"{self.field!r} is no path of a field")

    def matches(self, message: Any) -> bool:
        """Whether a resource passes."""
        found: Any = to_json(message)
        for step in self.field.split("."):
            found = found.get(step) if isinstance(found, dict) else None
        if self.op == "INCLUDES":
            return isinstance(found, list) and self.value in found
        if found is None:
            return not self.value
        return isinstance(found, bool) == isinstance(self.value, bool) and bool(found == self.value)


@dataclass(frozen=True, slots=True)
class Page(Generic[M]):
    """One page of a list; `page` counts from 0, `total_count` counts all matches."""

    items: list[M]
    page: int
    items_per_page: int
    total_count: int

    @property
    def has_more(self) -> bool:
        """Whether another page follows."""
        return self.total_count > (self.page + 1) * self.items_per_page

    def meta(self) -> meta.ListResponseMeta:
        """What a list response says about itself."""
        return meta.ListResponseMeta(
            page=self.page,
            items_per_page=self.items_per_page,
            total_count=self.total_count,
            has_more=self.has_more,
        )


def ordered(items: list[Item], options: meta.CommonListOptions) -> list[Item]:
    """Items in the order asked for: by default that of their creation.

    A mode without a type is ignored. Raises InvalidArgument for an unknown type or mode.
    """
    by, mode = options.order_by.type, options.order_by.mode
    if mode not in (_MODE.MODE_UNSET, _MODE.ASC, _MODE.DESC):
        raise InvalidArgument(f"unknown direction {mode} of an order")
    if by == _ORDER.TYPE_UNSET:
        return items
    if by == _ORDER.NAME:
        return sorted(items, key=lambda item: item.name, reverse=mode == _MODE.DESC)
    if by == _ORDER.CREATED_AT:
        return sorted(items, key=_creation, reverse=mode == _MODE.DESC)
    raise InvalidArgument(f"unknown order {by}")


def _creation(item: Item) -> tuple[int, Created]:
    return item.message.metadata.created_at.ToNanoseconds(), item.created


def paged(items: Sequence[Item], options: meta.CommonListOptions) -> Page[Item]:
    """The page asked for.

    Raises InvalidArgument for a page beyond LAST_PAGE, NotFound for one beyond the end.
    """
    number, size = options.page, options.items_per_page
    if number > LAST_PAGE:
        raise InvalidArgument(f"page {number} is beyond the last possible one, {LAST_PAGE}")
    size = min(size, LARGEST_PAGE) if size else DEFAULT_PAGE_SIZE
    found = items[number * size : (number + 1) * size]
    if number and not found:
        raise NotFound(f"there is no page {number}: the list has {len(items)} items")
    return Page(list(found), number, size, len(items))
