from __future__ import annotations

import dns.message
import dns.rcode

from octelium.replica.arrival import Tunnel
from octelium.vigil.dns.limits import (
    FORWARDED_PER_SECOND,
    LOGGED_PER_SECOND,
    MOST_WAITING,
    MOST_WAITING_IN_ALL,
    PER_SECOND,
    Limits,
)
from tests.octovigil.world import uid_of
from tests.vigil.dns.world import PLACE, SESSION, upstream, world


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_questions_come_back_with_time() -> None:
    clock = Clock()
    limits = Limits(clock)
    one, other = limits.of("a"), limits.of("b")
    asked = sum(limits.may_ask(one) for _ in range(int(PER_SECOND) * 2))
    assert asked == PER_SECOND
    assert limits.may_ask(other)
    clock.now += 0.5
    assert sum(limits.may_ask(one) for _ in range(int(PER_SECOND))) == PER_SECOND / 2
    clock.now += 100
    assert sum(limits.may_ask(one) for _ in range(int(PER_SECOND) * 2)) == PER_SECOND


def test_places_for_questions_that_wait() -> None:
    limits = Limits(Clock())
    one = limits.of("a")
    assert all(limits.may_wait(one) for _ in range(MOST_WAITING))
    assert not limits.may_wait(one)
    limits.done(one)
    assert limits.may_wait(one)
    others = [limits.of(str(number)) for number in range(20)]
    assert sum(limits.may_wait(other) for other in others for _ in range(MOST_WAITING)) == (
        MOST_WAITING_IN_ALL - MOST_WAITING
    )
    assert limits.waiting == MOST_WAITING_IN_ALL


def test_questions_to_others_are_fewer() -> None:
    limits = Limits(Clock())
    one = limits.of("a")
    taken = 0
    while limits.may_wait(one):
        limits.done(one)
        taken += 1
    assert taken == 2 * FORWARDED_PER_SECOND


def test_entries_of_the_log() -> None:
    clock = Clock()
    limits = Limits(clock)
    one = limits.of("a")
    assert sum(limits.may_log(one) for _ in range(10_000)) == 5 * LOGGED_PER_SECOND
    clock.now += 1
    assert sum(limits.may_log(one) for _ in range(10_000)) == LOGGED_PER_SECOND


def test_quiet_sessions_are_forgotten() -> None:
    clock = Clock()
    limits = Limits(clock)
    busy = limits.of("busy")
    assert limits.may_wait(busy)
    for number in range(5000):
        limits.of(str(number))
        clock.now += 0.1
    assert len(limits) < 3000
    assert limits.of("busy") is busy


async def test_a_session_may_ask_only_so_many_and_others_are_served() -> None:
    async with world(clock=Clock()) as here:
        entry = here.replica.service_by_name["dns.octelium"]
        query = dns.message.make_query("wiki.local", "A").to_wire()
        answers: list[bytes] = []
        for _ in range(int(PER_SECOND) + 500):
            here.dns.datagram(entry, SESSION, PLACE, ("100.65.0.7", 9), query, answers.append)
        assert len(answers) == PER_SECOND
        assert here.dns.dropped == 500
        here.cluster.session("ann-2", "ann")
        other = Tunnel(uid_of("Session", "ann-2"), "100.65.0.8")
        here.dns.datagram(entry, other, PLACE, ("100.65.0.8", 9), query, answers.append)
        assert len(answers) == PER_SECOND + 1


async def test_a_flood_leaves_a_bounded_number_of_entries() -> None:
    clock = Clock()
    async with world(clock=clock) as here:
        entry = here.replica.service_by_name["dns.octelium"]
        query = dns.message.make_query("wiki.local", "A").to_wire()
        for _ in range(3000):
            here.dns.datagram(entry, SESSION, PLACE, ("100.65.0.7", 9), query, lambda _: None)
        logged = int(5 * LOGGED_PER_SECOND)
        assert len(here.sink.records) == logged
        clock.now += 1
        here.dns.datagram(entry, SESSION, PLACE, ("100.65.0.7", 9), query, lambda _: None)
        assert here.sink.records[-1].error == (
            f"{3000 - logged} questions of this Session before are not logged"
        )


async def test_questions_elsewhere_are_limited() -> None:
    async with upstream() as fallback, world(clock=Clock(), total=0.3) as here:
        fallback.respond = lambda _query, _tcp: []
        here.cluster.config(fallbackZone={"servers": [fallback.url]})
        entry = here.replica.service_by_name["dns.octelium"]
        answers: list[int] = []

        def take(data: bytes) -> None:
            answers.append(int(dns.message.from_wire(data).rcode()))

        for number in range(MOST_WAITING + 50):
            query = dns.message.make_query(f"{number}.example", "A").to_wire()
            here.dns.datagram(entry, SESSION, PLACE, ("100.65.0.7", 9), query, take)
        assert answers == [dns.rcode.REFUSED] * 50
        assert here.dns.limits.waiting == MOST_WAITING
        # The Cluster's own names need nobody else.
        here.dns.datagram(
            entry, SESSION, PLACE, ("100.65.0.7", 9),
            dns.message.make_query("wiki.local", "A").to_wire(), take,
        )  # fmt: skip
        assert answers[-1] == 0
        await here.until(lambda: len(answers) == MOST_WAITING + 51)
        assert here.dns.limits.waiting == 0
        assert FORWARDED_PER_SECOND > MOST_WAITING
