from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.tui.meter import BARS, STEP, Meter, sparkline
from tests.tui.fake import NOW, access


@given(st.lists(st.floats(0, 1e6), max_size=80), st.integers(0, 80))
def test_a_sparkline_has_its_width(values: list[float], width: int) -> None:
    assert len(sparkline(values, width)) == width


def test_the_highest_is_full_and_nothing_is_lowest() -> None:
    assert sparkline([0, 1, 2, 4], 4) == "▁▃▅█"
    assert sparkline([0.001, 1000], 2) == "▂█"
    assert sparkline([], 3) == "▁▁▁"


def test_entries_are_counted_where_they_ended() -> None:
    meter = Meter()
    for number in range(10):
        denied = number % 2 == 0
        meter.add(access(5, user="a", service="s", path="/", allowed=not denied,
                         code=403 if denied else 503))  # fmt: skip
    reading = meter.read(NOW - 54)
    assert reading.requests[-1] == 10 / STEP
    assert reading.refused[-1] == 5 / STEP
    assert reading.errors[-1] == 5 / STEP
    assert reading.latency[-1] == pytest.approx(0.017)
    assert len(reading.requests) == BARS
    later = meter.read(NOW - 54 + STEP * BARS)
    assert not any(later.requests)


def test_late_entries_count_where_there_is_a_bar() -> None:
    meter = Meter()
    meter.add(access(30, user="a", service="s", path="/", allowed=True, code=200))
    meter.add(access(1, user="a", service="s", path="/", allowed=True, code=200))
    assert sum(meter.read(NOW).requests) == pytest.approx(1 / STEP)
