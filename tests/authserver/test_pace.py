from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from octelium.authserver import pace
from octelium.authserver.pace import Pace
from tests.identity.cluster import Clock


def test_so_much_at_once_and_more_with_time() -> None:
    clock = Clock(0)
    kept = Pace(3, 0.5, clock)
    assert [kept.take("a") for _ in range(5)] == [True] * 3 + [False] * 2
    assert kept.take("b")
    clock.now = 1.9
    assert not kept.take("a")
    clock.now = 2
    assert kept.take("a")
    assert not kept.take("a")
    clock.now = 1000
    assert [kept.take("a") for _ in range(5)] == [True] * 3 + [False] * 2


def test_what_is_given_back_does_not_count() -> None:
    kept = Pace(2, 0, Clock(0))
    for _ in range(10):
        assert kept.take("a")
        kept.give_back("a")
    assert len(kept._left) == 0
    kept.give_back("a")
    assert [kept.take("a") for _ in range(3)] == [True, True, False]


def test_memory_is_bounded() -> None:
    kept = Pace(2, 0, Clock(0))
    for number in range(pace._MOST + 50):
        kept.take(str(number))
    assert len(kept._left) == pace._MOST


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 3)), max_size=60))
def test_never_more_than_the_burst_and_the_rate(steps: list[tuple[str, float]]) -> None:
    clock = Clock(0)
    kept = Pace(4, 1, clock)
    taken = {"a": 0, "b": 0}
    for key, seconds in steps:
        clock.now += seconds
        taken[key] += kept.take(key)
        assert taken[key] <= 4 + clock.now + 1e-6
