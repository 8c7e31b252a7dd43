from __future__ import annotations

import pytest

from tests.policy.rego.functions.cases import check, refuse


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("time.date(0)", [1970, 1, 1]),
        ("time.date(-1)", [1969, 12, 31]),
        ("time.clock(-1)", [23, 59, 59]),
        ('time.clock([1720000000000000000, "America/New_York"])', [5, 46, 40]),
        ('time.clock([0, ""])', [0, 0, 0]),
        ('time.clock([0, "Local"])', [0, 0, 0]),
        ("time.weekday(0)", "Thursday"),
        ('time.weekday([0, "Pacific/Auckland", "x"])', "Thursday"),
        ("time.add_date(1706659200000000000, 0, 1, 0)", 1709337600000000000),
        ("time.add_date(0, 0, -1, 0)", -2678400000000000),
        ("time.add_date(0, 0, 0, 366)", 31622400000000000),
        ("time.add_date(1, 1, 0, 0)", 31536000000000001),
        ('time.add_date([1711796400000000000, "Europe/Berlin"], 0, 0, 1)', 1711879200000000000),
        ("time.diff(1706659200000000000, 1709251199000000000)", [0, 0, 29, 23, 59, 59]),
        ("time.diff(0, 1)", [0, 0, 0, 0, 0, 0]),
        ("time.diff(86400000000000, 0)", [0, 0, 1, 0, 0, 0]),
        ("time.diff(1488326400000000000, 1459382400000000000)", [0, 11, 1, 0, 0, 0]),
        ("time.format(0)", "1970-01-01T00:00:00Z"),
        ("time.format(123456789)", "1970-01-01T00:00:00.123456789Z"),
        ('time.format([0, "Asia/Kolkata"])', "1970-01-01T05:30:00+05:30"),
        (
            'time.format([0, "America/New_York", "Mon Jan 2 15:04:05 -0700 MST 2006"])',
            "Wed Dec 31 19:00:00 -0500 EST 1969",
        ),
        ('time.parse_rfc3339_ns("1969-12-31T23:59:59.999999999Z")', -1),
        ('time.parse_rfc3339_ns("2024-02-29T12:00:00.25-05:30")', 1709227800250000000),
        ('time.parse_ns("RFC1123", "Thu, 01 Jan 1970 00:00:01 UTC")', 1000000000),
        ('time.parse_duration_ns("-1.5h")', -5400000000000),
        ('time.parse_duration_ns("1h2m3s4ms5us6ns")', 3723004005006),
        ('time.parse_duration_ns("0")', 0),
        ('time.parse_duration_ns("+.5s")', 500000000),
        ('time.parse_duration_ns("1\u00b5s")', 1000),
        ("time.now_ns() == time.now_ns()", True),
    ],
)
def test_results(expression: str, expected: object) -> None:
    check(expression, expected)


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ('time.date("0")', "number or array"),
        ("time.date([0])", "an instant, a time zone"),
        ('time.date([0, "No/Where"])', "no time zone"),
        ('time.date([0, "../../etc/passwd"])', "no time zone"),
        ("time.date(1e30)", "too big"),
        ("time.date(0.5)", "whole number"),
        ("time.clock([0, 1])", "must be string"),
        ("time.add_date(0, 300, 0, 0)", "valid range"),
        ("time.add_date(0, 1000000000000, 0, 0)", "valid range"),
        ("time.add_date(0, 0, 0, 1000000000000)", "valid range"),
        ("time.add_date(0, 0.5, 0, 0)", "whole number"),
        ('time.parse_rfc3339_ns("2024-02-30T00:00:00Z")', "is no time"),
        ('time.parse_rfc3339_ns("2024-01-01 00:00:00Z")', "is no time"),
        ('time.parse_rfc3339_ns("2024-01-01T00:00:00")', "is no time"),
        ('time.parse_rfc3339_ns("9999-01-01T00:00:00Z")', "valid range"),
        ("time.parse_rfc3339_ns(1)", "must be string"),
        ('time.parse_ns("2006", 1)', "argument 2"),
        ('time.parse_duration_ns("1")', "is no duration"),
        ('time.parse_duration_ns("")', "is no duration"),
        ('time.parse_duration_ns("1d")', "is no duration"),
        ('time.parse_duration_ns(".s")', "is no duration"),
        ('time.parse_duration_ns("9999999999h")', "too long"),
        ("time.parse_duration_ns(1)", "must be string"),
    ],
)
def test_errors(expression: str, problem: str) -> None:
    refuse(expression, problem)
