from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.identity.authenticators.errors import RateLimitError
from octelium.identity.authenticators.rate_limits import RateLimits
from tests.identity.cluster import Clock


def count(limits: RateLimits, tries: int, key: str = "a") -> int:
    done = 0
    for _ in range(tries):
        try:
            limits.use(key)
        except RateLimitError:
            continue
        done += 1
    return done


def test_twenty_in_three_minutes_and_a_hundred_in_an_hour() -> None:
    clock = Clock()
    limits = RateLimits(clock=clock)
    assert count(limits, 50) == 20
    assert count(limits, 5, "b") == 5
    clock.now += 179
    assert count(limits, 5) == 0
    clock.now += 1
    total = 20
    for _ in range(10):
        total += count(limits, 50)
        clock.now += 180
    assert total == 100
    with pytest.raises(RateLimitError, match="100 times within 60 minutes"):
        limits.use("a")
    clock.now += 3600
    assert count(limits, 50) == 20


def test_idle_keys_are_forgotten() -> None:
    clock = Clock()
    limits = RateLimits(clock=clock)
    for number in range(1000):
        limits.use(str(number))
    clock.now += 3601
    limits.use("last")
    assert len(limits) == 1


@given(st.lists(st.floats(0, 40), max_size=80))
def test_no_window_ever_holds_more(gaps: list[float]) -> None:
    clock = Clock()
    limits = RateLimits([(3, 60.0), (5, 300.0)], clock=clock)
    used: deque[float] = deque()
    for gap in gaps:
        clock.now += gap
        expected = all(
            sum(at > clock.now - seconds for at in used) < most
            for most, seconds in [(3, 60.0), (5, 300.0)]
        )
        assert count(limits, 1) == expected
        if expected:
            used.append(clock.now)
