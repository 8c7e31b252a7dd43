from __future__ import annotations

from octelium.http.h2.budget import Budget
from tests.http.h2.wire import Clock


def test_a_burst_then_a_rate() -> None:
    clock = Clock()
    budget = Budget(3, 2, clock)
    assert [budget.spend() for _ in range(4)] == [True, True, True, False]
    clock.now += 1
    assert [budget.spend() for _ in range(3)] == [True, True, False]


def test_never_more_than_the_burst() -> None:
    clock = Clock()
    budget = Budget(3, 2, clock)
    clock.now += 1000
    assert sum(budget.spend() for _ in range(10)) <= 6
    budget.add(1000)
    assert sum(budget.spend() for _ in range(10)) == 3


def test_what_is_added_can_be_spent() -> None:
    budget = Budget(2, 0, Clock())
    assert [budget.spend() for _ in range(3)] == [True, True, False]
    budget.add(1)
    assert [budget.spend() for _ in range(2)] == [True, False]
