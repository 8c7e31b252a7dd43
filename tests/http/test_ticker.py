from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from octelium.http.ticker import Ticker

if TYPE_CHECKING:
    import pytest


class Member:
    def __init__(self) -> None:
        self.ticked = asyncio.Event()
        self.times: list[float] = []

    def tick(self, now: float) -> None:
        self.times.append(now)
        self.ticked.set()


async def test_members_are_ticked_until_they_are_discarded() -> None:
    ticker = Ticker(0.005)
    ticker.start()
    ticker.start()
    first, second = Member(), Member()
    ticker.add(first)
    ticker.add(second)
    await asyncio.wait_for(second.ticked.wait(), 60)
    assert first.times
    assert ticker.now == second.times[-1]
    ticker.discard(first)
    ticker.discard(first)
    assert len(ticker) == 1
    ticker.stop()
    ticker.stop()


def test_one_bad_member_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    class Bad:
        def tick(self, now: float) -> None:
            raise ValueError("a bug")

    ticker = Ticker()

    class Good:
        def __init__(self) -> None:
            self.count = 0

        def tick(self, now: float) -> None:
            self.count += 1

    good = Good()
    ticker.add(Bad())
    ticker.add(good)
    ticker.tick()
    ticker.tick()
    assert good.count == 2
    assert "a bug" in caplog.text
