from __future__ import annotations

from octelium.vigil.dns.limits import (
    FORWARDED_PER_SECOND,
    LOGGED_PER_SECOND,
    MOST_WAITING,
    MOST_WAITING_IN_ALL,
    PER_SECOND,
    Limits,
)


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
