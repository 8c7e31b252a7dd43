from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.cluster.refusals import SECONDS, Refusals
from octelium.identity.attempts import Attempt, Way
from octelium.identity.sessions import Downstream
from octelium.schema.pb import meta_v1_pb2 as meta
from tests.identity.cluster import Clock

ANN = meta.ObjectReference(kind="User", name="ann", uid="u-ann")


def attempt(address: str = "192.0.2.1", user: meta.ObjectReference | None = None) -> Attempt:
    return Attempt(way=Way.ASSERTION, downstream=Downstream("curl", address), user=user)


def refusals(each: int = 2, most: int = 5) -> tuple[Refusals, Clock]:
    clock = Clock(1000.0)
    return Refusals(clock, each=each, most=most), clock


def test_the_first_ones_of_a_client_are_listed_and_the_others_counted() -> None:
    judge, clock = refusals()
    assert [judge.lists(attempt()) for _ in range(4)] == [True, True, False, False]
    assert judge.lists(attempt("192.0.2.2"))
    assert judge.unlisted == 2
    assert judge.take() == []  # the minute is not over
    clock.now += SECONDS
    (told,) = judge.take()
    assert (told.count, told.address) == (2, "192.0.2.1")
    assert judge.take() == []
    assert judge.lists(attempt())


def test_many_clients_share_what_is_listed_of_them() -> None:
    judge, clock = refusals()
    listed = [judge.lists(attempt(f"192.0.2.{last}")) for last in range(8)]
    assert listed == [True] * 5 + [False] * 3
    # What is about somebody has room of its own.
    assert judge.lists(attempt("192.0.2.1", ANN))
    clock.now += SECONDS
    (told,) = judge.take()
    assert (told.count, told.address, told.last.downstream.address) == (3, "", "192.0.2.7")


def test_one_client_hides_nothing_of_another_about_the_same_user() -> None:
    judge, _ = refusals()
    assert [judge.lists(attempt(user=ANN)) for _ in range(3)] == [True, True, False]
    assert judge.lists(attempt("192.0.2.2", ANN))


@pytest.mark.parametrize(
    ("addresses", "same"),
    [
        (("2001:db8::1", "2001:db8::2", "2001:db8:0:0:ffff::"), True),
        (("2001:db8::1", "2001:db8:0:1::1", "2001:db8:0:2::1"), False),
        (("192.0.2.1", "192.0.2.2", "192.0.2.3"), False),
        (("::ffff:192.0.2.1", "::ffff:192.0.2.2", "::ffff:192.0.2.3"), False),
        (("", "", "nonsense"), True),
    ],
)
def test_what_one_client_is(addresses: tuple[str, ...], same: bool) -> None:
    judge, _ = refusals()
    assert [judge.lists(attempt(each)) for each in addresses] == [True, True, not same]


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "192.0.2.1", "::1"]), st.booleans(), st.floats(0, 40)),
        max_size=60,
    )
)
def test_every_attempt_is_listed_or_counted_and_few_are_listed(
    steps: list[tuple[str, bool, float]],
) -> None:
    judge, clock = refusals()
    listed: list[float] = []
    counted = 0
    for address, known, pause in steps:
        clock.now += pause
        counted += sum(unlisted.count for unlisted in judge.take())
        if judge.lists(attempt(address, ANN if known else None)):
            listed.append(clock.now)
    clock.now += SECONDS
    counted += sum(unlisted.count for unlisted in judge.take())
    assert counted == judge.unlisted
    assert len(listed) + counted == len(steps)
    # Two minutes touch any sixty seconds, for what is about somebody and for what is about nobody.
    for begin in listed:
        assert sum(begin <= at < begin + SECONDS for at in listed) <= 4 * 5
