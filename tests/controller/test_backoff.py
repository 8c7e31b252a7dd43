"""Waiting grows up to its limit, and the server's wish is the least of it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from octelium.controller.backoff import Backoff


@given(
    first=st.floats(0.01, 10),
    factor=st.floats(1, 100),
    chance=st.floats(0, 1, exclude_max=True),
    asked=st.floats(0, 300),
    failures=st.integers(0, 200),
)
def test_bounds(first: float, factor: float, chance: float, asked: float, failures: int) -> None:
    most = first * factor
    backoff = Backoff(first, most, chance=lambda: chance)
    for _ in range(failures):
        backoff.next()
    assert backoff.failures == failures
    wait = backoff.next(asked)
    assert asked + min(most, first) / 2 <= wait <= asked + most
    backoff.reset()
    assert backoff.next() <= first


def test_it_doubles() -> None:
    backoff = Backoff(1, 60, chance=lambda: 0.0)
    assert [backoff.next() for _ in range(9)] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_two_callers_do_not_wait_alike() -> None:
    assert len({Backoff().next() for _ in range(20)}) > 1
