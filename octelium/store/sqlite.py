"""The embedded store: one SQLite file, written by one thread of one process.

Write-ahead logging with `synchronous=FULL` makes a commit durable before it is acknowledged
(https://www.sqlite.org/pragma.html#pragma_synchronous). All SQLite work happens in a thread of
its own, so that waiting for the disk never holds up the event loop.
"""

from __future__ import annotations

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from octelium.store.database import open_database
from octelium.store.errors import Unavailable
from octelium.store.lock import DirectoryLock
from octelium.store.tables import Tables

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from pathlib import Path

    from octelium.store.interface import Commit, Record, Version, Write

P = ParamSpec("P")
T = TypeVar("T")


class SqliteStore:
    """A Store in a directory: `store.db`, its log, `store.lock` and `backups/`."""

    def __init__(self, directory: Path, thread: ThreadPoolExecutor) -> None:
        self._path = directory / "store.db"
        self._thread = thread
        self._loop = asyncio.get_running_loop()
        self._advanced = asyncio.Event()
        self._closed = False
        self._lock: DirectoryLock
        self._tables: Tables

    @classmethod
    async def open(cls, directory: Path) -> SqliteStore:
        """Open the store of a data directory, creating both as needed.

        Raises StoreUnusable, with nothing changed, when another process uses the directory or
        the file cannot be brought to this release.
        """
        store = cls(directory, ThreadPoolExecutor(1, thread_name_prefix="store"))
        try:
            await store._run(store._open)
        except BaseException:
            store._thread.shutdown(wait=False)
            raise
        return store

    def _open(self) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = DirectoryLock(self._path.with_suffix(".lock"))
        try:
            self._tables = Tables(open_database(self._path))
        except BaseException:
            self._lock.release()
            raise

    async def _run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do `work` in the store's thread. Raises Unavailable when SQLite fails."""
        if self._closed:
            raise Unavailable("the store is closed")
        try:
            return await self._loop.run_in_executor(self._thread, lambda: work(*args, **kwargs))
        except sqlite3.Error as error:
            raise Unavailable(
                f"{self._path} failed: {error}; see whether its disk is full or failing"
            ) from error

    async def head(self) -> int:
        """See `Store.head`."""
        return await self._run(self._tables.head)

    async def origin(self) -> int:
        """See `Store.origin`."""
        return await self._run(self._tables.origin)

    async def get(self, kind: str, uid: str) -> Record | None:
        """See `Store.get`."""
        return await self._run(self._tables.get, kind, uid)

    async def records(self, kind: str | None = None, *, at: int | None = None) -> list[Record]:
        """See `Store.records`."""
        return await self._run(self._tables.records, kind, at)

    async def commit(self, writes: Sequence[Write], *, base: int, at: float) -> Commit:
        """See `Store.commit`."""
        return await self._run(self._commit, writes, base, at)

    def _commit(self, writes: Sequence[Write], base: int, at: float) -> Commit:
        commit = self._tables.commit(writes, base, at)
        # From here, not from the caller: it may have been cancelled meanwhile.
        self._loop.call_soon_threadsafe(self._wake)
        return commit

    def _wake(self) -> None:
        self._advanced.set()
        self._advanced = asyncio.Event()

    async def commits(self, after: int, limit: int = 1000) -> list[Commit]:
        """See `Store.commits`."""
        return await self._run(self._tables.commits, after, limit)

    async def watch(self, after: int) -> AsyncIterator[Commit]:
        """See `Store.watch`. Ends when the store is closed."""
        while not self._closed:
            advanced = self._advanced
            batch = await self.commits(after)
            for commit in batch:
                yield commit
                after = commit.revision
            if not batch:
                await advanced.wait()

    async def history(
        self, kind: str, uid: str, *, before: int | None = None, limit: int = 100
    ) -> list[Version]:
        """See `Store.history`."""
        return await self._run(self._tables.history, kind, uid, before, limit)

    async def revision_at(self, at: float) -> int:
        """See `Store.revision_at`."""
        return await self._run(self._tables.revision_at, at)

    async def prune(self, floors: Mapping[str, int]) -> None:
        """See `Store.prune`."""
        await self._run(self._tables.prune, floors)

    async def close(self) -> None:
        """See `Store.close`."""
        if self._closed:
            return
        self._closed = True
        self._wake()
        try:
            await self._loop.run_in_executor(self._thread, self._tables.close)
        finally:
            self._lock.release()
            self._thread.shutdown(wait=False)
