"""What is special of the embedded store; its contract is tested in test_interface."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from octelium.store.errors import StoreUnusable, Unavailable
from octelium.store.sqlite import SqliteStore
from tests.store.samples import write

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from octelium.store.interface import Commit, Write
    from octelium.store.tables import Tables

WRITER = """
import asyncio, sys
from pathlib import Path
from octelium.store.interface import Write
from octelium.store.sqlite import SqliteStore

async def main():
    store = await SqliteStore.open(Path(sys.argv[1]))
    head = await store.head()
    print(head, flush=True)
    while True:
        data = b"%d" % (head + 1) * 300
        writes = [Write("Thing", f"u{n}", f"n{n}", 1, data) for n in range(int(sys.argv[2]))]
        head = (await store.commit(writes, base=head, at=0.0)).revision
        sys.stdout.write(f"{head}\\n")
        sys.stdout.flush()

asyncio.run(main())
"""


async def test_a_directory_is_opened_by_one_store_only(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path)
    with pytest.raises(StoreUnusable, match=f"{tmp_path} is in use by process {os.getpid()}"):
        await SqliteStore.open(tmp_path)
    await store.close()
    await (await SqliteStore.open(tmp_path)).close()


async def test_an_unusable_file_leaves_the_directory_unlocked(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_bytes(b"junk " * 1000)
    for _ in range(2):
        with pytest.raises(StoreUnusable, match="cannot be used"):
            await SqliteStore.open(tmp_path)


async def test_files_are_private(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "data")
    await store.commit([write("a")], base=0, at=0.0)
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    for file in (tmp_path / "data").iterdir():
        assert file.stat().st_mode & 0o777 == 0o600, file
    await store.close()


async def test_a_closed_store_says_so_and_closes_again(store: SqliteStore) -> None:
    await store.close()
    await store.close()
    with pytest.raises(Unavailable, match="closed"):
        await store.head()
    with pytest.raises(Unavailable, match="closed"):
        await store.commit([write("a")], base=0, at=0.0)


async def test_a_failing_disk_is_unavailable_and_says_where(store: SqliteStore) -> None:
    def fail() -> None:
        raise sqlite3.OperationalError("disk I/O error")

    with pytest.raises(Unavailable, match=r"store\.db failed: disk I/O error; see whether"):
        await store._run(fail)


async def test_the_event_loop_goes_on_while_the_disk_is_slow(store: SqliteStore) -> None:
    release = threading.Event()
    slow = asyncio.gather(store._run(release.wait, 60), store.head())
    await asyncio.sleep(0)
    assert not slow.done()
    release.set()
    assert tuple(await slow) == (True, 0)


class Slow:
    """Tables whose commits begin, then wait to be let go on."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self.begun = threading.Event()
        self.go_on = threading.Event()

    def __getattr__(self, name: str) -> object:
        return getattr(self._tables, name)

    def commit(self, writes: Sequence[Write], base: int, at: float) -> Commit:
        self.begun.set()
        assert self.go_on.wait(60)
        return self._tables.commit(writes, base, at)


async def test_a_commit_whose_author_is_cancelled_still_wakes_watchers(store: SqliteStore) -> None:
    slow = Slow(store._tables)
    store._tables = slow  # type: ignore[assignment]  # stands in for it
    watching = asyncio.gather(anext(store.watch(0)))
    commit = asyncio.gather(store.commit([write("a")], base=0, at=0.0))
    await asyncio.to_thread(slow.begun.wait, 60)
    commit.cancel()
    slow.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await commit
    async with asyncio.timeout(60):
        [seen] = await watching
    assert seen.revision == 1


def acknowledged_by(process: subprocess.Popen[bytes], count: int) -> int:
    """Let a writer acknowledge some commits, kill it, and return the last one acknowledged."""
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(count)]
    process.kill()
    lines += process.stdout.readlines()
    process.wait()
    return int([line for line in lines if line.endswith(b"\n")][-1])


@pytest.mark.parametrize("records", [1, 40])
async def test_what_was_acknowledged_survives_a_killed_writer(tmp_path: Path, records: int) -> None:
    for count in (1, 2, 7, 30):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(records)], stdout=subprocess.PIPE
        ) as writer:
            acknowledged = acknowledged_by(writer, count)
        store = await SqliteStore.open(tmp_path)
        head = await store.head()
        assert acknowledged <= head <= acknowledged + 1
        found = await store.records()
        # All records of one commit, or none.
        assert {record.data for record in found} == ({b"%d" % head * 300} if head else set())
        assert len(found) == (records if head else 0)
        commits = await store.commits(0)
        assert [commit.revision for commit in commits] == list(range(1, head + 1))
        assert all(len(commit.writes) == records for commit in commits)
        await store.close()
