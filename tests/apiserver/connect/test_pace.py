from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from octelium.apiserver.connect.pace import SESSION, USER, ConnectPace


class Clock:
    now = 50.0

    def __call__(self) -> float:
        return self.now


def test_a_session_connects_some_times_at_once_and_then_now_and_then() -> None:
    clock = Clock()
    pace = ConnectPace(clock)
    assert [pace.take("a", "ann") for _ in range(10)] == [0.0] * 10
    assert pace.take("a", "ann") == 5.0
    assert pace.take("b", "ann") == 0.0
    clock.now += 4.0
    assert 0.9 < pace.take("a", "ann") < 1.1
    clock.now += 1.001
    assert pace.take("a", "ann") == 0.0
    assert pace.take("a", "ann") > 4.9


def test_the_sessions_of_a_user_together() -> None:
    pace = ConnectPace(Clock(), session=(2, 1), user=(3, 0.5))
    assert [pace.take(uid, "ann") for uid in "aabbcc"] == [0, 0, 0, 2, 2, 2]
    assert pace.take("b", "bob") == 0.0


def test_a_thousand_sessions_at_once() -> None:
    pace = ConnectPace(Clock())
    assert all(pace.take(str(number), f"user-{number % 50}") == 0 for number in range(1000))


def test_who_has_been_quiet_is_forgotten() -> None:
    clock = Clock()
    pace = ConnectPace(clock)
    for number in range(20_000):
        clock.now += 0.1
        assert pace.take(str(number), str(number % 300)) == 0
    assert len(pace) < 4500


@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.sampled_from("uv"), st.floats(0, 9)), max_size=80
    )
)
def test_nobody_exceeds_burst_and_rate(steps: list[tuple[str, str, float]]) -> None:
    clock = Clock()
    session, user = (3.0, 0.2), (5.0, 0.5)
    pace = ConnectPace(clock, session=session, user=user)
    taken: dict[str, int] = {}
    for uid, owner, seconds in steps:
        clock.now += seconds
        if pace.take(uid, owner) == 0:
            for key in (uid, owner):
                taken[key] = taken.get(key, 0) + 1
    spent = clock.now - Clock.now
    for key, count in taken.items():
        burst, rate = user if key in "uv" else session
        assert count <= burst + rate * spent + 1e-6


def test_a_user_may_reconnect_many_sessions_at_once() -> None:
    assert USER[0] >= 500
    assert SESSION == (10.0, 0.2)
