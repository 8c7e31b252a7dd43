"""All resources of some kinds, and from where changes go on after them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.message import DecodeError

from octelium.client.errors import ApiError
from octelium.client.resources import Page
from octelium.schema.errors import Invalid
from octelium.schema.pb import ext_v1_pb2 as ext

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from octelium.client.resources import Resources
    from octelium.schema.kinds import Kind

    Key = tuple[str, str]
    """Kind and uid."""
    Version = tuple[str, str]
    """`metadata.resourceVersion`, and the name."""

REVISION_TRAILER: Final = "octelium-revision-bin"
_PAGE: Final = 1000
_ATTEMPTS: Final = 3
"""To read all pages of a kind while none is added or deleted."""


@dataclass(frozen=True, slots=True)
class Taken:
    """Lists, and the revisions of the store at their beginning and at their end.

    Changes after `revision` may already be seen in them. Where some resource was deleted before
    `latest`, pages may have moved so that another one stands in none. Revisions are 0 where the
    Cluster tells none.
    """

    items: list[Any]
    revision: int
    latest: int


class Lists:
    """The lists of kinds. `filters` are `user`, `namespace` or `region`, by name."""

    def __init__(
        self, resources: Resources, kinds: Sequence[Kind], filters: Mapping[str, str]
    ) -> None:
        self._resources = resources
        self._kinds = tuple(kinds)
        self._filters = dict(filters)

    def take(self) -> Taken:
        """Everything, kind by kind. Raises ApiError; Invalid for a filter that a kind lacks."""
        items: list[Any] = []
        revisions: list[int] = []
        for kind in self._kinds:
            for listing, revision in self._whole(kind):
                items += listing
                revisions.append(revision)
        return Taken(items, min(revisions, default=0), max(revisions, default=0))

    def _whole(self, kind: Kind) -> list[tuple[list[Any], int]]:
        """The pages of a kind with their revisions."""
        if kind.singleton:
            if self._filters:
                raise Invalid("", f"{kind.plural} cannot be listed by {next(iter(self._filters))}")
            trailers: dict[str, bytes] = {}
            item = self._resources.get(kind, "default", trailers=trailers)
            return [([item], _revision(trailers))]
        found: list[tuple[list[Any], int]] = []
        for _ in range(_ATTEMPTS):
            found, totals = self._pages(kind)
            if len(totals) == 1:
                break
        return found

    def _pages(self, kind: Kind) -> tuple[list[tuple[list[Any], int]], set[int]]:
        """The pages, and how many resources there were when each was made."""
        found: list[tuple[list[Any], int]] = []
        totals: set[int] = set()
        page = Page(size=_PAGE)
        while True:
            trailers: dict[str, bytes] = {}
            try:
                listing = self._resources.list_page(kind, page, trailers, **self._filters)
            except ApiError as error:
                # The last page has been deleted since the one before it was read.
                if page.number and error.code == "NOT_FOUND":
                    return found, totals | {-1}
                raise
            found.append(([*listing.items], _revision(trailers)))
            totals.add(listing.list_response_meta.total_count)
            if not listing.list_response_meta.has_more or not listing.items:
                return found, totals
            page = replace(page, number=page.number + 1)


def key_of(item: Any) -> Key:
    """What identifies a resource for good."""
    return item.kind, item.metadata.uid


def version_of(item: Any) -> Version:
    """What differs between two versions of a resource."""
    return item.metadata.resource_version, item.metadata.name


def _revision(trailers: dict[str, bytes]) -> int:
    """0 if the Cluster tells none."""
    try:
        return ext.WatchResponse.FromString(trailers.get(REVISION_TRAILER, b"")).revision
    except DecodeError:
        return 0
