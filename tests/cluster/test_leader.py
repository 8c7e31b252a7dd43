from __future__ import annotations

import pytest

from octelium.cluster.leader import Leader


class Now:
    """A clock that stands still."""

    time = 1000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
def leader(now: Now) -> Leader:
    return Leader(20.0, now)


def test_one_that_leads_counts_until_it_does_not(leader: Leader) -> None:
    known = [leader.known]
    for leading in (False, True, True, False):
        assert leader.counts(b"one", leading=leading) is leading
        known.append(leader.known)
    assert known == [False, False, True, True, False]


def test_the_newest_that_leads_counts(leader: Leader) -> None:
    assert leader.counts(b"one", leading=True)
    assert leader.counts(b"two", leading=True)
    assert not leader.counts(b"one", leading=True)  # not new
    assert not leader.counts(b"three", leading=False)
    assert leader.counts(b"two", leading=True)
    assert not leader.counts(b"one", leading=False)
    assert leader.known
    assert leader.counts(b"one", leading=True)  # it has the Lease again
    assert not leader.counts(b"two", leading=True)


def test_another_counts_when_the_leader_gives_up_or_is_silent(leader: Leader, now: Now) -> None:
    for reader in (b"one", b"two"):
        assert leader.counts(reader, leading=True)
    assert not leader.counts(b"two", leading=False)
    assert leader.counts(b"one", leading=True)
    assert leader.counts(b"two", leading=True)
    now.time += 19.0
    assert not leader.counts(b"one", leading=True)
    now.time += 1.0
    assert not leader.known
    assert leader.counts(b"one", leading=True)


def test_what_many_claim_takes_no_memory(leader: Leader) -> None:
    for number in range(1000):
        leader.counts(number.to_bytes(16), leading=True)
    assert len(leader._claims) == 64
