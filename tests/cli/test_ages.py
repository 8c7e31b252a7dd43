from __future__ import annotations

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from octelium.cli.ages import age, clock_time, length, remaining

M, H, D = 60, 3600, 86400


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-5, "0s"),
        (90, "90s"),
        (2 * M, "2m"),
        (5 * M + 3, "5m3s"),
        (12 * M + 59, "12m"),
        (3 * H, "3h"),
        (3 * H + 5 * M, "3h5m"),
        (26 * H, "26h"),
        (2 * D + 4 * H, "2d4h"),
        (40 * D, "40d"),
        (2 * 365 * D, "2y"),
        (3 * 365 * D + 30 * D, "3y30d"),
        (9 * 365 * D, "9y"),
    ],
)
def test_lengths(seconds: int, shown: str) -> None:
    assert length(seconds) == shown


@given(st.floats(0, 1e10))
def test_every_length_is_short(seconds: float) -> None:
    assert len(length(seconds)) <= 6


def test_instants() -> None:
    instant = Timestamp(seconds=1_800_000_000, nanos=7_000_000)
    assert age(instant, 1_800_000_090) == "90s"
    assert age(Timestamp(), 0) == "-"
    assert remaining(instant, 1_799_999_880) == "2m"
    assert remaining(instant, 1_800_000_000) == "expired"
    assert remaining(Timestamp(), 0) == "never"
    assert clock_time(instant) == "2027-01-15T08:00:00.007Z"
