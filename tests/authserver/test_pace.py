from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from octelium.authserver import pace
from octelium.authserver.pace import Pace
from tests.identity.cluster import Clock


def test_so_much_at_once_and_more_with_time() -> None:
    clock = Clock(0)
    kept = Pace(3, 0.5, clock)
    assert [kept.take("a") for _ in range(6)] == [0, 0, 0, 2, 4, None]
    assert kept.take("b") == 0
    clock.now = 1
    assert kept.take("a") == 5
    assert kept.take("a") is None
    clock.now = 1000
    assert [kept.take("a") for _ in range(4)] == [0, 0, 0, 2]


def test_what_is_given_back_does_not_count() -> None:
    kept = Pace(2, 0, Clock(0))
    for _ in range(10):
        assert kept.take("a") == 0
        kept.give_back("a")
    assert len(kept._left) == 0
    kept.give_back("a")
    assert [kept.take("a") for _ in range(3)] == [0, 0, None]


def test_looking_takes_nothing() -> None:
    kept = Pace(1, 1, Clock(0))
    for _ in range(3):
        assert not kept.is_spent("a")
    kept.take("a")
    assert kept.is_spent("a")


def test_memory_is_bounded() -> None:
    kept = Pace(2, 0, Clock(0))
    for number in range(pace._MOST + 50):
        kept.take(str(number))
    assert len(kept._left) == pace._MOST


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 3)), max_size=60))
def test_never_more_than_the_burst_and_the_rate(steps: list[tuple[str, float]]) -> None:
    clock = Clock(0)
    kept = Pace(4, 1, clock)
    done: dict[str, list[float]] = {"a": [], "b": []}
    for key, seconds in steps:
        clock.now += seconds
        delay = kept.take(key)
        if delay is not None:
            assert delay <= 5
            done[key].append(clock.now + delay)
    for instants in done.values():
        for first, _ in enumerate(instants):
            for last in range(first, len(instants)):
                span = instants[last] - instants[first]
                assert last - first + 1 <= 4 + span + 1e-6
