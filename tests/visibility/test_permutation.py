from __future__ import annotations

import itertools
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from octelium.visibility.permutation import HALF, permuted, restored

NUMBERS = st.integers(min_value=0, max_value=HALF * HALF - 1)
KEYS = st.binary(min_size=1, max_size=64)


@given(number=NUMBERS, key=KEYS)
def test_every_number_has_a_place_of_its_own(number: int, key: bytes) -> None:
    place = permuted(number, key)
    assert 0 <= place < HALF * HALF
    assert restored(place, key) == number
    assert permuted(restored(number, key), key) == number


def test_places_tell_nothing_of_the_order() -> None:
    places = [permuted(number, b"key") for number in range(2000)]
    assert len(set(places)) == 2000
    steps = [after - before for before, after in itertools.pairwise(places)]
    assert 800 < sum(step > 0 for step in steps) < 1200
    assert len(set(steps)) == len(steps)
    # Neither half of an id counts, nor do its digits.
    for half in ([place // HALF for place in places], [place % HALF for place in places]):
        assert len(set(half)) > 1990
        assert max(Counter(part // (HALF // 4) for part in half).values()) < 600


def test_keys_give_other_orders() -> None:
    assert permuted(1, b"one") != permuted(1, b"other")
