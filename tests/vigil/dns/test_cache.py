from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from octelium.vigil.dns.answers import Received
from octelium.vigil.dns.cache import Cache
from octelium.vigil.dns.wire import Answer


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def received(size: int = 10, ttl: int = 60) -> Received:
    return Received(Answer(0, ttl.to_bytes(4, "big") + b"x" * size, (1, 0)), ttl, (0,))


def test_answers_age_and_go() -> None:
    clock = Clock()
    cache = Cache(10_000, clock)
    cache.put("a", received(), 60)
    clock.now += 10.7
    answer = cache.get("a")
    assert answer is not None
    assert int.from_bytes(answer.records[:4], "big") == 50
    clock.now += 49.3
    assert cache.get("a") is None
    assert (len(cache), cache.size) == (0, 0)


def test_what_is_not_to_be_kept_is_not() -> None:
    cache = Cache(10_000, Clock())
    cache.put("a", received(), 0)
    cache.put("b", received(20_000), 60)
    assert (len(cache), cache.size) == (0, 0)
    cache.put("c", received(), 60)
    cache.put("c", received(), 0)
    assert cache.get("c") is None


def test_what_was_used_least_recently_goes_first() -> None:
    cache = Cache(4_000, Clock())
    for key in "abc":
        cache.put(key, received(), 60)
    assert cache.get("a") is not None
    for key in "de":
        cache.put(key, received(), 60)
    assert cache.get("b") is None
    assert cache.get("a") is not None


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3000), st.integers(0, 5))))
def test_it_never_takes_more_than_it_may(steps: list[tuple[int, int, int]]) -> None:
    clock = Clock()
    cache = Cache(8_000, clock)
    for key, size, seconds in steps:
        cache.put(key, received(size), seconds)
        clock.now += 0.5
        cache.get((key + 1) % 10)
        assert 0 <= cache.size <= 8_000
        assert bool(cache.size) == bool(len(cache))
