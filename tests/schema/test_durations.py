from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.schema.durations import duration, milliseconds, seconds
from octelium.schema.pb import meta_v1_pb2 as meta


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (meta.Duration(), 0),
        (meta.Duration(milliseconds=1999), 1),
        (meta.Duration(seconds=7), 7),
        (meta.Duration(minutes=2), 120),
        (meta.Duration(hours=2), 7200),
        (meta.Duration(days=1), 86400),
        (meta.Duration(weeks=1), 7 * 86400),
        (meta.Duration(months=1), 30 * 86400),
        (meta.Duration(hours=0), 0),
    ],
)
def test_units(length: meta.Duration, expected: int) -> None:
    assert seconds(length) == expected


def test_milliseconds() -> None:
    assert milliseconds(meta.Duration(milliseconds=1999)) == 1999
    assert milliseconds(meta.Duration(seconds=2)) == 2000


@given(st.integers(0, 2**31))
def test_a_made_length_is_exact(length: int) -> None:
    assert seconds(duration(length)) == length


def test_a_made_length_takes_the_largest_exact_unit() -> None:
    assert duration(86400).days == 1
    assert duration(3600 * 5).hours == 5
    assert duration(61).seconds == 61
    assert duration(0).WhichOneof("type") == "seconds"
