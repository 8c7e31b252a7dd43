from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from octelium.ingress.places import Place, Places


def test_bounds() -> None:
    places = Places(4, 3, 2, most_each_user=9)
    first, second = places.take("a", "ann"), places.take("a", "ann")
    assert first is not None
    assert second is not None
    assert places.take("a", "ann") is None  # two undecided
    first.allowed()
    first.allowed()
    assert places.take("a", "ann") is not None
    second.allowed()
    assert places.take("a", "ann") is None  # three of one
    assert places.take("b", "bob") is not None
    assert places.take("c", "cid") is None  # four in all
    first.leave()
    first.leave()
    assert places.take("c", "cid") is not None


def test_all_sessions_of_a_user_together() -> None:
    places = Places(9, 3, 9, most_each_user=4)
    held = [places.take(uid, "ann") for uid in ("a", "a", "a", "b")]
    assert all(held)
    assert places.take("b", "ann") is None
    assert places.take("c", "ann") is None
    assert places.take("d", "bob") is not None
    assert held[0] is not None
    held[0].leave()
    assert places.take("b", "ann") is not None


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(("take", "allow", "leave")))))
def test_nothing_is_left_behind(steps: list[tuple[str, str]]) -> None:
    places = Places(8, 5, 3, most_each_user=7)
    held: dict[str, list[Place]] = {"a": [], "b": [], "c": []}
    for uid, step in steps:
        if (
            step == "take"
            and (place := places.take(uid, "ann" if uid < "c" else "cid")) is not None
        ):
            held[uid].append(place)
        elif step == "allow" and held[uid]:
            held[uid][0].allowed()
        elif step == "leave" and held[uid]:
            held[uid].pop().leave()
        assert places.taken == sum(map(len, held.values())) <= 8
        assert all(len(one) <= 5 for one in held.values())
        assert len(held["a"]) + len(held["b"]) <= 7
    for seats in held.values():
        for place in seats:
            place.leave()
    assert places.taken == 0
    assert not places._each
    assert not places._each_user
    assert not places._undecided
