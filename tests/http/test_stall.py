from __future__ import annotations

from octelium.http.stall import Stall


def test_nothing_is_taken() -> None:
    stall = Stall(100, 10.0)
    assert stall.seconds(100, 11.0) == 1.0
    assert stall.seconds(100, 70.0) == 60.0


def test_whatever_is_taken_starts_anew() -> None:
    stall = Stall(100, 10.0)
    assert stall.seconds(99, 40.0) == 0.0
    assert stall.seconds(99, 50.0) == 10.0


def test_more_that_waits_is_no_progress() -> None:
    stall = Stall(100, 10.0)
    assert stall.seconds(200, 20.0) == 10.0
    assert stall.seconds(199, 30.0) == 0.0
