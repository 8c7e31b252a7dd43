from __future__ import annotations

import datetime as dt
import zoneinfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.policy.rego.functions.layouts import RFC3339, RFC3339_NANO, formatted, parsed
from octelium.policy.rego.needed import RegoError

MOMENT = dt.datetime(2006, 1, 2, 15, 4, 5, tzinfo=dt.timezone(dt.timedelta(hours=-7), "MST"))
OTHER = dt.datetime(2024, 12, 9, 0, 7, 8, tzinfo=zoneinfo.ZoneInfo("Asia/Kolkata"))


@pytest.mark.parametrize(
    ("layout", "written"),
    [
        ("2006-01-02T15:04:05.000Z07:00", "2024-12-09T00:07:08.012+05:30"),
        ("2006-01-02T15:04:05.999Z07:00", "2024-12-09T00:07:08.012+05:30"),
        ("15:04:05.99", "00:07:08.01"),
        ("15:04:05,000000000", "00:07:08,012000000"),
        ("Monday Mon January Jan", "Monday Mon December Dec"),
        ("1/2/06 3:4:5 PM pm", "12/9/24 12:7:8 AM am"),
        ("_2 02 2 __2 002", " 9 09 9 344 344"),
        ("-07 -0700 -07:00 -070000 -07:00:00", "+05 +0530 +05:30 +053000 +05:30:00"),
        ("Z07 Z0700", "+05 +0530"),
        ("MST", "IST"),
        ("year: 2006; _2006", "year: 2024; _2024"),
        ("ANSIC", "Mon Dec  9 00:07:08 2024"),
        ("UnixDate", "Mon Dec  9 00:07:08 IST 2024"),
        ("RubyDate", "Mon Dec 09 00:07:08 +0530 2024"),
        ("RFC822", "09 Dec 24 00:07 IST"),
        ("RFC822Z", "09 Dec 24 00:07 +0530"),
        ("RFC850", "Monday, 09-Dec-24 00:07:08 IST"),
        ("RFC1123", "Mon, 09 Dec 2024 00:07:08 IST"),
        ("RFC1123Z", "Mon, 09 Dec 2024 00:07:08 +0530"),
        ("RFC3339", "2024-12-09T00:07:08+05:30"),
        ("RFC3339Nano", "2024-12-09T00:07:08.012+05:30"),
        ("no field at all", "no field at all"),
    ],
)
def test_writing(layout: str, written: str) -> None:
    assert formatted(OTHER, 12_000_000, layout) == written


def test_the_reference_time_shows_its_own_layout() -> None:
    for layout in ("Mon Jan _2 15:04:05 MST 2006", "2006-01-02T15:04:05-07:00", "3:04PM 1/2/06"):
        assert formatted(MOMENT, 0, layout) == layout.replace("_", " ")
    assert formatted(MOMENT.astimezone(dt.UTC), 0, RFC3339) == "2006-01-02T22:04:05Z"


@pytest.mark.parametrize(
    ("layout", "value", "expected"),
    [
        ("2006-01-02", "2024-02-29", "2024-02-29T00:00:00Z"),
        ("RFC3339", "2024-02-29T01:02:03.5+01:00", "2024-02-29T00:02:03.5Z"),
        ("Mon, 02 Jan 2006 15:04:05 MST", "Thu, 29 Feb 2024 01:02:03 CET", "2024-02-29T01:02:03Z"),
        ("Jan _2 2006 3:04 PM", "Feb  9 2024 12:30 AM", "2024-02-09T00:30:00Z"),
        ("Jan _2 2006 3:04 PM", "Feb 19 2024 12:30 PM", "2024-02-19T12:30:00Z"),
        ("January 2, 06", "March 4, 68", "2068-03-04T00:00:00Z"),
        ("January 2, 06", "March 4, 69", "1969-03-04T00:00:00Z"),
        ("2006 002", "2024 366", "2024-12-31T00:00:00Z"),
        ("2006-01-02 15:04:05 -0700", "2024-01-01 00:00:00 -0130", "2024-01-01T01:30:00Z"),
        ("2006-01-02T15:04:05.000", "2024-01-01T00:00:00.250", "2024-01-01T00:00:00.25Z"),
        ("2006-01-02T15:04:05.999", "2024-01-01T00:00:00", "2024-01-01T00:00:00Z"),
        ("2006-01-02T15:04:05Z07", "2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z"),
    ],
)
def test_reading(layout: str, value: str, expected: str) -> None:
    moment, below = parsed(layout, value)
    assert formatted(moment.astimezone(dt.UTC), below, RFC3339_NANO) == expected


@pytest.mark.parametrize(
    ("layout", "value"),
    [
        ("2006-01-02", "2024-02-30"),
        ("2006-01-02", "2024-2-03"),
        ("2006-01-02", "2024-02-03 "),
        ("2006-13-02", "2024-02-03"),
        ("01-02", "02-03"),
        ("2006 002", "2023 366"),
        ("2006 3PM", "2024 13PM"),
        ("RFC3339", "2024-01-01T00:00:00+25:00"),
        ("2006-01-02T15:04:05.000", "2024-01-01T00:00:00.25"),
        ("2006", "\u0662\u0660\u0662\u0664"),
        ("2006", "2" * 300),
        ("2006" * 100, "2024"),
    ],
)
def test_what_is_no_time(layout: str, value: str) -> None:
    with pytest.raises(RegoError):
        parsed(layout, value)


@given(
    st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1)),  # noqa: DTZ001 - zones follow
    st.integers(0, 999_999_999),
    st.integers(-14 * 60, 14 * 60),
)
def test_what_is_written_is_read(moment: dt.datetime, below: int, minutes: int) -> None:
    zoned = moment.replace(microsecond=0, tzinfo=dt.timezone(dt.timedelta(minutes=minutes)))
    text = formatted(zoned, below, RFC3339_NANO)
    assert parsed(RFC3339_NANO, text) == (zoned, below)
    assert parsed(RFC3339, text) == (zoned, below)


@given(st.text(max_size=30), st.text(max_size=30))
def test_nothing_but_rego_errors(layout: str, value: str) -> None:
    try:
        parsed(layout, value)
    except RegoError:
        formatted(MOMENT, 0, layout)
