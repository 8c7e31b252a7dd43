"""Who has a place keeps it; who waits gets one in turn."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from octelium.controller.places import Places

A, B, C, D = (("uid", name) for name in "abcd")


def test_who_comes_first_keeps_the_place() -> None:
    places = Places(2)
    assert (places.take(A), places.take(B), places.take(C), places.take(D)) == (
        *(True, True, False, False),
    )
    assert places.take(A)
    assert places.leave(B) == (C,)
    assert (places.take(B), places.take(C), places.take(D)) == (False, True, False)
    assert places.leave(C) == (D,)


def test_what_exists_has_a_place_even_if_it_is_too_much() -> None:
    places = Places(1)
    places.begin([A, B])
    assert (places.take(C), places.take(B), places.take(A)) == (False, True, True)
    assert places.leave(A) == ()
    assert places.leave(B) == (C,)


def test_who_waits_may_give_up() -> None:
    places = Places(1)
    assert (places.take(A), places.take(B), places.take(C)) == (True, False, False)
    assert places.leave(B) == ()
    assert places.leave(A) == (C,)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 6))), st.integers(1, 4))
def test_there_are_never_more_and_nobody_is_pushed_out(
    steps: list[tuple[bool, int]], most: int
) -> None:
    places = Places(most)
    held: set[int] = set()
    for comes, number in steps:
        key = ("uid", str(number))
        if comes:
            if places.take(key):
                held.add(number)
            else:
                assert number not in held
        else:
            held.discard(number)
            held.update(int(name) for _, name in places.leave(key))
        assert len(held) <= most
