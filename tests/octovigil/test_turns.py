"""Everybody has a turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from octelium.octovigil.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Hashable

ASKERS = st.sampled_from("abcd")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), ASKERS, st.integers(0, 9)),
        st.tuples(st.just("discard"), ASKERS, st.integers(0, 9)),
        st.tuples(st.just("take"), st.frozensets(ASKERS), st.just(0)),
    ),
    max_size=60,
)


def test_who_asks_for_much_keeps_nobody_waiting() -> None:
    turns: Turns[str] = Turns()
    for index in range(100):
        turns.add("eve", f"eve-{index}")
    turns.add("ann", "ann-0")
    turns.add("bob", "bob-0")
    turns.add("ann", "ann-1")
    taken = [turns.take() for _ in range(6)]
    assert taken == ["eve-0", "ann-0", "bob-0", "eve-1", "ann-1", "eve-2"]
    assert len(turns) == 97


def test_those_that_may_not_keep_waiting() -> None:
    turns: Turns[int] = Turns()
    turns.add("eve", 1)
    assert turns.take(lambda asker: asker != "eve") is None
    turns.add("ann", 2)
    assert turns.take(lambda asker: asker != "eve") == 2
    assert turns
    assert turns.take() == 1
    assert not turns
    assert turns.take() is None


@given(STEPS)
def test_nothing_is_lost_taken_twice_or_overtaken_by_its_own(
    steps: list[tuple[str, frozenset[str], int]],
) -> None:
    turns: Turns[tuple[Hashable, int]] = Turns()
    waiting: dict[Hashable, list[int]] = {}
    for action, asker, thing in steps:
        if action == "add":
            turns.add(asker, (asker, thing))
            queue = waiting.setdefault(asker, [])
            if thing not in queue:
                queue.append(thing)
        elif action == "discard":
            turns.discard(asker, (asker, thing))
            if thing in waiting.get(asker, []):
                waiting[asker].remove(thing)
        else:
            taken = turns.take(frozenset(asker).__contains__)
            if taken is None:
                assert not any(queue for who, queue in waiting.items() if who in asker)
            else:
                assert taken[0] in asker
                assert waiting[taken[0]].pop(0) == taken[1]
        assert len(turns) == sum(map(len, waiting.values()))
        assert bool(turns) == any(waiting.values())
