from __future__ import annotations

import asyncio
import contextlib

import pytest

from octelium.authserver.providers.cache import Cache
from octelium.authserver.providers.fetch import FetchError
from tests.identity.cluster import Clock


class Source:
    """Makes `KEY-1`, `KEY-2` …, or fails."""

    def __init__(self) -> None:
        self.clock = Clock(0)
        self.made = 0
        self.works = True
        self.gate: asyncio.Event | None = None

    async def __call__(self, key: str) -> str:
        self.made += 1
        if self.gate is not None:
            await self.gate.wait()
        if not self.works:
            raise FetchError(f"{key} is away")
        return f"{key}-{self.made}"

    def cache(self, *, keep: float = 0.0, most: int = 3) -> Cache[str, str]:
        return Cache(self, lifetime=10, pause=4, keep=keep, most=most, clock=self.clock)


async def test_a_value_lives_for_a_while() -> None:
    source = Source()
    cache = source.cache()
    assert await cache.get("a") == "a-1"
    source.clock.now = 9.9
    assert await cache.get("a") == "a-1"
    source.clock.now = 10
    assert await cache.get("a") == "a-2"


async def test_newer_ones_can_be_had_only_after_a_pause() -> None:
    source = Source()
    cache = source.cache()
    await cache.get("a")
    for source.clock.now in (0, 1, 3.9):
        assert await cache.get("a", younger=4) == "a-1"
    source.clock.now = 4
    assert await cache.get("a", younger=4) == "a-2"
    assert await cache.get("a") == "a-2"


async def test_failures_are_not_repeated_at_once() -> None:
    source = Source()
    source.works = False
    cache = source.cache()
    for source.clock.now in (0, 1, 3.9):
        with pytest.raises(FetchError, match="a is away"):
            await cache.get("a")
    assert source.made == 1
    source.works, source.clock.now = True, 4
    assert await cache.get("a") == "a-2"


async def test_what_is_known_outlives_failures_for_a_while(
    caplog: pytest.LogCaptureFixture,
) -> None:
    source = Source()
    cache = source.cache(keep=30)
    await cache.get("a")
    source.works = False
    for source.clock.now in (5, 12, 29.9):
        assert await cache.get("a", younger=4) == "a-1"
    assert source.made == 4
    assert "a is away" in caplog.text
    source.clock.now = 30
    with pytest.raises(FetchError, match="a is away"):
        await cache.get("a")


async def test_many_wait_for_one() -> None:
    source = Source()
    source.gate = asyncio.Event()
    cache = source.cache()
    waiting = asyncio.gather(*(cache.get("a") for _ in range(200)))
    await asyncio.sleep(0)
    source.gate.set()
    assert await waiting == ["a-1"] * 200


async def test_it_goes_on_when_the_first_gives_up() -> None:
    source = Source()
    source.gate = asyncio.Event()
    cache = source.cache()
    async with asyncio.TaskGroup() as group:
        first = group.create_task(cache.get("a"))
        second = group.create_task(cache.get("a"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        first.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await first
        source.gate.set()
        assert await second == "a-1"
    assert source.made == 1


async def test_few_are_remembered() -> None:
    source = Source()
    cache = source.cache(most=2)
    for key in "abca":
        await cache.get(key)
    assert source.made == 4
    await cache.get("c")
    assert source.made == 4


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_defects_are_not_remembered_as_values() -> None:
    async def broken(_key: str) -> str:
        raise KeyError("a defect")

    cache: Cache[str, str] = Cache(broken, lifetime=10, pause=4, clock=Clock(0))
    with pytest.raises(KeyError):
        await cache.get("a")
    with pytest.raises(FetchError, match="cannot be used"):
        await cache.get("a")
