from __future__ import annotations

import pytest

from octelium.authserver.moments import day, moment


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, "01 Jan 1970 00:00 UTC"), (1_900_000_059.9, "17 Mar 2030 17:47 UTC")],
)
def test_moments(seconds: float, expected: str) -> None:
    assert moment(seconds).replace("\u00a0", " ") == expected
    assert day(seconds).replace("\u00a0", " ") == expected[:11]


def test_a_date_stays_in_its_line() -> None:
    assert " " not in moment(0) + day(0)
