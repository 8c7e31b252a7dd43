from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from octelium.http.budget import Budget, Place


class Room:
    """Takes places and says who was turned out."""

    def __init__(self, most: int, each: int) -> None:
        self.budget = Budget(most, each)
        self.places: dict[int, Place] = {}
        self.out: list[int] = []

    def enter(self, number: int, owner: str, amount: int = 1) -> None:
        def evict() -> None:
            self.out.append(number)

        self.places[number] = self.budget.place(owner, evict)
        self.places[number].take(amount)


def test_an_owner_loses_the_oldest_of_its_own() -> None:
    room = Room(most=100, each=3)
    room.enter(0, "victim")
    for number in range(1, 6):
        room.enter(number, "attacker")
    assert room.out == [1, 2]
    assert room.budget.taken == 4


def test_when_all_is_taken_whoever_has_the_most_loses() -> None:
    room = Room(most=4, each=3)
    room.enter(0, "victim")
    for number in range(1, 4):
        room.enter(number, "attacker")
    room.enter(4, "another")
    room.enter(5, "one more")
    assert room.out == [1, 2]


def test_what_grows_too_large_loses_its_own_place() -> None:
    room = Room(most=100, each=10)
    room.enter(0, "one", 6)
    room.places[0].take(5)
    assert room.out == [0]
    assert room.budget.taken == 0
    room.places[0].leave()
    assert room.budget.taken == 0


def test_what_is_given_back_can_be_taken_again() -> None:
    room = Room(most=2, each=2)
    for number in range(20):
        room.enter(number, "one")
        room.places[number].leave()
        room.places[number].leave()
    assert room.out == []
    assert room.budget.taken == 0


STEPS = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(1, 5), st.booleans()), min_size=1, max_size=60
)


@given(STEPS)
def test_bounds_hold_and_small_owners_keep_what_they_have(
    steps: list[tuple[str, int, bool]],
) -> None:
    room = Room(most=12, each=6)
    for number, (owner, amount, leaves) in enumerate(steps):
        room.enter(number, owner, amount)
        if leaves:
            room.places[number].leave()
        kept = [place for place in room.places.values() if place.taken]
        by_owner = {name: sum(p.taken for p in kept if p.owner == name) for name in "abc"}
        assert room.budget.taken == sum(by_owner.values()) <= 12
        assert max(by_owner.values()) <= 6
        assert room.places[number].taken or leaves or number in room.out
    for place in room.places.values():
        place.leave()
    assert room.budget.taken == 0
