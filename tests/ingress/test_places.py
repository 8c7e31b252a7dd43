from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from octelium.ingress.places import Place, Places


def test_bounds() -> None:
    places = Places(4, 3, 2)
    first, second = places.take("a"), places.take("a")
    assert first is not None
    assert second is not None
    assert places.take("a") is None  # two undecided
    first.allowed()
    first.allowed()
    assert places.take("a") is not None
    second.allowed()
    assert places.take("a") is None  # three of one
    assert places.take("b") is not None
    assert places.take("c") is None  # four in all
    first.leave()
    first.leave()
    assert places.take("c") is not None


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(("take", "allow", "leave")))))
def test_nothing_is_left_behind(steps: list[tuple[str, str]]) -> None:
    places = Places(8, 5, 3)
    held: dict[str, list[Place]] = {"a": [], "b": [], "c": []}
    for uid, step in steps:
        if step == "take" and (place := places.take(uid)) is not None:
            held[uid].append(place)
        elif step == "allow" and held[uid]:
            held[uid][0].allowed()
        elif step == "leave" and held[uid]:
            held[uid].pop().leave()
        assert places.taken == sum(map(len, held.values())) <= 8
        assert all(len(one) <= 5 for one in held.values())
    for seats in held.values():
        for place in seats:
            place.leave()
    assert places.taken == 0
    assert not places._each
    assert not places._undecided
