from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from octelium.apiserver.lasting.ration import BURST, RATE, Ration


def test_so_much_at_once_and_more_as_time_goes_by() -> None:
    ration = Ration(1000.0)
    assert all(ration.take(1000.0) for _ in range(int(BURST)))
    assert not ration.take(1000.0)
    assert not ration.take(1000.0 + 0.9 / RATE)
    assert ration.take(1000.0 + 1 / RATE)
    assert not ration.take(1000.0 + 1 / RATE)


def test_a_client_as_the_official_one_has_enough_for_ever() -> None:
    ration = Ration(0.0)
    assert all(ration.take(300.0 * number) for number in range(10_000))


def test_what_is_not_used_is_not_saved() -> None:
    ration = Ration(0.0)
    assert sum(ration.take(1e9) for _ in range(10_000)) == BURST


@given(st.lists(st.floats(0, 5), max_size=600))
def test_never_more_than_the_burst_and_the_rate(gaps: list[float]) -> None:
    ration, now, given_ = Ration(0.0), 0.0, 0
    for gap in gaps:
        now += gap
        given_ += ration.take(now)
        assert given_ <= BURST + RATE * now + 1e-6
