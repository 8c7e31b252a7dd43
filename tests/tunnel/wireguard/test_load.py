from __future__ import annotations

from octelium.tunnel.wireguard.load import Bucket, RateGauge, Sources


def test_a_bucket_gives_its_rate() -> None:
    bucket = Bucket(10.0)
    assert sum(bucket.take(5.0) for _ in range(50)) == 10
    assert not bucket.full(5.5)
    assert sum(bucket.take(5.5) for _ in range(50)) == 5
    assert bucket.full(6.6)
    assert sum(bucket.take(100.0) for _ in range(50)) == 10
    # Over ten seconds of pressure: what was there, and the rate.
    given = sum(bucket.take(200.0 + number / 100) for number in range(1001))
    assert 108 <= given <= 110


def test_a_clock_that_goes_back_gives_nothing() -> None:
    bucket = Bucket(4.0)
    assert sum(bucket.take(9.0) for _ in range(9)) == 4
    assert not bucket.take(9.0)


def test_the_gauge_stays_up_for_a_second() -> None:
    gauge = RateGauge(20.0)
    assert [gauge.arrived(1.0) for _ in range(20)] == [False] * 20
    assert gauge.arrived(1.0)
    assert gauge.arrived(1.9)
    assert not gauge.arrived(2.1)


def test_an_even_pace_below_the_limit_is_no_load() -> None:
    gauge = RateGauge(20.0)
    assert not any(gauge.arrived(number / 19) for number in range(1000))


def test_sources_have_budgets_of_their_own() -> None:
    sources = Sources(5.0, 100)
    assert sum(sources.take(b"one", 1.0) for _ in range(50)) == 5
    assert sources.take(b"other", 1.0)


def test_the_table_of_sources_is_bounded_and_forgets() -> None:
    sources = Sources(5.0, 100)
    taken = [sources.take(number.to_bytes(4, "big"), 1.0) for number in range(10_000)]
    assert sum(taken) == len(sources) == 100
    # One that is known goes on; strangers have to wait until others are idle.
    assert sources.take((5).to_bytes(4, "big"), 1.0)
    assert sources.take(b"new", 3.0)
    assert len(sources) < 100
    for number in range(200):
        assert sources.take(b"n%d" % number, 10.0 + number)
    assert len(sources) <= 2
