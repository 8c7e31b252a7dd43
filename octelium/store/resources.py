"""Resources: the store in terms of the API's messages, its current state held in memory.

One process writes. Reads are plain calls on memory; a transaction runs alone, so nothing that it
read can change before its commit, which makes a look-up and the write that depends on it one step.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from octelium.schema.kinds import KINDS
from octelium.store.errors import StoreError, Unavailable
from octelium.store.metadata import SYSTEM, Actor, reference
from octelium.store.query import Filter, Page
from octelium.store.reading import Reader
from octelium.store.retention import Retention
from octelium.store.state import Change, Committed, Item, State, recalled
from octelium.store.transaction import Transaction
from octelium.store.upgrades import upgraded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from octelium.store.indexes import Value
    from octelium.store.interface import Commit, Store
    from octelium.store.vault import Vault

__all__ = [
    "SYSTEM",
    "Actor",
    "Change",
    "Committed",
    "Filter",
    "Item",
    "Page",
    "ResourceVersion",
    "Resources",
    "Transaction",
    "reference",
]

_LOG = logging.getLogger(__name__)
_MANY: Final = frozenset({"Session"})
"""Kinds of which there may be thousands, each seldom asked for: a message takes several times as
much memory as its bytes."""


_PATIENCE = 30.0
"""Seconds for which none of those before it ends that a transaction waits."""


@dataclass(frozen=True, slots=True)
class ResourceVersion:
    """One version in the history of a resource; `at` in unix seconds."""

    revision: int
    at: float
    message: Any
    deleted: bool


class Resources(Reader):
    """Every resource of the Cluster. `load()` comes first; `clock` gives unix seconds."""

    def __init__(
        self,
        store: Store,
        vault: Vault,
        clock: Callable[[], float] = time.time,
        retention: Retention | None = None,
    ) -> None:
        super().__init__(vault)
        self._store = store
        self._clock = clock
        self._retention = retention or Retention()
        self._state = State()
        self._lock = asyncio.Lock()
        self._holder: asyncio.Task[Any] | None = None
        self._uncertain = False
        self._moved = 0.0
        self._subscribers: list[Callable[[Committed], None]] = []

    @property
    def revision(self) -> int:
        """The last revision, all of whose changes are visible here."""
        return self._state.revision

    async def load(self) -> None:
        """Read everything.

        Raises StoreUnusable when the store is of a newer release, or when its Secrets do not open
        with the vault's keys.
        """
        head = await self._store.head()
        self._state.load(await self._store.records(), head)
        sealed = next((item for item in self._state.items() if item.kind == "Secret"), None)
        if sealed is not None:
            sealed.whole(self._vault)

    def items(self, kind: str) -> Iterable[Item]:
        """Every resource of a kind as it is stored, in order of creation, not to be changed.

        The result is a view of the current state: take it in before the next await.
        """
        return self._all(kind)

    def whole(self, item: Item) -> Any:
        """The resource of an item with its part, opened. Raises StoreUnusable."""
        return item.whole(self._vault)

    def subscribe(self, subscriber: Callable[[Committed], None]) -> Callable[[], None]:
        """Have `subscriber` called after each commit, in order, before its author goes on.

        Returns what ends the subscription. A subscriber must not block; one that raises is logged
        and does not keep the others from being called.
        """
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber)

    @asynccontextmanager
    async def transaction(self, actor: Actor = SYSTEM) -> AsyncIterator[Transaction]:
        """A transaction, committed when its block ends and dropped when that raises.

        When the block has ended all its changes are durable and every subscriber has seen them.
        Transactions run one at a time, in the order in which they came, however many wait: do not
        wait for the outside world within one. Raises Unavailable when another holds the store for
        too long, or when it fails.
        """
        await self._acquire()
        try:
            transaction = Transaction(self._state, self._vault, actor, self._clock())
            try:
                yield transaction
            finally:
                transaction.end()
        except BaseException:
            self._release()
            raise
        # Once begun, a commit is seen through even if the author is cancelled: what the store
        # keeps and what memory holds must not part.
        await asyncio.shield(self._finish(transaction))

    async def _acquire(self) -> None:
        if self._holder is not None and self._holder is asyncio.current_task():
            raise RuntimeError("a transaction within a transaction would wait for itself")
        try:
            async with asyncio.timeout(None) as patience:
                watch = self._watch(patience)
                try:
                    await self._lock.acquire()
                finally:
                    watch()
        except TimeoutError:
            raise Unavailable("another change holds the store for too long: try again") from None
        self._holder = asyncio.current_task()
        if self._uncertain:
            try:
                await self._catch_up()
            except BaseException:
                self._release()
                raise

    def _watch(self, patience: asyncio.Timeout) -> Callable[[], None]:
        """Let a wait end once nobody has been done for long; returns what ends the watch."""
        loop = asyncio.get_running_loop()
        began = loop.time()

        def look() -> None:
            nonlocal timer
            until = max(began, self._moved) + _PATIENCE
            if until <= loop.time():
                patience.reschedule(until)
            else:
                timer = loop.call_at(until, look)

        timer = loop.call_at(began + _PATIENCE, look)
        return lambda: timer.cancel()

    def _release(self) -> None:
        self._holder = None
        self._moved = asyncio.get_running_loop().time()
        self._lock.release()

    async def _finish(self, transaction: Transaction) -> None:
        try:
            if transaction.changed:
                await self._commit(transaction)
        finally:
            self._release()

    async def _commit(self, transaction: Transaction) -> None:
        writes = [*transaction.writes()]
        self._uncertain = True
        commit = await self._store.commit(writes, base=self.revision, at=transaction.at)
        self._uncertain = False
        self._take(commit)
        transaction.revision = commit.revision
        if commit.revision % self._retention.interval == 0:
            await self._prune()

    async def _catch_up(self) -> None:
        """Learn what the store holds after a commit of unknown outcome."""
        while commits := await self._store.commits(self.revision):
            for commit in commits:
                self._take(commit)
        self._uncertain = False

    def _take(self, commit: Commit) -> None:
        committed = self._state.apply(commit)
        for subscriber in tuple(self._subscribers):
            try:
                subscriber(committed)
            except Exception:  # noqa: BLE001  (the commit is durable: no failure undoes it)
                _LOG.exception("a subscriber failed at revision %d", committed.revision)
        for change in committed.changes:
            if change.kind in _MANY and change.after is not None:
                change.after.forget()

    async def _prune(self) -> None:
        try:
            oldest = await self._store.revision_at(self._clock() - self._retention.history)
            await self._store.prune(self._retention.floors(self.revision, oldest))
        except StoreError as error:
            _LOG.warning("old versions could not be forgotten: %s", error)

    async def history(
        self, kind: str, uid: str, *, before: int | None = None, limit: int = 100
    ) -> list[ResourceVersion]:
        """Versions of a resource, newest first, without the part that is stored apart."""
        versions = await self._store.history(kind, uid, before=before, limit=limit)
        return [
            ResourceVersion(
                version.revision,
                version.at,
                KINDS[kind].message.FromString(
                    upgraded(kind, version.write.schema, version.write.data)
                ),
                version.write.deleted,
            )
            for version in versions
        ]

    async def deleted_since(self, kind: str, at: float) -> list[tuple[float, Any]]:
        """The last words of what was deleted after an instant, and when, oldest first.

        As far as history reaches back: `Retention.window` revisions, and to no other sequence.
        """
        after = max(
            await self._store.revision_at(at),
            self.revision - self._retention.window,
            await self._store.origin(),
        )
        found = []
        while commits := await self._store.commits(after):
            after = commits[-1].revision
            for commit in commits:
                for write in commit.writes:
                    if write.deleted and write.kind == kind and commit.at > at:
                        data = upgraded(kind, write.schema, write.data)
                        found.append((commit.at, KINDS[kind].message.FromString(data)))
        return found

    async def commits(self, after: int, limit: int = 200) -> list[Committed]:
        """Commits that follow a revision, oldest first, at most `limit`.

        They do not tell what was replaced or deleted: `before` is None. Raises Compacted when some
        of them are no longer kept.
        """
        return [recalled(commit) for commit in await self._store.commits(after, limit)]

    async def list_at(self, kind: str, revision: int) -> list[Any]:
        """All resources of a kind as they were at a revision, without their parts.

        Raises Compacted when history does not reach back that far.
        """
        return [
            KINDS[kind].message.FromString(upgraded(kind, record.schema, record.data))
            for record in await self._store.records(kind, at=revision)
        ]

    async def close(self) -> None:
        """Close the store, after the transaction under way. Idempotent."""
        async with self._lock:
            await self._store.close()

    def _by_uid(self, kind: str, uid: str) -> Item | None:
        return self._state.shelves[kind].by_uid.get(uid)

    def _by_name(self, kind: str, name: str) -> Item | None:
        return self._state.shelves[kind].by_name.get(name)

    def _all(self, kind: str) -> Iterable[Item]:
        return self._state.shelves[kind].by_uid.values()

    def _found(self, kind: str, value: Value) -> Iterable[Item]:
        return self._state.shelves[kind].found(value).values()
