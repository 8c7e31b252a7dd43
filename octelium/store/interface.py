"""What a store of revisions is to its users, whatever keeps the bytes.

A store is a sequence of commits, numbered from 1 without gaps, save where a restored one begins
anew (`Store.origin`). Each commit writes or deletes records; the store knows of a record its kind,
uid, name and bytes, never what the bytes mean.
A commit names the revision that it was made for (`base`) and takes effect only if that still is
the head, so a backend needs nothing more than one atomic compare-and-put: what a transaction read
cannot have changed before it is committed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

LARGEST_RECORD = 4 * 1024 * 1024
"""The largest record in bytes, more than any limit of the API on one resource."""

Created = tuple[int, int]
"""When a record was created: the revision, and its place within that commit."""


@dataclass(frozen=True, slots=True)
class Record:
    """The current bytes of one resource, or of a part of one that is kept apart.

    `schema` says which schema the bytes are of; `revision` is the commit that wrote them.
    Records sort by `created` into the order of their creation.
    """

    kind: str
    uid: str
    name: str
    schema: int
    data: bytes
    revision: int
    created: Created


@dataclass(frozen=True, slots=True)
class Write:
    """One change of a commit.

    With `deleted` the record goes, and `data` is what history keeps as its last words. With
    `erase` the bytes of all earlier versions are destroyed too, those in history included.
    """

    kind: str
    uid: str
    name: str
    schema: int
    data: bytes
    deleted: bool = False
    erase: bool = False


@dataclass(frozen=True, slots=True)
class Commit:
    """One revision: all its writes took effect together, at `at` (unix seconds)."""

    revision: int
    at: float
    writes: tuple[Write, ...]


@dataclass(frozen=True, slots=True)
class Version:
    """One version of one record, as history keeps it. `write.erase` marks destroyed bytes."""

    revision: int
    at: float
    write: Write


class Store(Protocol):
    """A sequence of commits. Every method may raise Unavailable when the backend fails."""

    async def head(self) -> int:
        """The last revision; 0 for a store that nothing was ever written to."""
        ...

    async def origin(self) -> int:
        """The revision with which the present sequence began: 0, or where it was restored.

        Nothing before it can be asked for: another store may have given those numbers to commits
        that are not in this one.
        """
        ...

    async def get(self, kind: str, uid: str) -> Record | None:
        """The current record, or None."""
        ...

    async def records(self, kind: str | None = None, *, at: int | None = None) -> list[Record]:
        """Records of one kind or of all, in order of creation, as they were at revision `at`.

        Raises Compacted when history no longer tells, InvalidArgument for a future revision.
        """
        ...

    async def commit(self, writes: Sequence[Write], *, base: int, at: float) -> Commit:
        """Make `writes` the next revision, all or nothing, durably, if `base` is the head.

        Deletions take effect before other writes, so a name can pass from one record to another.
        Raises ResourceChanged when the head is another; AlreadyExists when a name is taken;
        NotFound when a record to be deleted is missing; InvalidArgument for an empty commit, two
        writes to one record, a changed name, or a record beyond LARGEST_RECORD. When Unavailable
        is raised the outcome is unknown: compare `head()` to `base`.
        """
        ...

    async def commits(self, after: int, limit: int = 1000) -> list[Commit]:
        """Commits that follow revision `after`, oldest first, at most `limit`.

        Raises Compacted when some of them are no longer kept whole.
        """
        ...

    def watch(self, after: int) -> AsyncIterator[Commit]:
        """Every commit after revision `after`, past and future, in order, without gaps.

        Each watcher reads at its own pace. Raises Compacted when it falls behind what is kept.
        """
        ...

    async def history(
        self, kind: str, uid: str, *, before: int | None = None, limit: int = 100
    ) -> list[Version]:
        """Versions of one record that are still kept, newest first, older than `before`."""
        ...

    async def revision_at(self, at: float) -> int:
        """The last revision committed at or before an instant that is still kept; 0 if none."""
        ...

    async def prune(self, floors: Mapping[str, int]) -> None:
        """Forget, of each kind, versions that were already replaced at the revision named.

        What `records(kind, at=floor)` and later revisions need is kept.
        """
        ...

    async def close(self) -> None:
        """Release the store. Idempotent."""
        ...
