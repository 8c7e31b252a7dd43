from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from octelium.authserver.short_lived import ShortLived
from tests.identity.cluster import Clock


def made(clock: Clock, most: int = 100, most_each: int = 100) -> ShortLived[str]:
    return ShortLived(10, most=most, most_each=most_each, clock=clock)


def test_for_a_time_and_for_one() -> None:
    clock = Clock(0)
    kept = made(clock)
    kept.put("a", "1")
    clock.now = 9.9
    assert kept.get("a") == kept.get("a") == "1"
    assert kept.take("a") == "1"
    assert kept.take("a") is None
    kept.put("a", "2")
    clock.now += 10
    assert kept.get("a") is None
    assert kept.take("a") is None
    assert len(kept) == 0


def test_what_is_put_again_lives_on() -> None:
    clock = Clock(0)
    kept = made(clock)
    kept.put("a", "1", "one")
    clock.now = 6
    kept.put("a", "2", "two")
    clock.now = 12
    assert kept.get("a") == "2"
    kept.put("b", "3", "one")
    assert len(kept) == 2


def test_an_owner_pushes_out_its_own_first() -> None:
    kept = made(Clock(0), most=4, most_each=2)
    kept.put("victim", "v", "other")
    for number in range(50):
        kept.put(f"flood-{number}", "f", "attacker")
    assert kept.get("victim") == "v"
    assert len(kept) == 3
    assert kept.get("flood-49") == kept.get("flood-48") == "f"


def test_the_oldest_goes_when_there_are_too_many() -> None:
    kept = made(Clock(0), most=3)
    for name in "abcd":
        kept.put(name, name, name)
    assert [kept.get(name) for name in "abcd"] == [None, "b", "c", "d"]


def test_whoever_has_the_most_makes_room() -> None:
    kept = made(Clock(0), most=40, most_each=5)
    kept.put("victim", "v", "somebody")
    for number in range(100):
        kept.put(f"flood-{number}", "f", f"attacker-{number // 5}")
    assert len(kept) == 40
    assert kept.get("flood-99") == "f"
    assert kept.get("victim") == "v"


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "take", "wait"]), st.sampled_from("abcdef"), st.sampled_from("xyz")
    ),
    max_size=60,
)


@given(STEPS)
def test_there_are_never_more_and_none_comes_twice(steps: list[tuple[str, str, str]]) -> None:
    clock = Clock(0)
    kept = made(clock, most=4, most_each=2)
    for what, key, owner in steps:
        if what == "put":
            kept.put(key, key, owner)
            assert kept.get(key) == key
        elif what == "take":
            found = kept.take(key)
            assert found in (None, key)
            assert kept.take(key) is None
        else:
            clock.now += 6
        owned = {name: len(keys) for name, keys in kept._owned.items()}
        assert {name: count for count, names in kept._by_count.items() for name in names} == owned
        assert kept._largest == max(owned.values(), default=0)
        assert len(kept) <= 4
        assert sum(len(own) for own in kept._owned.values()) == len(kept)
        assert all(0 < len(own) <= 2 for own in kept._owned.values())
