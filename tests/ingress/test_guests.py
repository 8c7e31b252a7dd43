from __future__ import annotations

from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from octelium.ingress.guests import Guest, Guests
from octelium.ingress.places import Places
from octelium.replica.addresses import packed

PLACE = packed("127.64.0.16") or b""


class Service:
    def __init__(self, uid: str) -> None:
        self.uid = uid


class Running:
    ended = 0

    def abort(self) -> None:
        self.ended += 1


def source(number: int) -> bytes:
    return bytes((127, 65, 0, number))


def guest(places: Places, session: int = 1, service: int = 1, address: int | None = None) -> Guest:
    seat = places.take(f"session-{session}", "ann")
    assert seat is not None
    place = source(session if address is None else address)
    return Guest(
        cast("Any", Service(f"service-{service}")), PLACE, f"session-{session}", place, seat
    )


@given(
    st.lists(
        st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3)), min_size=1, max_size=12
    ),
    st.randoms(),
)
def test_everybody_is_found_by_what_they_depend_on(
    kinds: list[tuple[int, int, int]], random: Any
) -> None:
    empty: list[None] = []
    guests, places = Guests(lambda: empty.append(None)), Places(100, 100, 100, most_each_user=100)
    present = [guest(places, *kind) for kind in kinds]
    for one in present:
        guests.add(one)
    random.shuffle(present)
    while present:
        assert set(guests) == set(present)
        for uid in range(4):
            assert set(guests.of_service(f"service-{uid}")) == {
                one for one in present if one.service.uid == f"service-{uid}"
            }
            assert guests.of_session(f"session-{uid}", [source(uid)]) == {
                one
                for one in present
                if one.session_uid == f"session-{uid}" or one.source == source(uid)
            }
        assert empty == []
        left = guests.leaver(present.pop())
        left()
        assert places.taken == len(present)
    assert len(empty) == 1
    assert list(guests) == []


def test_a_guest_may_leave_twice() -> None:
    guests, places = Guests(lambda: None), Places(9, 9, 9, most_each_user=9)
    one, other = guest(places), guest(places)
    guests.add(one)
    guests.add(other)
    left = guests.leaver(one)
    left()
    left()
    assert places.taken == 1
    assert list(guests) == [other]


def test_ending_a_guest_ends_what_serves_it() -> None:
    one, running = guest(Places(9, 9, 9, most_each_user=9)), Running()
    one.abort()  # nobody serves it yet
    one.running = running
    one.abort()
    assert running.ended == 1
