from __future__ import annotations

import random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from octelium.apiserver.connect.session_addresses import (
    LARGEST,
    REST,
    SessionAddresses,
    is_index,
)
from octelium.store.errors import Unavailable
from tests.peers.timing import calls

COUNT = LARGEST - LARGEST // 256


def test_indexes_are_no_multiples_of_256_and_within_bounds() -> None:
    chosen = {SessionAddresses().pick("one", 0.0) for _ in range(50)}
    assert all(map(is_index, chosen))
    assert not any(map(is_index, (-1, 0, 256, 65280, 65535, 70000)))


def test_the_next_index_cannot_be_told() -> None:
    addresses = SessionAddresses()
    assert len({addresses.pick("one", 0.0) for _ in range(100)}) > 90


def test_a_freed_index_rests_for_all_but_its_owner() -> None:
    addresses = SessionAddresses(random.Random(1))
    addresses.use(300, "ann")
    assert addresses.pick("ann", 0.0, 300) == 300
    assert addresses.pick("bob", 0.0, 300) != 300
    addresses.release(300, "ann", 10.0)
    assert addresses.pick("bob", 10.0 + REST - 1, 300) != 300
    assert addresses.pick("ann", 10.0 + REST - 1, 300) == 300
    assert addresses.pick("bob", 10.0 + REST, 300) == 300


def test_rest_counts_from_the_last_end() -> None:
    addresses = SessionAddresses()
    for began in (0.0, 200.0):
        addresses.use(300, "ann")
        addresses.release(300, "ann", began)
    assert addresses.pick("bob", REST + 1, 300) != 300
    assert addresses.pick("bob", REST + 200, 300) == 300


def test_what_is_picked_together_differs_until_nothing_is_left() -> None:
    addresses = SessionAddresses()
    picked = {index: "x" for index in range(1, LARGEST + 1) if is_index(index)}
    left = [300, 301, 302]
    for index in left:
        del picked[index]
    for number in range(len(left)):
        picked[addresses.pick(f"owner-{number}", 0.0, 300, picked)] = f"owner-{number}"
    assert len(picked) == COUNT
    with pytest.raises(Unavailable):
        addresses.pick("late", 0.0, picked=picked)
    owner = picked[302]
    assert addresses.pick(owner, 0.0, 302, picked) == 302


def test_only_the_owner_releases() -> None:
    addresses = SessionAddresses()
    addresses.use(300, "ann")
    addresses.release(300, "bob", 0.0)
    addresses.rest(300, "bob", 1.0)
    assert addresses.pick("bob", REST * 2, 300) != 300


def test_when_all_are_used_clients_may_come_again() -> None:
    addresses = SessionAddresses(random.Random(1))
    taken = []
    for number in range(COUNT):
        index = addresses.pick(str(number), 0.0)
        addresses.use(index, str(number))
        taken.append(index)
    assert len(set(taken)) == COUNT
    with pytest.raises(Unavailable):
        addresses.pick("late", 0.0)
    addresses.release(taken[7], "7", 0.0)
    with pytest.raises(Unavailable):
        addresses.pick("late", REST - 1)
    assert addresses.pick("late", REST) == taken[7]


def test_choosing_takes_as_long_with_65000_sessions_as_with_none() -> None:
    addresses = SessionAddresses(random.Random(1))

    def choose(count: int) -> None:
        for number in range(count):
            addresses.use(addresses.pick(str(number), 0.0), str(number))

    few = calls(lambda: choose(200))
    choose(COUNT - 4000)
    # A search for a free one would make dozens of times as many now.
    assert calls(lambda: choose(200)) < 2 * few


class Machine(RuleBasedStateMachine):
    """Sessions come and go; a model keeps who has what, and until when it rests."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses = SessionAddresses(random.Random(3))
        self.now = 0.0
        self.used: dict[int, str] = {}
        self.rests: dict[int, tuple[str, float]] = {}

    @rule(owner=st.sampled_from("abcdef"), former=st.integers(-5, 600) | st.none())
    def connect(self, owner: str, former: int | None) -> None:
        index = self.addresses.pick(owner, self.now, former)
        assert is_index(index)
        assert self.used.get(index, owner) == owner
        if index in self.rests:
            whose, until = self.rests[index]
            assert whose == owner or until <= self.now
        self.addresses.use(index, owner)
        self.used[index] = owner
        self.rests.pop(index, None)

    @rule(data=st.data())
    def come_back(self, data: st.DataObject) -> None:
        if self.rests:
            index = data.draw(st.sampled_from(sorted(self.rests)))
            owner, _ = self.rests[index]
            if index not in self.used:
                assert self.addresses.pick(owner, self.now, index) == index
                self.addresses.use(index, owner)
                self.used[index] = owner
                del self.rests[index]

    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        if self.used:
            index = data.draw(st.sampled_from(sorted(self.used)))
            owner = self.used.pop(index)
            self.addresses.release(index, owner, self.now)
            self.rests[index] = owner, self.now + REST

    @rule(seconds=st.sampled_from((1.0, 100.0, REST)))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def every_index_is_somewhere_once(self) -> None:
        free, used, resting = (
            set(self.addresses._free),
            set(self.addresses._used),
            set(self.addresses._resting),
        )
        assert len(free) + len(used) + len(resting) == COUNT
        assert len(self.addresses._free) == len(free)
        assert used == set(self.used)


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)
