from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from octelium.client.dns.cache import LARGEST, Cache


def test_an_answer_ages_and_goes() -> None:
    now = [100.0]
    cache = Cache(lambda: now[0])
    cache.put("a", b"x", 10)
    now[0] += 9.5
    assert cache.get("a") == (b"x", 9)
    now[0] += 0.5
    assert cache.get("a") is None
    assert len(cache) == 0


def test_what_is_not_kept() -> None:
    cache = Cache(lambda: 0)
    cache.put("a", b"x", 1)
    cache.put("a", b"x", 0)
    cache.put("b", bytes(LARGEST + 1), 10)
    assert len(cache) == 0
    cache.put("a", b"x", 1)
    cache.clear()
    assert cache.get("a") is None


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=60))
def test_it_is_bounded_and_keeps_what_was_used_last(steps: list[tuple[int, bool]]) -> None:
    cache = Cache(lambda: 0, most=4)
    order: list[int] = []
    for key, puts in steps:
        if puts:
            cache.put(key, bytes([key]), 5)
        elif (cache.get(key) is None) != (key not in order):
            raise AssertionError(key)
        if puts or key in order:
            order = [*(each for each in order if each != key), key][-4:]
    assert len(cache) == len(order)
    assert all(cache.get(key) == (bytes([key]), 0) for key in order)
