"""The contract of a store. Every implementation runs through all of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octelium.store.errors import (
    AlreadyExists,
    Compacted,
    InvalidArgument,
    NotFound,
    ResourceChanged,
)
from octelium.store.interface import LARGEST_RECORD, Commit, Record, Store, Write
from octelium.store.sqlite import SqliteStore
from tests.store.samples import write

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path


class Backend:
    """A store that can be closed and opened again, as its process would."""

    def __init__(self, opener: Callable[[], Awaitable[Store]]) -> None:
        self._opener = opener
        self.store: Store

    async def open(self) -> Store:
        self.store = await self._opener()
        return self.store

    async def reopen(self) -> Store:
        await self.store.close()
        return await self.open()


def _sqlite(directory: Path) -> Backend:
    return Backend(lambda: SqliteStore.open(directory / "contract"))


@pytest.fixture(params=[_sqlite], ids=["sqlite"])
async def backend(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Backend]:
    backend: Backend = request.param(tmp_path)
    await backend.open()
    yield backend
    await backend.store.close()


async def add(store: Store, *writes: Write, at: float = 0.0) -> Commit:
    return await store.commit(writes, base=await store.head(), at=at)


async def test_a_new_store_is_at_revision_zero_and_empty(backend: Backend) -> None:
    store = backend.store
    assert await store.head() == 0
    assert await store.records() == []
    assert await store.get("Thing", "a") is None
    assert await store.commits(0) == []


async def test_a_commit_is_one_revision_with_all_its_writes(backend: Backend) -> None:
    store = backend.store
    commit = await add(store, write("a"), write("b"), at=12.5)
    assert commit == Commit(1, 12.5, (write("a"), write("b")))
    assert await store.head() == 1
    first = Record("Thing", "a", "name-of-a", 1, b"data", 1, (1, 0))
    assert await store.get("Thing", "a") == first
    assert [record.uid for record in await store.records()] == ["a", "b"]
    assert await store.commits(0) == [commit]


async def test_everything_is_there_after_a_restart(backend: Backend) -> None:
    await add(backend.store, write("a", b"\0\xff"), write("b"))
    await add(backend.store, write("b", deleted=True))
    before = await backend.store.commits(0)
    store = await backend.reopen()
    assert await store.head() == 2
    assert [record.data for record in await store.records()] == [b"\0\xff"]
    assert await store.commits(0) == before


async def test_records_come_in_order_of_creation_whatever_is_updated(backend: Backend) -> None:
    store = backend.store
    await add(store, write("b"), write("a"))
    await add(store, write("c"))
    await add(store, write("b", b"again"))
    assert [record.uid for record in await store.records("Thing")] == ["b", "a", "c"]
    assert [record.revision for record in await store.records("Thing")] == [3, 1, 2]


async def test_a_commit_for_another_head_changes_nothing(backend: Backend) -> None:
    store = backend.store
    await add(store, write("a"))
    for base in (0, 2):
        with pytest.raises(ResourceChanged):
            await store.commit([write("b")], base=base, at=0.0)
    assert await store.head() == 1
    assert await store.get("Thing", "b") is None


async def test_of_commits_for_the_same_head_one_wins(backend: Backend) -> None:
    store = backend.store
    outcomes = await asyncio.gather(
        *(store.commit([write(f"u{n}")], base=0, at=0.0) for n in range(8)),
        return_exceptions=True,
    )
    won = [outcome for outcome in outcomes if isinstance(outcome, Commit)]
    assert len(won) == 1
    assert all(isinstance(o, Commit | ResourceChanged) for o in outcomes)
    assert [r.uid for r in await store.records()] == [won[0].writes[0].uid]


async def test_a_name_is_taken_once_per_kind(backend: Backend) -> None:
    store = backend.store
    await add(store, write("a", name="same"))
    await add(store, write("b", name="same", kind="Other"))
    with pytest.raises(AlreadyExists, match="same"):
        await add(store, write("ok"), write("c", name="same"))
    assert await store.head() == 2
    assert await store.get("Thing", "ok") is None


async def test_a_name_passes_on_within_one_commit(backend: Backend) -> None:
    store = backend.store
    await add(store, write("a", name="same"))
    await add(store, write("b", name="same"), write("a", name="same", deleted=True))
    assert [record.uid for record in await store.records()] == ["b"]


async def test_a_name_cannot_change(backend: Backend) -> None:
    store = backend.store
    await add(store, write("a", name="one"))
    with pytest.raises(InvalidArgument):
        await add(store, write("a", name="two"))
    assert await store.head() == 1


async def test_what_is_missing_cannot_be_deleted(backend: Backend) -> None:
    store = backend.store
    with pytest.raises(NotFound):
        await add(store, write("ok"), write("a", deleted=True))
    assert await store.head() == 0


@pytest.mark.parametrize(
    "writes",
    [
        [],
        [write("a"), write("a", b"other")],
        [write("a", b"x" * (LARGEST_RECORD + 1))],
    ],
    ids=["empty", "twice", "large"],
)
async def test_a_commit_that_cannot_be_is_refused(backend: Backend, writes: list[Write]) -> None:
    with pytest.raises(InvalidArgument):
        await add(backend.store, *writes)
    assert await backend.store.head() == 0


async def test_the_largest_record_fits(backend: Backend) -> None:
    await add(backend.store, write("a", b"x" * LARGEST_RECORD))
    record = await backend.store.get("Thing", "a")
    assert record is not None
    assert len(record.data) == LARGEST_RECORD


async def test_history_tells_every_version_newest_first(backend: Backend) -> None:
    store = backend.store
    await add(store, write("a", b"1"), at=1.0)
    await add(store, write("other"), at=2.0)
    await add(store, write("a", b"2"), at=3.0)
    last = Write("Thing", "a", "name-of-a", 1, b"last words", deleted=True)
    await add(store, last, at=4.0)
    versions = await store.history("Thing", "a")
    assert [(v.revision, v.at, v.write.data, v.write.deleted) for v in versions] == [
        (4, 4.0, b"last words", True),
        (3, 3.0, b"2", False),
        (1, 1.0, b"1", False),
    ]
    assert [v.revision for v in await store.history("Thing", "a", before=4, limit=1)] == [3]


async def test_records_can_be_read_as_they_were(backend: Backend) -> None:
    store = backend.store
    await add(store, write("a", b"1"), write("b"))
    await add(store, write("a", b"2"))
    await add(store, write("b", deleted=True))
    assert [r.data for r in await store.records("Thing", at=1)] == [b"1", b"data"]
    assert [r.data for r in await store.records("Thing", at=2)] == [b"2", b"data"]
    assert [r.data for r in await store.records("Thing", at=3)] == [b"2"]
    assert await store.records("Thing", at=0) == []
    for revision in (-1, 4):
        with pytest.raises(InvalidArgument):
            await store.records("Thing", at=revision)


async def test_commits_come_in_batches(backend: Backend) -> None:
    store = backend.store
    for n in range(5):
        await add(store, write(f"u{n}"))
    assert [c.revision for c in await store.commits(1, limit=3)] == [2, 3, 4]
    assert await store.commits(5) == []


async def test_a_watch_resumes_and_goes_on(backend: Backend) -> None:
    store = backend.store
    for n in range(3):
        await add(store, write(f"u{n}"))
    watch = store.watch(1)
    assert [(await anext(watch)).revision for _ in range(2)] == [2, 3]
    coming = asyncio.gather(anext(watch))
    await asyncio.sleep(0)
    assert not coming.done()
    await add(store, write("new"))
    [commit] = await coming
    assert commit.writes == (write("new"),)


async def test_a_watch_ends_with_its_store(backend: Backend) -> None:
    watch = backend.store.watch(0)
    coming = asyncio.gather(anext(watch))
    await backend.store.head()
    await backend.store.close()
    with pytest.raises(StopAsyncIteration):
        await coming


async def test_pruning_keeps_what_later_revisions_need(backend: Backend) -> None:
    store = backend.store
    for n in range(4):
        await add(store, write("a", b"%d" % n), write("b", b"%d" % n, kind="Other"))
    await add(store, write("gone"))
    await add(store, write("gone", deleted=True))
    await store.prune({"Thing": 3})
    assert [v.revision for v in await store.history("Thing", "a")] == [4, 3]
    assert [v.revision for v in await store.history("Other", "b")] == [4, 3, 2, 1]
    assert [r.data for r in await store.records("Thing", at=3)] == [b"2"]
    with pytest.raises(Compacted):
        await store.records("Thing", at=2)
    assert [r.data for r in await store.records("Other", at=2)] == [b"1"]
    with pytest.raises(Compacted):
        await store.commits(2)
    with pytest.raises(Compacted):
        await anext(store.watch(2))
    assert [c.revision for c in await store.commits(3)] == [4, 5, 6]
    await store.prune({"Thing": 99})
    assert await store.history("Thing", "gone") == []
    assert [r.data for r in await store.records("Thing")] == [b"3"]


async def test_a_floor_never_sinks(backend: Backend) -> None:
    store = backend.store
    for n in range(4):
        await add(store, write("a", b"%d" % n))
    await store.prune({"Thing": 3})
    await store.prune({"Thing": 1})
    with pytest.raises(Compacted):
        await store.commits(2)


async def test_erasing_destroys_every_version(backend: Backend) -> None:
    store = backend.store
    await add(store, write("a", b"one secret"), write("b", b"kept"))
    await add(store, write("a", b"two secret"))
    await add(store, write("a", deleted=True, erase=True))
    versions = await store.history("Thing", "a")
    assert [(v.write.data, v.write.erase) for v in versions] == [
        (b"", False),
        (b"", True),
        (b"", True),
    ]
    assert [v.write.data for v in await store.history("Thing", "b")] == [b"kept"]
    assert [w.erase for c in await store.commits(0) for w in c.writes] == [True, False, True, False]


async def test_a_revision_is_found_by_its_time(backend: Backend) -> None:
    store = backend.store
    for n in range(1, 4):
        await add(store, write(f"u{n}"), at=n * 10.0)
    found = [await store.revision_at(at) for at in (5.0, 10.0, 19.0, 20.0, 99.0)]
    assert found == [0, 1, 1, 2, 3]


NAMES = ["n1", "n2", "n3"]
STEPS = st.lists(
    st.lists(
        st.tuples(
            st.sampled_from(["u1", "u2", "u3", "u4"]),
            st.sampled_from(NAMES),
            st.one_of(st.none(), st.binary(max_size=4)),
        ),
        min_size=1,
        max_size=3,
    ),
    max_size=12,
)


class Model:
    """What a store should hold, in the simplest terms: a dictionary for each revision."""

    def __init__(self) -> None:
        self.states: list[dict[str, tuple[str, bytes]]] = [{}]

    def commit(self, writes: list[Write]) -> bool:
        """Whether the commit is one that a store accepts."""
        state = dict(self.states[-1])
        if len({w.uid for w in writes}) != len(writes):
            return False
        for one in sorted(writes, key=lambda w: not w.deleted):
            held = state.get(one.uid)
            if held is not None and held[0] != one.name:
                return False
            if one.deleted:
                if held is None:
                    return False
                del state[one.uid]
            elif any(name == one.name for uid, (name, _) in state.items() if uid != one.uid):
                return False
            else:
                state[one.uid] = (one.name, one.data)
        self.states.append(state)
        return True


@settings(max_examples=25)
@given(steps=STEPS, floor=st.integers(0, 12))
async def test_any_sequence_of_commits_agrees_with_a_dictionary(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[list[tuple[str, str, bytes | None]]],
    floor: int,
) -> None:
    backend = _sqlite(tmp_path_factory.mktemp("model"))
    store, model = await backend.open(), Model()
    try:
        for step in steps:
            writes = [
                Write("Thing", uid, name, 1, data or b"", deleted=data is None)
                for uid, name, data in step
            ]
            head = await store.head()
            if model.commit(writes):
                assert (await add(store, *writes)).revision == head + 1
            else:
                with pytest.raises((AlreadyExists, InvalidArgument, NotFound)):
                    await add(store, *writes)
                assert await store.head() == head
        await store.prune({"Thing": floor})
        store = await backend.reopen()
        last = len(model.states) - 1
        assert await store.head() == last
        for revision in range(min(floor, last), last + 1):
            records = await store.records("Thing", at=revision)
            assert {r.uid: (r.name, r.data) for r in records} == model.states[revision]
    finally:
        await store.close()
