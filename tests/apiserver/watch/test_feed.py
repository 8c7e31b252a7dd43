from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from octelium.apiserver.watch.feed import Feed
from octelium.http.tasks import spawn
from octelium.store.errors import Compacted
from tests.apiserver.harness import resource

if TYPE_CHECKING:
    from tests.apiserver.harness import Harness


async def commit(api: Harness, count: int, name: str = "g", size: int = 0) -> None:
    filler = {"a": "x" * size} if size else {}
    for number in range(count):
        await api.store(resource("Group", f"{name}{number}", spec={"attrs": filler}))


async def test_each_reader_takes_everything_once(api: Harness) -> None:
    feed = Feed(api.resources)
    with feed.reader() as one, feed.reader() as two:
        begin = api.resources.revision
        assert one.revision == begin
        await commit(api, 3)
        first = one.take(2)
        assert [told.revision for told in first] == [begin + 1, begin + 2]
        assert one.revision == begin + 2
        await commit(api, 1, "h")
        rest = one.take(10)
        assert [told.revision for told in rest] == [begin + 3, begin + 4]
        assert one.take(10) == []
        assert two.take(10) == [*first, *rest]


async def test_a_commit_is_seen_when_its_last_change_is_taken(api: Harness) -> None:
    feed = Feed(api.resources)
    with feed.reader() as reader:
        begin = reader.revision
        await api.store(*[resource("Group", f"g{number}") for number in range(3)])
        assert len(reader.take(2)) == 2
        assert reader.revision == begin
        assert len(reader.take(2)) == 1
        assert reader.revision == begin + 1


async def test_waiting_ends_with_a_change_or_with_time(api: Harness) -> None:
    with Feed(api.resources).reader() as reader:
        await reader.wait(0.01)
        assert reader.take(10) == []
        waiting = spawn(reader.wait(60.0), name="waiting")
        await commit(api, 1)
        await asyncio.wait_for(waiting, 60)
        assert len(reader.take(10)) == 1
        await reader.wait(0.01)
        assert reader.take(10) == []


async def test_without_readers_nothing_is_kept(api: Harness) -> None:
    feed = Feed(api.resources)
    await commit(api, 2)
    assert len(feed) == 0
    with feed.reader():
        await commit(api, 2, "h")
        assert len(feed) == 2
        with feed.reader() as late:
            assert late.take(10) == []
    assert len(feed) == 0
    await commit(api, 1, "i")
    assert len(feed) == 0


async def test_what_all_have_taken_is_dropped(api: Harness) -> None:
    feed = Feed(api.resources)
    with feed.reader() as one, feed.reader() as two:
        for number in range(40):
            await api.store(*[resource("Group", f"g{number}-{each}") for each in range(20)])
            one.take(100)
            two.take(100)
        assert len(feed) <= 300


@pytest.mark.parametrize(("changes", "size"), [(10, 1 << 30), (1 << 30, 40_000)])
async def test_who_takes_nothing_loses_the_place(api: Harness, changes: int, size: int) -> None:
    feed = Feed(api.resources, changes=changes, size=size)
    with feed.reader() as slow, feed.reader() as quick:
        taken = 0
        for number in range(40):
            await commit(api, 1, f"g{number}-", size=1000)
            taken += len(quick.take(100))
            assert len(feed) <= 11
        assert taken == 40
        with pytest.raises(Compacted):
            slow.take(100)
        assert quick.take(100) == []
        await commit(api, 1, "last")
        assert len(quick.take(100)) == 1
    assert len(feed) == 0


async def test_the_last_commit_is_kept_however_large(api: Harness) -> None:
    feed = Feed(api.resources, changes=10)
    with feed.reader() as reader:
        await api.store(*[resource("Group", f"g{number}") for number in range(50)])
        assert len(reader.take(1000)) == 50


async def test_who_lost_the_place_keeps_nothing(
    api: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("octelium.apiserver.watch.feed._SLACK", 2)
    feed = Feed(api.resources, changes=10)
    with feed.reader() as slow, feed.reader() as quick:
        for number in range(24):
            await commit(api, 1, f"g{number}-")
            quick.take(100)
        assert len(feed) <= 3
        with pytest.raises(Compacted):
            slow.take(1)


async def test_no_more_is_taken_than_fits(api: Harness) -> None:
    feed = Feed(api.resources)
    with feed.reader() as reader:
        begin = reader.revision
        await commit(api, 6, size=1000)
        assert reader.is_behind
        first = reader.take(10, 8_000)
        assert 1 <= len(first) < 6
        assert reader.revision == begin + len(first)
        assert len(reader.take(10, 1)) == 1  # one in any case
        assert len(first) + 1 + len(reader.take(10)) == 6
        assert not reader.is_behind
